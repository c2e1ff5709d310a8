"""Training pairs from a finished build: checked, read once into memory, and dealt out in an order the seed fixes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from faceloom.models.presets import CompactPreset, PaperPreset
from faceloom.pipelines.read.split_pieces import split_shards
from faceloom.pipelines.read.split_reader import open_split
from faceloom.pipelines.store.build_record import BuildRecord, read_record
from faceloom.pipelines.store.parquet_tables import read_index_columns
from faceloom.pipelines.store.paths import BUILD_RECORD, shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import TrainingError
from faceloom.schemas.keys import face_key, seed_of
from faceloom.schemas.model_card import DataCard

if TYPE_CHECKING:
    from torch import Tensor

    from faceloom.models.pairs import Pairs

TRAIN, VAL = "train", "val"
HELD_OUT = 10
"""Without a split `val`, about one in so many training pairs is held out to choose the best epoch by."""
MAX_BYTES = 8 * 2**30
"""Pairs are held in memory as bytes, 28 KiB each at 64x64; this is as much as they may take."""


@dataclass(frozen=True, eq=False)
class PairSet:
    """Pairs in memory, in the order of their keys.

    Attributes:
        keys: of the samples.
        face, masked: uint8 (N, 3, S, S), RGB.
        mask: coverage, uint8 (N, 1, S, S): the soft one if the build has it, else 0 or 255.
    """

    keys: tuple[str, ...]
    face: Tensor
    masked: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return len(self.keys)

    def part(self, numbers: list[int]) -> PairSet:
        """Some of the pairs, by their numbers."""
        keys = tuple(self.keys[number] for number in numbers)
        return PairSet(keys, self.face[numbers], self.masked[numbers], self.mask[numbers])

    def batches(self, batch: int, device: str, order: list[int] | None = None) -> Iterator[Pairs]:
        """All pairs in batches of `batch`, the last one smaller, as floats on a device.

        Args:
            order: numbers of the pairs; that of the keys if not given.
        """
        from faceloom.models.pairs import Pairs

        numbers = list(range(len(self))) if order is None else order
        for start in range(0, len(numbers), batch):
            chosen = numbers[start : start + batch]
            yield Pairs.from_bytes(self.face[chosen], self.masked[chosen], self.mask[chosen], device)

    def epoch(self, batch: int, device: str, seed: int, epoch: int) -> Iterator[Pairs]:
        """All pairs in batches, in an order that depends on seed and epoch only."""
        import numpy as np

        rng = np.random.default_rng(seed_of(seed, f"epoch {epoch}", "order"))
        yield from self.batches(batch, device, rng.permutation(len(self)).tolist())


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What a network is trained on, and what its card says of it."""

    train: PairSet
    held_out: PairSet
    card: DataCard


def fit_preset(out: str, preset: PaperPreset | CompactPreset) -> PaperPreset | CompactPreset:
    """Hold a build's crops to a preset, before anything is read; returns the preset for their size.

    `paper` takes one size only; `compact` any square whose side is a multiple of its stride.

    Raises:
        StorageError: there is no finished build.
        TrainingError: the build has no masked faces, no split `train`, or crops that do not fit.
    """
    record = read_record(Storage(out))
    recipe = "recipes/lee2022.yaml makes pairs that do"
    if not record.recipe.get("masks"):
        raise TrainingError("the build holds no masked faces", where=out, remedy=f"Add `masks` to its recipe; {recipe}")
    if not record.by_split.get(TRAIN):
        has = ", ".join(record.by_split) or "none"
        raise TrainingError("the build has no split `train`", where=out, value=has, remedy=f"Give it one; {recipe}")
    size = record.recipe["align"]["size"]
    width, height = (size, size) if isinstance(size, int) else size
    fits = width == height and (
        width % preset.stride == 0 if isinstance(preset, CompactPreset) else width == preset.size
    )
    if not fits:
        wanted = f"a multiple of {preset.stride}" if isinstance(preset, CompactPreset) else str(preset.size)
        remedy = f"Build with `align: {{mode: eye_level, size: {preset.size}}}`; {recipe}"
        what = f"the build's crops do not fit `{preset.name}`, which takes squares with a side of {wanted}"
        raise TrainingError(what, where=out, value=f"{width}x{height}", remedy=remedy)
    return replace(preset, size=width)


def open_pairs(out: str, preset: PaperPreset | CompactPreset, *, seed: int, workers: int = 0) -> TrainingData:
    """Read the pairs to train on, and those to choose the best epoch by: split `val`, or a tenth of `train`.

    Args:
        out: folder of a build that `fit_preset` has accepted.
        preset: for that build.
        seed: decides who is held out where there is no `val`.
        workers: processes that read and decode.

    Raises:
        StorageError: a shard is missing or damaged.
        TrainingError: too few pairs, or more than may be held in memory.
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


@dataclass(frozen=True, slots=True)
class Divided:
    """Keys of samples to train on, and of samples held out. Whom one shows, the other does not.

    Attributes:
        text: how they were divided.
    """

    train: frozenset[str]
    held_out: frozenset[str]
    text: str


def faces_of(storage: Storage, split: str) -> dict[str, tuple[tuple[str, str], ...]]:
    """Whom each sample of a split shows, by its key: identity and key of its face, or of both faces of a morph.

    Raises:
        StorageError: there is no finished build, or a shard is missing or cut short.
        FaceloomError: there is no such split.
    """
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    names = ["key", "identity", "photo_sha256", "face", "parents"]
    for shard in split_shards(storage, split):
        columns = read_index_columns(storage, shard_index(shard.name), names)
        for key, identity, photo, face, parents in zip(*(columns[name] for name in names), strict=True):
            mixed = tuple((str(parent["identity"]), str(parent["key"])) for parent in parents)
            found[key] = mixed or ((identity, face_key(photo, face)),)
    return found


def hold_out(faces: Mapping[str, tuple[tuple[str, str], ...]], seed: int) -> Divided:
    """Hold out about one in `HELD_OUT` samples with all others of the same people, drawn by the seed.

    Of few people each is too large a share, so that faces are held out instead; the samples of a single face are
    divided themselves. Morphs of someone held out with someone who is not are on neither side.

    Args:
        faces: of `faces_of`, at least one.
    """
    word, groups = _groups(faces)
    sizes = _sizes(groups)
    ranked = sorted(sizes, key=lambda name: seed_of(seed, name, "held out"))
    room = max(1, sizes.total() // HELD_OUT)
    chosen: set[str] = set()
    for name in ranked:
        if sizes[name] <= room:
            chosen.add(name)
            room -= sizes[name]
    # Where everyone has too many samples, whoever has fewest.
    chosen = chosen or {min(ranked, key=sizes.__getitem__)}
    train = frozenset(key for key, group in groups.items() if not group & chosen)
    held_out = frozenset(key for key, group in groups.items() if group <= chosen)
    text = f"one in {HELD_OUT} of train, by seed: {word} of whom train holds nothing"
    if left := len(faces) - len(train) - len(held_out):
        text += f"; {left} morphs of both are left out"
    return Divided(train, held_out, text)


def _groups(faces: Mapping[str, tuple[tuple[str, str], ...]]) -> tuple[str, dict[str, set[str]]]:
    """What is held out together, in a word, and which of these each sample shows."""
    people = {key: {identity for identity, _ in shown} for key, shown in faces.items()}
    if len(_sizes(people)) >= HELD_OUT:
        return "people", people
    single = {key: {face for _, face in shown} for key, shown in faces.items()}
    return ("faces", single) if len(_sizes(single)) > 1 else ("pairs", {key: {key} for key in faces})


def _sizes(groups: Mapping[str, set[str]]) -> Counter[str]:
    """How many samples there are of each alone."""
    return Counter(name for group in groups.values() if len(group) == 1 for name in group)


def _numbers(pairs: PairSet, keys: frozenset[str]) -> list[int]:
    return [number for number, key in enumerate(pairs.keys) if key in keys]


def read_pairs(out: str, split: str, *, workers: int = 0) -> PairSet:
    """Read one split of a build into memory; the same for any number of workers.

    Raises:
        StorageError: there is no finished build, or a shard is missing or damaged.
        FaceloomError: there is no such split, or a sample lacks a member.
    """
    import torch

    record = read_record(Storage(out))
    coverage = "alpha" if record.recipe["output"]["alpha"] else "mask"
    samples = open_split(out, split, members=["face", "masked", coverage], tensors=True)
    total = record.by_split.get(split, 0)
    readers = min(workers, total)
    found = sorted(torch.utils.data.DataLoader(samples, batch_size=None, num_workers=readers), key=_key)
    stacked = (torch.stack([sample[name] for sample in found]) for name in ("face", "masked", coverage))
    return PairSet(tuple(map(_key, found)), *stacked)


def _key(sample: dict[str, Any]) -> str:
    return str(sample["__key__"])


def build_digest(storage: Storage) -> str:
    """sha256 of a build's record: two builds with the same one hold the same."""
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
        name=str(record.recipe["name"]),
        digest=build_digest(storage),
        plan=record.plan,
        align=record.recipe["align"],
        masks=masks,
        licences=licences,
        consents=consents,
        train=train,
        held_out=held_out,
        held_out_from=source,
    )
