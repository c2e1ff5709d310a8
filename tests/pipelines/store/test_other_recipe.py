"""A finished build is not replaced by that of another recipe unless the user asks for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.pipelines.store.build_record import portable_recipe, read_record
from faceloom.pipelines.store.other_recipe import differences, refuse_other_photos, refuse_other_recipe
from faceloom.pipelines.store.parquet_tables import read_index_columns
from faceloom.pipelines.store.paths import BUILD_RECORD, shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.recipe import Recipe, parse_recipe
from tests.pipelines.read.builds import make_build

PLAIN: dict[str, Any] = {
    "name": "x",
    "sources": [{"path": "/photos/ada", "name": "s"}],
    "masks": [{"kind": "polygon", "shape": "A"}],
}
VALUES = st.recursive(
    st.none() | st.integers(0, 3) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)


@pytest.fixture
def built(tmp_path: Path) -> Storage:
    storage = Storage(str(make_build(tmp_path / "out", [("train", 3)])))
    record = json.loads(storage.read_bytes(BUILD_RECORD))
    record["recipe"] = portable_recipe(recipe())
    storage.local(BUILD_RECORD).write_text(json.dumps(record))
    return storage


def recipe(**changes: Any) -> Recipe:
    return parse_recipe({**PLAIN, **changes})


@pytest.mark.parametrize(
    "same",
    [{}, {"description": "words"}, {"sources": [{"path": "/elsewhere/ada", "name": "s"}]}],
)
def test_the_same_recipe_on_another_disk_is_no_other_recipe(built: Storage, same: dict[str, Any]) -> None:
    refuse_other_recipe(built, recipe(**same))


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"seed": 3}, r"\$\.seed"),
        ({"name": "y"}, r"\$\.name"),
        ({"masks": [{"kind": "polygon", "shape": "B"}]}, r"\$\.masks\[0\]\.shape"),
        ({"sources": [{"path": "/photos/bob", "name": "s"}]}, r"\$\.sources\[0\]\.path"),
        ({"sources": [*PLAIN["sources"], {"path": "/photos/bob"}]}, r"\$\.sources"),
        ({"masks": []}, r"\$\.masks"),
    ],
)
def test_another_recipe_is_refused_with_what_differs(built: Storage, changes: dict[str, Any], path: str) -> None:
    with pytest.raises(
        StorageError, match=rf"another recipe or of other sources, which differs in .*{path}.*--replace"
    ):
        refuse_other_recipe(built, recipe(**changes))


def test_without_a_finished_build_nothing_is_refused(built: Storage, tmp_path: Path) -> None:
    refuse_other_recipe(Storage(str(tmp_path / "new")), recipe())
    built.local(BUILD_RECORD).write_text("{}")
    refuse_other_recipe(built, recipe(seed=1))


@settings(max_examples=30)
@given(VALUES, VALUES)
def test_differences_are_none_only_between_equals(one: object, other: object) -> None:
    found = list(differences(one, other))
    assert bool(found) == (one != other) and list(differences(one, one)) == []
    assert all(path.startswith("$") for path in found) and len(found) == len(set(found))


def test_a_build_of_the_same_photos_is_no_other_build(built: Storage) -> None:
    photos = photos_of(built)
    refuse_other_photos(built, "other plan", photos)
    refuse_other_photos(built, "other plan", [*photos[:2], "f" * 64])  # one is gone, one is new
    refuse_other_photos(built, read_record(built).plan, [])  # the same plan holds the same photos


def test_other_photos_under_the_same_names_are_refused(built: Storage) -> None:
    photos = photos_of(built)
    for used, left in ((1, photos[:1]), (0, []), (0, ["f" * 64] * 9)):
        with pytest.raises(StorageError, match=f"of the 3 that it has from the source s, {used} are still used"):
            refuse_other_photos(built, "other plan", left)


def test_a_new_folder_and_damaged_indexes_refuse_no_photos(built: Storage, tmp_path: Path) -> None:
    refuse_other_photos(Storage(str(tmp_path / "new")), "other plan", [])
    (shard,) = read_record(built).shards
    built.local(shard_index(shard.name)).write_bytes(b"no table")
    refuse_other_photos(built, "other plan", [])


def photos_of(storage: Storage) -> list[str]:
    (shard,) = read_record(storage).shards
    return read_index_columns(storage, shard_index(shard.name), ["photo_sha256"])["photo_sha256"]
