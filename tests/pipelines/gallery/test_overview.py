"""Counting shards, and drawing the samples that a page shows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from faceloom.pipelines.gallery import overview
from faceloom.pipelines.gallery.overview import Overview, look_over
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import ShardRecord, read_record
from faceloom.pipelines.store.parquet_tables import read_index
from faceloom.pipelines.store.paths import shard_index
from faceloom.pipelines.store.storage import Storage


def look(storage: Storage, most: int = 100, most_shards: int = 10) -> Overview:
    return look_over(storage, read_record(storage).shards, most=most, most_shards=most_shards, watcher=Watcher())


@pytest.fixture
def storage(strange_build: Path) -> Storage:
    return Storage(str(strange_build))


def test_counts_are_those_of_the_record(storage: Storage) -> None:
    record, found = read_record(storage), look(storage)
    assert dict(found.by_split) == record.by_split and dict(found.by_mask) == record.by_mask
    assert dict(found.by_source) == record.by_source and found.samples == 24 and found.all_people == 6
    assert all(count.total() == 12 for count in found.people.values())


def test_each_sample_is_drawn_once_and_is_that_of_its_row(storage: Storage) -> None:
    drawn, shards = look(storage).drawn, read_record(storage).shards
    assert len({one.key for one in drawn}) == 24
    for one in drawn:
        row = read_index(storage, shard_index(shards[one.shard].name))[one.row]
        assert (row.key, row.mask, row.split, row.people) == (one.key, one.mask, one.split, one.people)


def test_splits_and_masks_take_turns(storage: Storage) -> None:
    drawn = look(storage, most=8).drawn
    assert Counter((one.split, one.mask) for one in drawn) == dict.fromkeys(
        [(split, mask) for split in ("test", "train") for mask in ("polygon-A", "surgical")], 2
    )
    assert look(storage, most=8).drawn == drawn and drawn != look(storage).drawn[:7]


def test_samples_come_from_few_shards_of_all_splits() -> None:
    shards = [
        ShardRecord(name=f"{split}-{n}", split=split, samples=n, bytes=1, sha256="", index_bytes=1, index_sha256="")
        for split in ("train", "val")
        for n in range(20)
    ]
    chosen = overview._draw_shards(shards, 6)
    assert len(chosen) == 6 and Counter(shards[n].split for n in chosen) == {"train": 3, "val": 3}
    assert all(shards[n].samples for n in overview._draw_shards(shards, 100))


def test_only_chosen_shards_give_samples_but_all_are_counted(storage: Storage) -> None:
    found = look(storage, most_shards=1)
    assert found.samples == 24 and len({one.shard for one in found.drawn}) == 1
