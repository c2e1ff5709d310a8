"""Which samples of a split each reader reads: all of them once, and evenly."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.read.split_pieces import Piece, cut_pieces, own_pieces, own_run, split_shards
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from tests.pipelines.read.builds import a_shard, make_build


@pytest.mark.parametrize(
    ("damage", "message"), [("gone", "is missing"), ("short", "has 13,736 bytes.*14,336"), ("long", "has 14,337 bytes")]
)
def test_a_missing_short_or_long_shard_is_refused_at_once(tmp_path: Path, damage: str, message: str) -> None:
    make_build(tmp_path, [("train", 2)])
    (shard,) = (tmp_path / "shards").iterdir()
    data = shard.read_bytes()
    shard.unlink()
    if damage != "gone":
        shard.write_bytes(data[:-600] if damage == "short" else data + b"x")
    with pytest.raises(StorageError, match=f"shards/train-.*the shard {message}.*`faceloom build` again"):
        split_shards(Storage(str(tmp_path)), "train")


def test_split_shards_lists_the_shards_of_a_split(tmp_path: Path) -> None:
    make_build(tmp_path, [("train", 5), ("train", 1), ("test", 4), ("train", 7)])
    shards = split_shards(Storage(str(tmp_path)), "train")
    assert [shard.samples for shard in shards] == [5, 1, 7]
    assert {shard.split for shard in shards} == {"train"}


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=6),
    st.integers(1, 12),
    st.one_of(st.none(), st.integers(1, 10)),
)
def test_pieces_cover_all_samples_once_and_evenly(counts: list[int], readers: int, length: int | None) -> None:
    shards = [a_shard(str(number), count) for number, count in enumerate(counts)]
    per_reader = [own_pieces(shards, reader, readers, length) for reader in range(readers)]
    seen = [(piece.shard, at) for pieces in per_reader for piece in pieces for at in range(piece.start, piece.stop)]
    assert seen == [(shard.name, at) for shard in shards for at in range(shard.samples)]
    sizes = [sum(piece.stop - piece.start for piece in pieces) for pieces in per_reader]
    assert max(sizes) - min(sizes) <= 1
    assert all(0 < piece.stop - piece.start <= (length or 40) for pieces in per_reader for piece in pieces)


def test_a_run_is_cut_out_of_pieces_in_their_order() -> None:
    pieces = [Piece("b", 4, 8), Piece("a", 0, 3)]
    assert cut_pieces(pieces, 2, 5) == [Piece("b", 6, 8), Piece("a", 0, 1)]
    assert cut_pieces(pieces, -9, 99) == pieces
    assert cut_pieces(pieces, 7, 9) == cut_pieces(pieces, 3, 3) == []


def test_runs_follow_each_other() -> None:
    assert [list(own_run(5, reader, 3)) for reader in range(3)] == [[0], [1, 2], [3, 4]]
    assert [len(own_run(1, reader, 3)) for reader in range(3)] == [0, 0, 1]


def test_all_splits_together(tmp_path: Path) -> None:
    make_build(tmp_path, [("train", 5), ("test", 4)])
    assert [shard.samples for shard in split_shards(Storage(str(tmp_path)), None)] == [5, 4]
