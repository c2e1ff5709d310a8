"""Read a split of a finished build in a training job, as a webdataset pipeline."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceloom.pipelines.read.sample_members import Missing, check_missing, pick_members
from faceloom.pipelines.read.split_pieces import Piece, own_pieces, split_shards
from faceloom.pipelines.store.build_record import ShardRecord
from faceloom.pipelines.store.checked_shards import read_places, read_samples
from faceloom.pipelines.store.paths import shard_tar
from faceloom.pipelines.store.sample_places import Places
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError

if TYPE_CHECKING:
    import webdataset

PIECE = 32
"""Neighbouring samples that a shuffled epoch reads at a time. One person's samples are neighbours, so a piece must be
small against the shuffle buffer for a batch to hold many people, and large enough that seeking costs little."""


def open_split(
    out: str | Path,
    split: str,
    *,
    shuffle: int = 0,
    seed: int = 0,
    decode: bool = True,
    tensors: bool = False,
    members: Sequence[str] | None = None,
    missing: Missing = "error",
    verify: bool = True,
) -> webdataset.FluidWrapper:
    """Open one split of a finished build for training.

    It reads the shards that OUT/build.json lists and ignores other files. Every sample comes exactly once per epoch,
    for any number of ranks and DataLoader workers: each reads its own run of neighbouring samples, and no two runs
    differ by more than one sample, even if there are fewer shards than workers. If all ranks need exactly the same
    number of batches, end the pipeline with `.with_epoch(nsamples=...)`, which restarts a run that ends early.

    A sample is a dict: `__key__`, then its members in alphabetical order.

    - `face`, `masked`: uint8 (H, W, 3), RGB, 0..255.
    - `mask`: uint8 (H, W), 0 or 255; `alpha` and `guide`: uint8 (H, W), 0..255.
    - `landmarks`: float32 (68, 2), x and y in pixels of the crop, iBUG order.
    - `upper`, `lower`: uint8 (h, W, 3), RGB, parts of the face; `lower_landmarks`: float32 (68, 2), pixels of `lower`.
    - `lr`, `lr_masked`: uint8 (h, w, 3), RGB, at their own small size. If it differs from sample to sample, the batch
      size must be 1. `lr_mask`: uint8 (h, w), 0 or 255.
    - `lr_upsampled`, `lr_masked_upsampled`: the same enlarged, uint8 (H, W, 3), RGB.
    - `features`: float32 (D,), the output of the recipe's network for the face.
    - `json`: a dict with identity, split, source, and every operation with its parameters and seed. Its fields vary,
      so PyTorch cannot collate it into a batch: list the other members, or map it to what you need.

    In some builds only some samples have a member: if a mask with `when: landmarks_missing` uses photos in which no
    face was found, these have no `landmarks`; if it is the only mask, the others have no `masked`, `mask` or `alpha`.
    Without `members`, each sample comes with the members that it has; with `members`, `missing` decides.

    Example:
        samples = open_split("out", "train", shuffle=2000, members=["face", "masked", "mask"])
        loader = torch.utils.data.DataLoader(samples, batch_size=64, num_workers=4)

        unknown = np.full((68, 2), np.nan, np.float32)
        samples = open_split("out", "train", members=["face", "landmarks"], missing={"landmarks": unknown})

    Args:
        out: folder of the build.
        split: `train`, `val`, `test`, or a split name of the source.
        shuffle: size of the shuffle buffer in samples; 0 keeps the order of the shards. A shuffled epoch also reads
            pieces of `PIECE` samples in random order. The order differs from epoch to epoch. It repeats with the same
            `seed`, the same number of readers and the same `torch.manual_seed`.
        seed: seed of the shuffling.
        decode: decode the members; otherwise they are bytes under their file names, such as `face.jpg`.
        tensors: return pictures as uint8 torch tensors (C, H, W), masks as (1, H, W), landmarks as a tensor.
        members: names of the members to read, without file ending; None for all.
        missing: what to do with a sample that lacks one of `members`: `error` ends the epoch with an error, `skip`
            leaves the sample out, and a mapping holds the values to use, by member: arrays of the usual shape if they
            go into batches. With `skip`, the runs of readers may differ by more than one sample.
        verify: compare every byte that is read with the index: keys, names, and the sha256 of each member. Damage ends
            the epoch with an error that names shard, sample and member.

    Returns:
        A webdataset pipeline: an IterableDataset with `.map`, `.select`, `.batched`, `.with_epoch` and so on.

    Raises:
        StorageError: there is no finished build, or a shard is missing or of another length than listed; while reading,
            a shard or its index is damaged.
        FaceloomError: the build has no such split, a sample lacks a member, `missing` is invalid or does not fit
            `members`, or webdataset is not installed.
    """
    check_missing(missing, members)
    try:
        import webdataset
    except ImportError as error:
        remedy = "Run: pip install 'faceloom[torch]'"
        raise FaceloomError("reading shards for training needs webdataset", value=error, remedy=remedy) from None
    storage = Storage(str(out))
    shards = split_shards(storage, split)
    samples = webdataset.FluidWrapper(_Reader(storage, shards, shuffle, seed, verify))
    wanted = None if members is None else tuple(members)
    return samples.map(partial(pick_members, members=wanted, missing=missing, decode=decode, tensors=tensors))


@dataclass(slots=True)
class _Reader:
    """First stage of the pipeline: the samples of this process, undecoded. One call is one epoch."""

    storage: Storage
    shards: tuple[ShardRecord, ...]
    shuffle: int
    seed: int
    verify: bool
    epoch: int = -1

    def __call__(self) -> Iterator[dict[str, Any]]:
        from webdataset import filters
        from webdataset.utils import pytorch_worker_info

        self.epoch += 1
        rank, ranks, worker, workers = pytorch_worker_info()
        reader, readers = rank * workers + worker, ranks * workers
        if not self.shuffle:
            yield from self._read(own_pieces(self.shards, reader, readers))
            return
        # A DataLoader starts new workers for every epoch, each with a fresh copy of this object. There only the seed
        # that torch gives the worker differs between epochs; without workers only our own count does.
        rng = random.Random(f"{self.seed} {self.epoch} {reader} {_worker_seed()}")
        pieces = own_pieces(self.shards, reader, readers, PIECE)
        rng.shuffle(pieces)
        yield from filters.shuffle(self.shuffle, initial=self.shuffle, rng=rng)(self._read(pieces))

    def _read(self, pieces: list[Piece]) -> Iterator[dict[str, Any]]:
        listed = {shard.name: shard for shard in self.shards}
        left = Counter(piece.shard for piece in pieces)
        places: dict[str, Places] = {}  # of each shard that has pieces left to read
        for piece in pieces:
            if piece.shard not in places:
                places[piece.shard] = read_places(self.storage, piece.shard, listed[piece.shard])
            url = str(self.storage.local(shard_tar(piece.shard)))
            wanted = map(places[piece.shard].__getitem__, range(piece.start, piece.stop))
            for key, members in read_samples(self.storage, piece.shard, wanted, verify=self.verify):
                yield {"__key__": key, "__url__": url, **members}
            left[piece.shard] -= 1
            if not left[piece.shard]:
                del places[piece.shard]


def _worker_seed() -> int:
    try:
        from torch.utils.data import get_worker_info
    except ImportError:
        return 0
    info = get_worker_info()
    return info.seed if info else 0
