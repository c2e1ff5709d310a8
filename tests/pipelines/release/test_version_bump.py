"""A version rises at least as far as the changes need."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.release.diff import Diff, diff, release_set
from faceloom.pipelines.release.version_bump import given_level, needed_level, next_version, version_gate
from faceloom.pipelines.store.storage import Storage
from tests.pipelines.release.sets import One, people, write_set

LEVELS = ("patch", "minor", "major")
VERSIONS = st.tuples(*[st.integers(0, 20)] * 3)
ONES = people(3)


def changed(folder: Path, after: list[One]) -> Diff:
    storage = Storage(str(folder))
    return diff(release_set(storage, write_set(storage, ONES)), release_set(storage, write_set(storage, after)))


@pytest.mark.parametrize(
    ("after", "level"),
    [
        (ONES, "patch"),
        ([*ONES, One(999, "New")], "minor"),
        (ONES[1:], "minor"),
        ([replace(ONES[0], look=1), *ONES[1:]], "minor"),
        ([replace(ONES[0], note="other"), *ONES[1:]], "minor"),
        ([replace(ONES[0], origin="other"), *ONES[1:]], "patch"),
        ([replace(ONES[0], split="test"), *ONES[1:]], "major"),
        ([one for one in ONES if one.split == "train"], "major"),
        ([*ONES, One(999, "New", "val")], "minor"),
    ],
)
def test_each_change_has_its_level(tmp_path: Path, after: list[One], level: str) -> None:
    assert needed_level(changed(tmp_path, after)).level == level


def test_a_member_that_goes_is_major_and_one_that_comes_is_minor(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    before = release_set(storage, write_set(storage, ONES))
    fewer = replace(before, members=before.members - {"masked.png"})
    assert needed_level(diff(before, fewer)).level == "major"
    assert "masked.png" in needed_level(diff(before, fewer)).why
    assert needed_level(diff(fewer, before)).level == "minor"


def test_an_erasure_is_a_patch_and_nothing_else_is(tmp_path: Path) -> None:
    gone = changed(tmp_path, ONES[2:])
    assert needed_level(gone, erased=2).level == "patch"
    assert needed_level(gone, erased=1).level == "minor", "more is gone than was erased"
    assert needed_level(gone, erased=0).level == "minor"
    more = changed(tmp_path, [*ONES[2:], One(999, "New")])
    assert needed_level(more, erased=2).level == "minor"


@given(VERSIONS, st.sampled_from(LEVELS))
def test_the_next_version_rises_by_exactly_its_level(numbers: tuple[int, ...], level: str) -> None:
    before = ".".join(map(str, numbers))
    assert given_level(before, next_version(before, level)) == level  # type: ignore[arg-type]


@given(VERSIONS, VERSIONS)
def test_of_two_versions_at_most_one_rises(one: tuple[int, ...], other: tuple[int, ...]) -> None:
    texts = [".".join(map(str, numbers)) for numbers in (one, other)]
    forth, back = given_level(*texts), given_level(*reversed(texts))
    assert (forth is not None) == (other > one) and (back is not None) == (one > other)


def test_the_gate_names_the_version_to_use(tmp_path: Path) -> None:
    needed = needed_level(changed(tmp_path, [*ONES, One(999, "New")]))
    short = version_gate("1.0.1", "1.0.0", needed)
    assert not short.passed and short.found.endswith("1 samples were added. Use 1.1.0")
    assert version_gate("1.1.0", "1.0.0", needed).passed and version_gate("2.0.0", "1.0.0", needed).passed
    back = version_gate("0.9.0", "1.0.0", needed)
    assert not back.passed and "does not come after 1.0.0" in back.found
