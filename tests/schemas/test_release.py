"""The manifest of a release agrees with itself, and references are no paths."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from faceloom.schemas.errors import FaceloomError
from faceloom.schemas.release import NAME_PATTERN, VERSION_PATTERN, Reference, Release, parse_reference

SHARD = {
    "name": "train-0-0123456789ab", "split": "train", "samples": 2, "bytes": 1024, "sha256": "0" * 64, "index_bytes": 1,
    "index_sha256": "0" * 64,
}  # fmt: skip
PLAIN: dict[str, Any] = {
    "name": "faces", "version": "1.0.0", "code": {"faceloom": "1", "analyser": "1", "renderer": "1"}, "libraries": {},
    "recipe": {}, "plan": "0" * 64, "seed": "0x0", "sources": [], "members": [], "photos": 3, "faces": 3, "planned": 3,
    "splits": {"train": {"samples": 2, "people": 1, "shards": 1}}, "written": 2, "by_mask": {"none": 2},
    "rejects": {"render": {"mask_fit": 1}}, "shards": [SHARD],
}  # fmt: skip


def parse(**changes: Any) -> Release:
    return Release.model_validate_json(json.dumps({**PLAIN, **changes}), strict=True)


def test_a_manifest_that_agrees_with_itself_is_read() -> None:
    release = parse()
    assert release.written == 2 and Release.model_validate_json(release.model_dump_json()) == release
    assert parse(erased=1, rejects={}).erased == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shards": [SHARD, SHARD]}, "lists a shard twice"),
        ({"shards": []}, "not those of its splits"),
        ({"splits": {"test": PLAIN["splits"]["train"]}}, "not those of its splits"),
        ({"written": 3}, "its shards hold 2 samples"),
        ({"by_mask": {"none": 1}}, "its shards hold 2 samples"),
        ({"planned": 4}, "planned differs"),
        ({"later": 1}, "Extra inputs"),
        ({"format": 2}, "Input should be 1"),
        ({"seed": "0"}, "pattern"),
        ({"seed": 0}, "valid string"),
        ({"parent": "faces@1.0.0"}, "pattern"),
        ({"name": "../x"}, "pattern"),
        ({"version": "1.0"}, "pattern"),
    ],
)
def test_a_manifest_that_disagrees_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        parse(**changes)


@pytest.mark.parametrize(
    ("text", "expected", "is_version"),
    [
        ("masked-faces@1.0.0", ("masked-faces", "1.0.0"), True),
        ("a_1", ("a_1", "latest"), False),
        ("a@stable", ("a", "stable"), False),
        ("a@0.10.999999", ("a", "0.10.999999"), True),
    ],
)
def test_references_are_parsed(text: str, expected: tuple[str, str], is_version: bool) -> None:
    found = parse_reference(text)
    assert found == Reference(*expected) and found.is_version == is_version


@pytest.mark.parametrize(
    "text", ["", "@", "a@", "@1.0.0", "A@1.0.0", "a@1.0", "a@01.0.0", "a@b@c", "../a", "a/b@1.0.0", "a\n", "a@1.0.0\n"]
)
def test_other_texts_name_no_release(text: str) -> None:
    with pytest.raises(FaceloomError, match="this names no release") as caught:
        parse_reference(text)
    assert "NAME@VERSION" in caught.value.remedy and "\n" not in str(caught.value)


@given(st.from_regex(NAME_PATTERN, fullmatch=True), st.from_regex(VERSION_PATTERN, fullmatch=True))
def test_a_reference_is_the_text_that_it_came_from(name: str, version: str) -> None:
    name, version = name.strip("\n"), version.strip("\n")  # `$` also matches before the end of a line
    assert "@".join(parse_reference(f"{name}@{version}")) == f"{name}@{version}"
