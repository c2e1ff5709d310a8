"""Read the samples of shards one after the other, undecoded: each reader its own."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from faceloom.pipelines.read.split_pieces import Piece, cut_pieces, own_pieces, own_run
from faceloom.pipelines.store.checked_shards import Listed, read_places, read_samples
from faceloom.pipelines.store.paths import shard_tar
from faceloom.pipelines.store.sample_places import Places
from faceloom.pipelines.store.storage import Storage

PIECE = 32
"""Neighbouring samples that a shuffled epoch reads at a time. One person's samples are neighbours, so a piece must be
small against the shuffle buffer for a batch to hold many people, and large enough that seeking costs little."""


@dataclass(slots=True)
class ShardStream:
    """First stage of a pipeline: the samples of this process. One call is one epoch.

    Attributes:
        storage: the folder that holds `shards/` and `index/`.
        shards: what build record or manifest list of them, in order; at least one sample in all.
        shuffle, seed, verify: as in `open_split`.
        epoch: samples of this rank in an epoch, over all its workers; None to read each sample of all ranks once.
        turn: number of the epoch that this object reads or has read, from 0.
    """

    storage: Storage
    shards: Sequence[Listed]
    shuffle: int = 0
    seed: int = 0
    verify: bool = True
    epoch: int | None = None
    turn: int = -1

    @property
    def total(self) -> int:
        """Number of samples of all shards."""
        return sum(shard.samples for shard in self.shards)

    def __call__(self) -> Iterator[dict[str, Any]]:
        from webdataset import filters
        from webdataset.utils import pytorch_worker_info

        self.turn += 1
        rank, ranks, worker, workers = pytorch_worker_info()
        reader, readers = rank * workers + worker, ranks * workers
        # A DataLoader starts new workers for every epoch, each with a fresh copy of this object. There only the seed
        # that torch draws for all workers differs between epochs; without workers only our own count does.
        drawn = f"{self.seed} {self.turn} {_epoch_seed()}"
        length = PIECE if self.shuffle else None
        if self.epoch is not None:
            pieces = list(self._rounds(self.epoch, f"{drawn} {rank}", length))
        else:
            pieces = own_pieces(self.shards, reader, readers, length)
            if self.shuffle:
                random.Random(f"{drawn} {reader} pieces").shuffle(pieces)
        samples = self._read(pieces)
        if self.shuffle:
            rng = random.Random(f"{drawn} {reader}")
            samples = filters.shuffle(self.shuffle, initial=self.shuffle, rng=rng)(samples)
        yield from samples

    def _rounds(self, epoch: int, drawn: str, length: int | None) -> Iterator[Piece]:
        """The pieces of this worker's share of an epoch.

        The rank reads its own run of samples round after round, and its workers share this sequence. Every worker
        draws the same order of the pieces, so that all together read no sample twice before they have read each once.
        """
        from webdataset.utils import pytorch_worker_info

        rank, ranks, worker, workers = pytorch_worker_info()
        run = own_pieces(self.shards, rank, ranks, length) or own_pieces(self.shards, 0, 1, length)
        share, total = own_run(epoch, worker, workers), sum(map(len, run)) or 1
        for number in range(share.start // total, -(-share.stop // total)):
            order = list(run)
            if self.shuffle:
                random.Random(f"{drawn} round {number}").shuffle(order)
            yield from cut_pieces(order, share.start - number * total, share.stop - number * total)

    def _read(self, pieces: list[Piece]) -> Iterator[dict[str, Any]]:
        listed = {shard.name: shard for shard in self.shards}
        left = Counter(piece.shard for piece in pieces)
        places: dict[str, Places] = {}  # of each shard that has pieces left to read
        for piece in pieces:
            if piece.shard not in places:
                places[piece.shard] = read_places(self.storage, piece.shard, listed[piece.shard])
            url = self.storage.place(shard_tar(piece.shard))
            wanted = map(places[piece.shard].__getitem__, range(piece.start, piece.stop))
            for key, members in read_samples(self.storage, piece.shard, wanted, verify=self.verify):
                yield {"__key__": key, "__url__": url, **members}
            left[piece.shard] -= 1
            if not left[piece.shard]:
                del places[piece.shard]


def _epoch_seed() -> int:
    """The seed that torch draws for the workers of one epoch, the same in each of them; 0 without workers."""
    try:
        from torch.utils.data import get_worker_info
    except ImportError:
        return 0
    info = get_worker_info()
    return info.seed - info.id if info else 0
