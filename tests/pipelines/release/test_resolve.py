"""References lead to releases."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.release.channel_log import append_entry
from faceloom.pipelines.release.create import create_release
from faceloom.pipelines.release.resolve import (
    parsed_reference,
    read_versions,
    resolve,
    set_names,
    short_name,
    usable,
)
from faceloom.pipelines.release.tombstone import Tombstone
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import ReleaseError
from faceloom.schemas.release import NAME_PATTERN, VERSION_PATTERN

NAMES = st.from_regex(NAME_PATTERN.replace("$", r"\Z"))
VERSIONS = st.from_regex(VERSION_PATTERN.replace("$", r"\Z"))


@pytest.fixture(scope="module")
def three(released: Path, built: Path, tmp_path_factory: pytest.TempPathFactory) -> Storage:
    """Versions 1.0.0, 1.9.0 and 1.10.0, which is yanked; the channel `stable` is at 1.0.0."""
    root = Storage(str(tmp_path_factory.mktemp("three") / "root"))
    shutil.copytree(released, root.root)
    for version in ("1.9.0", "1.10.0"):
        create_release(root.root, "faces", version, out=built)
    ids = {version: resolve(root, f"faces@{version}").id for version in ("1.0.0", "1.9.0", "1.10.0")}
    append_entry(root, "promote", ids["1.9.0"], channel="stable")
    append_entry(root, "promote", ids["1.0.0"], channel="stable")
    append_entry(root, "yank", ids["1.10.0"], why="a mask is upside down", replacement=ids["1.9.0"])
    return root


@pytest.mark.parametrize(
    ("reference", "version"),
    [("faces@1.9.0", "1.9.0"), ("faces@latest", "1.9.0"), ("faces", "1.9.0"), ("faces@stable", "1.0.0")],
)
def test_references(reference: str, version: str, three: Storage) -> None:
    assert resolve(three, reference).release.version == usable(three, reference).release.version == version


def test_a_yanked_release_is_found_but_not_used(three: Storage) -> None:
    assert resolve(three, "faces@1.10.0").release.version == "1.10.0"
    with pytest.raises(ReleaseError, match=r"a mask is upside down.*Use faces@1\.9\.0"):
        usable(three, "faces@1.10.0")


def test_versions_are_sorted_as_numbers(three: Storage) -> None:
    known = read_versions(three, "faces")
    assert known.versions == ("1.0.0", "1.9.0", "1.10.0") and known.latest == "1.9.0"
    assert [*known.yanked] == ["1.10.0"] and [*known.channels] == ["stable"]
    assert set_names(three) == ["faces"]
    assert read_versions(three, "nothing") == ((), {}, {})


@pytest.mark.parametrize(
    ("reference", "match"),
    [
        ("faces@2.0.0", r"no such release.*1\.10\.0, stable"),
        ("faces@beta", "no such release"),
        ("nothing", "no release of this name.*faces"),
        ("faces@", "names no release"),
        ("../faces@1.0.0", "names no release"),
        ("faces@../1.0.0", "names no release"),
        ("faces/1.0.0", "names no release"),
        ("", "names no release"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(reference: str, match: str, three: Storage) -> None:
    with pytest.raises(ReleaseError, match=match):
        resolve(three, reference)


def test_without_a_version_in_use_there_is_no_latest(own_root: Storage) -> None:
    append_entry(own_root, "yank", resolve(own_root, "faces").id, why="x")
    with pytest.raises(ReleaseError, match=r"All of its versions are yanked"):
        resolve(own_root, "faces")
    with pytest.raises(ReleaseError, match=r"yanked: x.*release list faces"):
        usable(own_root, "faces@1.0.0")


def test_a_purged_release_is_named_as_such(own_root: Storage) -> None:
    manifest, stone = (own_root.local(f"releases/faces/1.0.0/{name}.json") for name in ("release", "tombstone"))
    left = Tombstone(name="faces", version="1.0.0", digest="0" * 64, why="too large", when="2026-01-31T12:00:00Z")
    stone.write_text(left.model_dump_json())  # a purge that was interrupted
    for _ in range(2):
        with pytest.raises(ReleaseError, match=r"purged at 2026-01-31.*too large"):
            resolve(own_root, "faces@1.0.0")
        assert read_versions(own_root, "faces").versions == ()
        manifest.unlink(missing_ok=True)


def test_other_files_between_releases_are_ignored(own_root: Storage) -> None:
    for path in ("releases/notes.txt", "releases/Faces/1.0.0/release.json", "releases/faces/old/release.json"):
        own_root.local(path).parent.mkdir(parents=True, exist_ok=True)
        own_root.local(path).write_bytes(b"{}")
    assert set_names(own_root) == ["faces"] and read_versions(own_root, "faces").versions == ("1.0.0",)


@given(NAMES, VERSIONS | NAMES)
def test_every_name_and_version_makes_a_reference(name: str, wanted: str) -> None:
    assert parsed_reference(f"{name}@{wanted}") == (name, wanted)
    assert short_name(f"{name}/{wanted}+{'0' * 64}") == f"{name}@{wanted}"


@given(st.text(max_size=30))
def test_any_other_text_is_refused_on_one_line(text: str) -> None:
    try:
        found = parsed_reference(text)
    except ReleaseError as error:
        assert "\n" not in str(error)
    else:
        assert not {*"/.\\\n\0"} & {*found.name} and not {*"/\\\n\0"} & {*found.wanted} and ".." not in found.wanted
