"""Manifests are canonical JSON, and a changed one is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from faceloom.pipelines.release.manifest import (
    manifest_bytes,
    parse_manifest,
    pool_name,
    published,
    read_manifest,
)
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import ReleaseError, StorageError
from faceloom.schemas.release import Release

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
PLAIN: dict[str, Any] = {
    "name": "faces", "version": "1.0.0", "code": {"faceloom": "1", "analyser": "1", "renderer": "1"}, "libraries": {},
    "recipe": {"name": "x"}, "plan": "0" * 64, "seed": "0x0", "sources": [], "splits": {}, "members": [], "photos": 0,
    "faces": 0, "planned": 0, "written": 0, "by_mask": {}, "rejects": {}, "shards": [],
}  # fmt: skip


def with_shard(**changes: Any) -> Release:
    shard = {
        "split": "train", "samples": 3, "bytes": 1024, "sha256": "1" * 64, "index_bytes": 9, "index_sha256": "2" * 64,
    }  # fmt: skip
    name = pool_name("train-01-x", "1" * 64, "2" * 64)
    counts = {"splits": {"train": {"samples": 3, "people": 1, "shards": 1}}, "by_mask": {"none": 3}}
    plain = {**PLAIN, **counts, "planned": 3, "written": 3, "shards": [{"name": name, **shard, **changes}]}
    return Release.model_validate_json(json.dumps(plain))


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return [number for one in inner for number in numbers(one)]
    return [value] if isinstance(value, int | float) else []


@given(
    st.builds(dict, description=TEXTS, warnings=st.lists(TEXTS, max_size=3), libraries=st.dictionaries(TEXTS, TEXTS)),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**53) + 1, 2**53 - 1)
        | TEXTS
        | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
        max_leaves=8,
    ),
)
def test_a_manifest_comes_back_as_it_was_and_in_one_form(fields: dict[str, Any], value: Any) -> None:
    plain = {**PLAIN, **fields, "recipe": {"name": "x", "key": value}}
    release = Release.model_validate_json(json.dumps(plain))
    try:
        data = manifest_bytes(release)
    except ReleaseError as error:
        assert "2**53" in str(error) and any(abs(number) >= 2**53 for number in numbers(value))
        return
    again = parse_manifest(data, "release.json")
    assert manifest_bytes(again.release) == data == rfc8785.dumps(json.loads(data))
    assert again.digest == published(release).digest == hashlib.sha256(data).hexdigest()
    assert again.id == f"faces/1.0.0+{again.digest}"


@given(st.binary(max_size=200))
def test_other_bytes_are_no_manifest(data: bytes) -> None:
    with pytest.raises(StorageError, match="damaged manifest"):
        parse_manifest(data, "release.json")


@pytest.mark.parametrize("indent", [1, None])
def test_another_form_is_refused(indent: int | None) -> None:
    plain = json.loads(manifest_bytes(with_shard()))
    with pytest.raises(StorageError, match="canonical"):
        parse_manifest(json.dumps(plain, indent=indent).encode(), "release.json")


@pytest.mark.parametrize("name", ["..", "train-01-000000000000", "test-01-95c59a8c29a3", "x"])
def test_names_of_shards_come_from_their_content(name: str) -> None:
    with pytest.raises(StorageError, match="another name than its content gives"):
        parse_manifest(manifest_bytes(with_shard(name=name)), "release.json")
    parse_manifest(manifest_bytes(with_shard()), "release.json")


@pytest.mark.parametrize("name", ["a/b", "../a", "a\\b", "a\0b", ""])
def test_names_of_shards_are_no_paths(name: str) -> None:
    with pytest.raises(ValidationError):
        with_shard(name=name)


def test_unknown_keys_and_formats_are_refused() -> None:
    for changes in ({"later": 1}, {"format": 2}):
        plain = {**json.loads(manifest_bytes(with_shard())), **changes}
        with pytest.raises(StorageError, match=next(iter(changes))):
            parse_manifest(rfc8785.dumps(plain), "release.json")


def test_a_number_that_json_cannot_hold_is_refused_before_anything_is_written() -> None:
    release = Release.model_validate_json(json.dumps({**PLAIN, "recipe": {"seed": 2**60}}))
    with pytest.raises(ReleaseError, match="cannot be written"):
        manifest_bytes(release)


def test_a_manifest_in_the_place_of_another_is_refused(own_root: Storage) -> None:
    folder = Path(own_root.root, "releases", "faces")
    (folder / "1.0.0").rename(folder / "1.0.1")
    with pytest.raises(StorageError, match="another release"):
        read_manifest(own_root, "faces", "1.0.1")
