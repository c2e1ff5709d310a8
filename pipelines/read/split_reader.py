"""Read a split of a finished build in a training job, as a webdataset pipeline."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from faceloom.pipelines.store.build_record import ShardRecord, read_record
from faceloom.pipelines.store.parquet_tables import read_index_columns
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, StorageError

if TYPE_CHECKING:
    import webdataset

Missing = Literal["error", "skip"] | Mapping[str, Any]

PIECE = 32
"""Neighbouring samples that a shuffled pass reads in one go. A person's samples are neighbours, so a piece must be
small against the shuffle buffer if a batch is to hold many people, and large enough that seeking costs little."""

_GREY = ("mask", "alpha", "guide", "lr_mask")


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
) -> webdataset.FluidWrapper:
    """Open one split of a finished build for training.

    The shards are those that OUT/build.json lists; what else lies in the folder is not looked at. Every sample comes
    exactly once per epoch, whatever the number of ranks and DataLoader workers: each reads its own run of neighbouring
    samples, and no two runs differ by more than one sample in length, also when there are fewer shards than workers.
    Where all ranks must see the very same number of batches, end the pipeline with `.with_epoch(nsamples=...)`, which
    starts over where a run ends early.

    A sample is a dict: `__key__`, then its members in alphabetical order.

    - `face`, `masked`: uint8 (H, W, 3), RGB, 0..255.
    - `mask`: uint8 (H, W), 0 or 255; `alpha` and `guide`: uint8 (H, W), 0..255.
    - `landmarks`: float32 (68, 2), x and y in pixels of the crop, iBUG order.
    - `upper`, `lower`: uint8 (h, W, 3), RGB, parts of the face; `lower_landmarks`: float32 (68, 2), pixels of `lower`.
    - `lr`, `lr_masked`: uint8 (h, w, 3), RGB, at their own small size, which may differ from sample to sample (then
      only batches of one can be made); `lr_mask`: uint8 (h, w), 0 or 255.
    - `lr_upsampled`, `lr_masked_upsampled`: the same enlarged, uint8 (H, W, 3), RGB.
    - `features`: float32 (D,), what the recipe's network says of the face.
    - `json`: a dict with identity, split, source, and every operation with its parameters and seed. It has no fixed
      form, so PyTorch's own collation cannot batch it: name the other members, or map it to what you need.

    In some builds only some samples have a member: where a mask with `when: landmarks_missing` takes photos in which no
    face was found, these have no `landmarks`; if it is the only mask, the others have no `masked`, `mask` or `alpha`.
    Without `members` each sample comes with what it has; what becomes of one that lacks a named member, `missing` says.

    Example:
        samples = open_split("out", "train", shuffle=2000, members=["face", "masked", "mask"])
        loader = torch.utils.data.DataLoader(samples, batch_size=64, num_workers=4)

        unknown = np.full((68, 2), np.nan, np.float32)
        samples = open_split("out", "train", members=["face", "landmarks"], missing={"landmarks": unknown})

    Args:
        out: folder of the build.
        split: `train`, `val`, `test`, or what the source calls it.
        shuffle: size of the shuffle buffer in samples; 0 keeps the order of the shards. When it is set, pieces of
            `PIECE` samples are also read in random order. The order differs from epoch to epoch, and repeats with the
            same `seed`, the same number of readers and the same `torch.manual_seed`.
        seed: of the shuffling.
        decode: otherwise members are bytes and keep their file names, such as `face.jpg`.
        tensors: pictures as uint8 torch tensors (C, H, W), masks (1, H, W), landmarks as a tensor.
        members: those to read, by name without ending; all if not given.
        missing: of a sample that lacks one of `members`: `error` ends the pass, `skip` leaves the sample out, and a
            mapping gives by name what stands in its place: an array as the others are, if they are to be batched. Where
            samples are skipped, the runs of readers may differ in length by more than one.

    Returns:
        A webdataset pipeline: an IterableDataset with `.map`, `.select`, `.batched`, `.with_epoch` and so on.

    Raises:
        StorageError: there is no finished build, or a shard is missing or cut short.
        FaceloomError: the build has no such split, a sample lacks a member that nothing stands in for, `missing` is
            none of these or without `members` for it, or webdataset is not installed.
    """
    _check_missing(missing, members)
    try:
        import webdataset
    except ImportError as error:
        remedy = "Run: pip install 'faceloom[torch]'"
        raise FaceloomError("reading shards for training needs webdataset", value=error, remedy=remedy) from None
    storage = Storage(str(out))
    shards = split_shards(storage, split)
    samples = webdataset.FluidWrapper(_Reader(storage, shards, shuffle, seed))
    wanted = None if members is None else tuple(members)
    return samples.map(partial(_take, members=wanted, missing=missing, decode=decode, tensors=tensors))


def _check_missing(missing: Missing, members: Sequence[str] | None) -> None:
    if isinstance(missing, Mapping):
        if not set(missing) <= set(members or ()):
            remedy = "Name in `members` all that are to be read"
            raise FaceloomError("`missing` gives what is not read", value=", ".join(sorted(missing)), remedy=remedy)
    elif missing not in ("error", "skip"):
        remedy = "Give 'error', 'skip', or a mapping such as {'landmarks': array}"
        raise FaceloomError("no such way with missing members", value=missing, remedy=remedy)
    elif missing == "skip" and members is None:
        raise FaceloomError("nothing can be missing where no members are named", remedy="Name them in `members`")


def split_shards(storage: Storage, split: str) -> tuple[ShardRecord, ...]:
    """The shards of one split of a finished build, each there in full length; their `samples` add up to its size.

    Raises:
        StorageError: there is no finished build, or a shard is missing or cut short.
        FaceloomError: the build has no such split.
    """
    record = read_record(storage)
    shards = tuple(shard for shard in record.shards if shard.split == split)
    if not shards:
        has = ", ".join(record.by_split) or "no samples at all"
        raise FaceloomError("there is no such split", where=storage.root, value=split, remedy=f"The build has: {has}")
    for shard in shards:
        path = shard_tar(shard.name)
        if not storage.exists(path) or storage.size(path) != shard.bytes:
            remedy = "Remove what is left of it and its index, and run the same `faceloom build` again"
            raise StorageError("the shard is missing or cut short", where=path, remedy=remedy)
    return shards


@dataclass(frozen=True, slots=True)
class _Piece:
    """A run of samples in one shard."""

    shard: str
    start: int
    stop: int


def own_pieces(shards: Sequence[ShardRecord], reader: int, readers: int, length: int | None = None) -> list[_Piece]:
    """The samples that one reader of several reads, as pieces of shards.

    Args:
        shards: of the split, in order.
        reader, readers: number of this reader, and how many there are.
        length: of the longest piece; whole shards if not given.
    """
    total = sum(shard.samples for shard in shards)
    first, last = total * reader // readers, total * (reader + 1) // readers
    pieces, begin = [], 0
    for shard in shards:
        start, stop = max(first - begin, 0), min(last - begin, shard.samples)
        step = length or max(1, shard.samples)
        pieces += [_Piece(shard.name, at, min(at + step, stop)) for at in range(start, stop, step)]
        begin += shard.samples
    return pieces


@dataclass(slots=True)
class _Reader:
    """First stage of the pipeline: the samples of this process, undecoded. One call is one epoch."""

    storage: Storage
    shards: tuple[ShardRecord, ...]
    shuffle: int
    seed: int
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
        # A DataLoader starts its workers anew for every epoch, each with a fresh copy of this object: only the seed
        # that torch gives the worker tells one epoch from the next there, and only our count does without workers.
        rng = random.Random(f"{self.seed} {self.epoch} {reader} {_worker_seed()}")
        pieces = own_pieces(self.shards, reader, readers, PIECE)
        rng.shuffle(pieces)
        yield from filters.shuffle(self.shuffle, initial=self.shuffle, rng=rng)(self._read(pieces))

    def _read(self, pieces: list[_Piece]) -> Iterator[dict[str, Any]]:
        from webdataset.tariterators import group_by_keys, tar_file_expander

        offsets: dict[str, list[int]] = {}
        for piece in pieces:
            if piece.start and piece.shard not in offsets:
                offsets[piece.shard] = read_index_columns(self.storage, shard_index(piece.shard), ["offset"])["offset"]
            path = self.storage.local(shard_tar(piece.shard))
            with path.open("rb") as stream:
                stream.seek(offsets[piece.shard][piece.start] if piece.start else 0)
                files = tar_file_expander([{"url": str(path), "stream": stream}])
                yield from islice(group_by_keys(files), piece.stop - piece.start)


def _worker_seed() -> int:
    try:
        from torch.utils.data import get_worker_info
    except ImportError:
        return 0
    info = get_worker_info()
    return info.seed if info else 0


def _take(
    sample: dict[str, Any], *, members: tuple[str, ...] | None, missing: Missing, decode: bool, tensors: bool
) -> dict[str, Any] | None:
    """Pick the wanted members of a raw sample and decode them; None leaves the sample out."""
    files = {name.partition(".")[0]: name for name in sorted(sample) if not name.startswith("__")}
    wanted = files if members is None else members
    taken: dict[str, Any] = {"__key__": sample["__key__"]}
    for member in sorted(wanted):
        if member in files:
            name = files[member]
            if not decode:
                taken[name] = sample[name]
                continue
            value = decode_member(name, sample[name])
        elif isinstance(missing, Mapping) and member in missing:
            value = deepcopy(missing[member])  # whoever changes one sample must not change all
        elif missing == "skip":
            return None
        else:
            where, has = f"{sample['__url__']}::{sample['__key__']}", ", ".join(files)
            remedy = f"It has: {has}. Where only some samples lack it, missing='skip' leaves them out"
            raise FaceloomError("the sample has no such member", where=where, value=member, remedy=remedy)
        taken[member] = _tensor(value) if tensors and member != "json" else value
    return taken


def decode_member(name: str, data: bytes) -> Any:
    """Decode one member of a sample by its file name.

    Args:
        name: such as `face.jpg`, `mask.png`, `landmarks.npy` or `json`.
        data: its content.

    Returns:
        uint8 (H, W, 3) RGB for pictures; uint8 (H, W) for `mask`, `alpha`, `guide` and `lr_mask`; an array for `.npy`;
        else a dict.
    """
    if name.endswith("json"):
        return json.loads(data)
    import numpy as np

    if name.endswith(".npy"):
        return np.load(BytesIO(data), allow_pickle=False)
    import cv2

    flag = cv2.IMREAD_GRAYSCALE if name.partition(".")[0] in _GREY else cv2.IMREAD_COLOR_RGB
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if picture is None:
        raise StorageError("a picture in a shard cannot be decoded", where=name, remedy="Build it again")
    return picture


def _tensor(value: Any) -> Any:
    import numpy as np
    import torch

    if not isinstance(value, np.ndarray):  # what somebody gave for a missing member may be anything
        return value
    if value.dtype != "uint8":
        return torch.from_numpy(value)
    picture = torch.from_numpy(value)
    return picture[None] if picture.ndim == 2 else picture.permute(2, 0, 1).contiguous()
