"""The pipeline over shards: it needs a storage and the shards that someone lists, no build record."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceloom.pipelines.read.pipeline import ReadOptions, make_pipeline
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, StorageError
from faceloom.schemas.release import ReleaseShard
from tests.pipelines.read.builds import make_build

pytest.importorskip("webdataset")


@pytest.fixture
def listed(tmp_path: Path) -> list[ReleaseShard]:
    """What a manifest lists of the shards in a folder without a build record."""
    make_build(tmp_path, [("train", 5), ("train", 2)])
    shards = [ReleaseShard(**shard.model_dump()) for shard in read_record(Storage(str(tmp_path))).shards]
    (tmp_path / "build.json").unlink()
    return shards


def test_the_shards_of_a_manifest_are_read(tmp_path: Path, listed: list[ReleaseShard]) -> None:
    samples = make_pipeline(Storage(str(tmp_path)), listed, ReadOptions(members=["face"], epoch=9))
    assert [int(sample["face"][0, 0, 0]) for sample in samples] == [0, 1, 2, 3, 4, 5, 6, 0, 1]


def test_what_a_manifest_lists_must_be_there(tmp_path: Path, listed: list[ReleaseShard]) -> None:
    longer = [listed[0].model_copy(update={"samples": 6})]
    with pytest.raises(StorageError, match="5 rows"):
        list(make_pipeline(Storage(str(tmp_path)), longer, ReadOptions()))
    (tmp_path / "shards" / f"{listed[1].name}.tar").unlink()
    with pytest.raises(StorageError, match="the shard is missing"):
        list(make_pipeline(Storage(str(tmp_path)), listed, ReadOptions()))


def test_options_that_cannot_be_are_refused() -> None:
    with pytest.raises(FaceloomError, match="at least one sample"):
        ReadOptions(epoch=0)
    with pytest.raises(FaceloomError, match="`missing` has an unknown value"):
        ReadOptions(missing="none")  # type: ignore[arg-type]
