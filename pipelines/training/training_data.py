"""Training samples of a finished build: checked, read once into memory, and batched in a seeded order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceloom.models.build_facts import BuildFacts, coverage_member
from faceloom.models.preset import Preset
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

    from faceloom.models.job import Job

MAX_BYTES = 8 * 2**30
"""Limit on the samples in memory. They are uint8: 28 KiB per pair of 64x64 pixels."""
CROPS, GREY = ("face", "masked", "mask", "guide", "lr_upsampled"), ("mask", "guide")
"""Members that show the whole crop, and those with one channel."""


@dataclass(frozen=True, eq=False)
class SampleSet:
    """Samples in memory, in the order of their keys.

    Attributes:
        keys: sample keys.
        members: by name, tensors with one entry per sample: pictures uint8 (N, C, H, W), 0..255, other members as they
            are read, labels of the job.
    """

    keys: tuple[str, ...]
    members: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(self.keys)

    def part(self, numbers: list[int]) -> SampleSet:
        """Return the samples at these positions."""
        keys = tuple(self.keys[number] for number in numbers)
        return SampleSet(keys, {name: values[numbers] for name, values in self.members.items()})

    def batches(self, batch: int, device: str, order: list[int] | None = None) -> Iterator[dict[str, Tensor]]:
        """Yield all samples on a device, in batches of `batch`; the last batch may be smaller.

        Args:
            batch: samples per batch.
            device: `cpu` or `cuda`.
            order: positions of the samples; by default the order of the keys.
        """
        numbers = list(range(len(self))) if order is None else order
        for start in range(0, len(numbers), batch):
            chosen = numbers[start : start + batch]
            yield {name: _moved(values[chosen], device) for name, values in self.members.items()}

    def epoch(self, batch: int, device: str, seed: int, epoch: int) -> Iterator[dict[str, Tensor]]:
        """Yield all samples in batches, in an order that depends only on the seed and the epoch."""
        import numpy as np

        rng = np.random.default_rng(seed_of(seed, f"epoch {epoch}", "order"))
        yield from self.batches(batch, device, rng.permutation(len(self)).tolist())


def _moved(values: Tensor, device: str) -> Tensor:
    """On a device; pictures become floats, 0..1."""
    import torch

    moved = values.to(device, non_blocking=True)
    return moved.float() / 255 if values.dtype == torch.uint8 else moved


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Training samples, held-out samples, and their description for the card."""

    train: SampleSet
    held_out: SampleSet
    card: DataCard


def facts_of(out: str) -> BuildFacts:
    """What a job can know about a build before any work.

    Raises:
        StorageError: there is no finished build.
    """
    storage = Storage(out)
    record = read_record(storage)

    def people() -> tuple[str, ...]:
        return tuple(sorted({person for shown in faces_of(storage, TRAIN).values() for person, _ in shown}))

    def read(members: tuple[str, ...]) -> Iterable[Mapping[str, Any]]:
        return open_split(out, TRAIN, members=members)

    def photos() -> dict[str, int]:
        shown = {face for faces in faces_of(storage, TRAIN).values() for face in faces}
        return dict(sorted(Counter(person for person, _ in shown).items()))

    return BuildFacts(out, record.settings, record.by_split, people, read, photos)


def fit_preset(out: str, job: str, preset: Preset, files: Mapping[str, Path] | None = None) -> Preset:
    """Check that a preset of a job can be trained on a build; returns it with the values that the build decides.

    Args:
        out: folder of the build.
        job: name of the job.
        preset: of the job.
        files: the user's files and runs, by the name of their option.

    Raises:
        StorageError: there is no finished build.
        TrainingError: the build lacks members, a split `train`, or the size of crops that the network takes.
        CheckpointError: one of the files is a run of another job.
    """
    from faceloom.models.job import find_job

    kind, facts = find_job(job), facts_of(out)
    fitted: Preset = kind.fit(kind.with_files(preset, files or {}), facts)
    kind.check_files(fitted, facts, files or {})
    return fitted


def open_samples(out: str, job: Job[Any], *, seed: int, workers: int = 0) -> TrainingData:
    """Read the training samples and the held-out ones that choose the best epoch: split `val`, or a tenth of `train`.

    Args:
        out: folder of a build that `fit_preset` has accepted.
        job: with the preset from `fit_preset`.
        seed: draws the held-out samples if there is no split `val`.
        workers: processes that read and decode; 0 reads in this process.

    Raises:
        StorageError: a shard is missing or damaged.
        TrainingError: there are too few samples, or more than fit into memory.
    """
    storage = Storage(out)
    record = read_record(storage)
    count = record.by_split[TRAIN] + record.by_split.get(VAL, 0)
    needed = count * _bytes_of(job)
    if needed > MAX_BYTES:
        remedy = "Build fewer samples (`per_face`, fewer photos), or smaller ones"
        what = f"{count:,} samples do not fit into memory"
        raise TrainingError(what, where=out, value=f"{needed / 2**30:.0f} GiB", remedy=remedy)
    train = read_samples(out, TRAIN, job, workers=workers)
    if record.by_split.get(VAL):
        held_out, source = read_samples(out, VAL, job, workers=workers), "split val"
    else:
        divided = hold_out(faces_of(storage, TRAIN), seed)
        held_out, source = train.part(_numbers(train, divided.held_out)), divided.text
        train = train.part(_numbers(train, divided.train))
    if not len(train) or not len(held_out):
        remedy = "Build at least two samples that the network can use; a paper's training set has hundreds"
        value = f"{len(train)} to train on, {len(held_out)} held out"
        raise TrainingError("there are too few samples to train on", where=out, value=value, remedy=remedy)
    return TrainingData(train, held_out, _card(storage, record, len(train), len(held_out), source))


def _bytes_of(job: Job[Any]) -> int:
    """About how many bytes the members of one sample take; parts of the face count as the whole."""
    planes = sum(1 if name in GREY else 3 for name in job.reads)
    return int(planes * job.preset.size**2)


def _numbers(samples: SampleSet, keys: frozenset[str]) -> list[int]:
    return [number for number, key in enumerate(samples.keys) if key in keys]


def read_samples(out: str, split: str, job: Job[Any], *, workers: int = 0) -> SampleSet:
    """Read the members of one split that a job needs into memory, in the order of the keys for any number of workers.

    Raises:
        StorageError: there is no finished build, or a shard is missing or damaged.
        FaceloomError: the build has no such split, or a sample lacks a member or has another size than the others.
    """
    import torch

    record = read_record(Storage(out))
    stored = {name: name for name in job.reads}
    if "mask" in stored:
        stored["mask"] = coverage_member(record.settings)
    wanted = [*stored.values(), *(["json"] if job.reads_labels else [])]
    samples = open_split(out, split, members=wanted, tensors=True)
    readers = min(workers, record.by_split.get(split, 0))
    with _errors_of_workers():
        found = sorted(torch.utils.data.DataLoader(samples, batch_size=None, num_workers=readers), key=_key)
    _check_sizes(found, stored, f"{out}, {split}")
    members = {name: torch.stack([sample[kept] for sample in found]) for name, kept in stored.items()}
    if job.reads_labels:
        people = {person: number for number, person in enumerate(facts_of(out).people())}
        labels = [job.labels(sample["json"], people) for sample in found]
        members |= {name: torch.as_tensor([label[name] for label in labels]) for name in labels[0]}
    everything, chosen = SampleSet(tuple(map(_key, found)), members), job.chosen(members)
    return everything if chosen is None else everything.part(chosen.nonzero().flatten().tolist())


def _check_sizes(found: list[dict[str, Any]], stored: Mapping[str, str], where: str) -> None:
    """Check that each member has one size, and that pictures of the whole crop have the same."""
    sizes: dict[str, Counter[tuple[int, ...]]] = {}
    for sample in found:
        for name, kept in stored.items():
            group = "the crop" if name in CROPS else name
            sizes.setdefault(group, Counter())[tuple(sample[kept].shape[1 if sample[kept].ndim == 3 else 0 :])] += 1
    for counts in sizes.values():
        if len(counts) > 1:
            value = ", ".join("x".join(map(str, size)) for size in counts)
            raise StorageError("the pictures of a split differ in size", where=where, value=value, remedy=AGAIN)


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
