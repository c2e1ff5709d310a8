"""Training pairs of a finished build: checked, read once into memory, and batched in a seeded order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from faceloom.models.presets import MOST_SIZE, CompactPreset, PaperPreset
from faceloom.pipelines.read.split_pieces import split_shards
from faceloom.pipelines.read.split_reader import open_split
from faceloom.pipelines.store.build_record import BuildRecord, read_record
from faceloom.pipelines.store.checked_shards import AGAIN
from faceloom.pipelines.store.parquet_tables import read_index_columns
from faceloom.pipelines.store.paths import BUILD_RECORD, shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.training.held_out import TRAIN, VAL, faces_of, hold_out
from faceloom.schemas.errors import FaceloomError, StorageError, TrainingError
from faceloom.schemas.keys import seed_of
from faceloom.schemas.model_card import DataCard

if TYPE_CHECKING:
    from torch import Tensor

    from faceloom.models.pairs import Pairs

MAX_BYTES = 8 * 2**30
"""Limit on the pairs in memory. They are uint8: 28 KiB per pair of 64x64 pixels."""


@dataclass(frozen=True, eq=False)
class PairSet:
    """Pairs in memory, in the order of their keys.

    Attributes:
        keys: sample keys.
        face, masked: uint8 (N, 3, S, S), RGB.
        mask: coverage, uint8 (N, 1, S, S), 0..255: soft if the build has soft masks, otherwise 0 or 255.
    """

    keys: tuple[str, ...]
    face: Tensor
    masked: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return len(self.keys)

    def part(self, numbers: list[int]) -> PairSet:
        """Return the pairs at these positions."""
        keys = tuple(self.keys[number] for number in numbers)
        return PairSet(keys, self.face[numbers], self.masked[numbers], self.mask[numbers])

    def batches(self, batch: int, device: str, order: list[int] | None = None) -> Iterator[Pairs]:
        """Yield all pairs as floats on a device, in batches of `batch`; the last batch may be smaller.

        Args:
            batch: pairs per batch.
            device: `cpu` or `cuda`.
            order: positions of the pairs; by default the order of the keys.
        """
        from faceloom.models.pairs import Pairs

        numbers = list(range(len(self))) if order is None else order
        for start in range(0, len(numbers), batch):
            chosen = numbers[start : start + batch]
            yield Pairs.from_bytes(self.face[chosen], self.masked[chosen], self.mask[chosen], device)

    def epoch(self, batch: int, device: str, seed: int, epoch: int) -> Iterator[Pairs]:
        """Yield all pairs in batches, in an order that depends only on the seed and the epoch."""
        import numpy as np

        rng = np.random.default_rng(seed_of(seed, f"epoch {epoch}", "order"))
        yield from self.batches(batch, device, rng.permutation(len(self)).tolist())


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Training pairs, held-out pairs, and their description for the card."""

    train: PairSet
    held_out: PairSet
    card: DataCard


def fit_preset(out: str, preset: PaperPreset | CompactPreset) -> PaperPreset | CompactPreset:
    """Check that a preset can be trained on the crops of a build; returns the preset with their size.

    `paper` takes one size only; `compact` takes any square whose side is a multiple of its stride.

    Raises:
        StorageError: there is no finished build.
        TrainingError: the build has no masked faces, no split `train`, or crops that do not fit.
    """
    record = read_record(Storage(out))
    recipe = "recipes/lee2022.yaml builds suitable pairs"
    if not record.settings.masks:
        raise TrainingError("the build has no masked faces", where=out, remedy=f"Add `masks` to its recipe; {recipe}")
    if not record.by_split.get(TRAIN):
        has = ", ".join(record.by_split) or "none"
        raise TrainingError("the build has no split `train`", where=out, value=has, remedy=f"Add one; {recipe}")
    width, height = record.settings.align.width_height
    fits = width == height <= MOST_SIZE and (
        width % preset.stride == 0 if isinstance(preset, CompactPreset) else width == preset.size
    )
    if not fits:
        wanted = (
            f"a multiple of {preset.stride}, at most {MOST_SIZE}"
            if isinstance(preset, CompactPreset)
            else str(preset.size)
        )
        remedy = f"Build with `align: {{mode: eye_level, size: {preset.size}}}`; {recipe}"
        what = f"the crops of the build do not fit `{preset.name}`, which takes squares with a side of {wanted}"
        raise TrainingError(what, where=out, value=f"{width}x{height}", remedy=remedy)
    return replace(preset, size=width)


def open_pairs(out: str, preset: PaperPreset | CompactPreset, *, seed: int, workers: int = 0) -> TrainingData:
    """Read the training pairs and the held-out pairs that choose the best epoch: split `val`, or a tenth of `train`.

    Args:
        out: folder of a build that `fit_preset` has accepted.
        preset: from `fit_preset`.
        seed: draws the held-out samples if there is no split `val`.
        workers: processes that read and decode; 0 reads in this process.

    Raises:
        StorageError: a shard is missing or damaged.
        TrainingError: there are too few pairs, or more than fit into memory.
    """
    storage = Storage(out)
    record = read_record(storage)
    count = record.by_split[TRAIN] + record.by_split.get(VAL, 0)
    needed = count * 7 * preset.size**2
    if needed > MAX_BYTES:
        remedy = "Build fewer pairs (`per_face`, fewer photos), or smaller ones"
        what = f"{count:,} pairs do not fit into memory"
        raise TrainingError(what, where=out, value=f"{needed / 2**30:.0f} GiB", remedy=remedy)
    train = read_pairs(out, TRAIN, workers=workers)
    if record.by_split.get(VAL):
        held_out, source = read_pairs(out, VAL, workers=workers), "split val"
    else:
        divided = hold_out(faces_of(storage, TRAIN), seed)
        held_out, source = train.part(_numbers(train, divided.held_out)), divided.text
        train = train.part(_numbers(train, divided.train))
    if not len(train):
        remedy = "Build at least two pairs; the paper had 204"
        raise TrainingError("there are too few pairs to train on", where=out, value=count, remedy=remedy)
    return TrainingData(train, held_out, _card(storage, record, len(train), len(held_out), source))


def _numbers(pairs: PairSet, keys: frozenset[str]) -> list[int]:
    return [number for number, key in enumerate(pairs.keys) if key in keys]


def read_pairs(out: str, split: str, *, workers: int = 0) -> PairSet:
    """Read one split of a build into memory, in the order of the keys for any number of workers.

    Raises:
        StorageError: there is no finished build, or a shard is missing or damaged.
        FaceloomError: the build has no such split, or a sample lacks a member or has another size than the others.
    """
    import torch

    record = read_record(Storage(out))
    coverage = "alpha" if record.settings.output.alpha else "mask"
    samples = open_split(out, split, members=["face", "masked", coverage], tensors=True)
    total = record.by_split.get(split, 0)
    readers = min(workers, total)
    with _errors_of_workers():
        found = sorted(torch.utils.data.DataLoader(samples, batch_size=None, num_workers=readers), key=_key)
    sizes = Counter(tuple(sample[name].shape[1:]) for sample in found for name in ("face", "masked", coverage))
    if len(sizes) > 1:
        value = ", ".join(f"{height}x{width}" for height, width in sizes)
        raise StorageError("the pictures of a split differ in size", where=f"{out}, {split}", value=value, remedy=AGAIN)
    stacked = (torch.stack([sample[name] for sample in found]) for name in ("face", "masked", coverage))
    return PairSet(tuple(map(_key, found)), *stacked)


@contextmanager
def _errors_of_workers() -> Iterator[None]:
    """Raise an error of a DataLoader's worker as it was; torch makes one whose text is the worker's traceback."""
    try:
        yield
    except FaceloomError as error:
        _, found, text = error.what.rpartition(f"errors.{type(error).__name__}: ")
        if not found:
            raise
        raise type(error)(text.strip()) from None


def _key(sample: dict[str, Any]) -> str:
    return str(sample["__key__"])


def build_digest(storage: Storage) -> str:
    """sha256 of the record of a build; builds with equal digests hold the same samples."""
    import hashlib

    return hashlib.sha256(storage.read_bytes(BUILD_RECORD)).hexdigest()


def _card(storage: Storage, record: BuildRecord, train: int, held_out: int, source: str) -> DataCard:
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("mask", "licence", "consent")}
    splits = [split for split in (TRAIN, VAL) if record.by_split.get(split)]
    for split in splits:
        for shard in split_shards(storage, split):
            columns = read_index_columns(storage, shard_index(shard.name), list(counts))
            for name, values in columns.items():
                counts[name].update(value or "not stated" for value in values)
    masks, licences, consents = (dict(sorted(counter.items())) for counter in counts.values())
    return DataCard(
        name=record.settings.name,
        digest=build_digest(storage),
        plan=record.plan,
        align=record.settings.align,
        masks=masks,
        licences=licences,
        consents=consents,
        train=train,
        held_out=held_out,
        held_out_from=source,
    )
