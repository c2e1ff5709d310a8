"""The task of an evaluation: networks and a split of a finished build, checked before any work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from faceloom.models.checkpoint import BEST, check_weights, read_card
from faceloom.models.curve import TABLE, read_table
from faceloom.models.devices import find_device
from faceloom.pipelines.evaluation.sheet import pick_shown
from faceloom.pipelines.read.split_reader import open_split
from faceloom.pipelines.store.build_record import BuildRecord, read_record
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.training.held_out import TRAIN, VAL, faces_of
from faceloom.pipelines.training.training_data import build_digest
from faceloom.schemas.counted import counted
from faceloom.schemas.errors import CheckpointError, FaceloomError
from faceloom.schemas.keys import UNNAMED_PERSON
from faceloom.schemas.model_card import ModelCard

if TYPE_CHECKING:
    from faceloom.models.training import EpochLoss

SHOWN = 12
"""Rows of the sheet."""
UNKNOWN = "whether its people are held out is unknown"
"""What a report states of a network that was trained on another build than it is evaluated on."""


@dataclass(frozen=True)
class Run:
    """A trained network to evaluate.

    Attributes:
        name: unique among those evaluated.
        own_build: whether it was trained on the build that it is evaluated on.
        losses: of all epochs of the card; empty if they are missing.
        lacks: why they are missing.
    """

    name: str
    folder: Path
    card: ModelCard
    own_build: bool
    losses: tuple[EpochLoss, ...] = ()
    lacks: str = ""


@dataclass(frozen=True)
class Protocol:
    """The people of a split.

    Attributes:
        split: its name.
        split_by: the recipe's rule.
        samples, people: in the split; both people of a morph.
        people_trained, samples_trained: people of the split who are also in `train`, and their samples, which include
            morphs of such people.
        named: whether the source names a person of the split.
    """

    split: str
    split_by: str
    samples: int
    people: int
    people_trained: int
    samples_trained: int
    named: bool = True

    @property
    def text(self) -> str:
        """The protocol in a sentence."""
        if self.split in (TRAIN, VAL):
            use = "trained on" if self.split == TRAIN else "used to choose the best epoch"
            return f"not held out: networks of this build were {use} with these very pairs"
        if not self.people_trained and not self.named:
            return "held-out photos: the source names no people, so train may hold other photos of them"
        if not self.people_trained:
            return "held-out people: train holds no person of this split"
        if self.people_trained == self.people:
            return "known people, other photos: train holds other samples of everyone in this split (as Lee 2022 does)"
        share = f"{self.people_trained:,} of {counted(self.people, 'person', 'people')}"
        return f"mixed: train holds other samples of {share} (with {counted(self.samples_trained, 'sample')} here)"


def stated_protocol(protocol: Protocol, runs: Sequence[Run]) -> str:
    """The protocol in a sentence, with what is unknown about networks of another build.

    Args:
        protocol: of the split.
        runs: those evaluated.
    """
    own = [run.own_build for run in runs]
    if all(own):
        return protocol.text
    if any(own):
        return f"{protocol.text}; of networks of another build: {UNKNOWN}"
    return f"another build: {UNKNOWN}"


@dataclass(frozen=True)
class Task:
    """An evaluation that has been checked and can start.

    Attributes:
        digest: of the build.
        known: keys of the samples of people who are also in `train`.
        shown: keys of the samples on the sheet.
    """

    out: str
    record: BuildRecord
    digest: str
    device: str
    runs: tuple[Run, ...]
    protocol: Protocol
    known: frozenset[str]
    shown: tuple[str, ...]


def prepare_evaluation(runs: Sequence[Path], out: str, split: str, *, device: str = "auto") -> Task:
    """Check everything that can be checked before any work.

    Args:
        runs: folders of trained networks, at least one.
        out: folder of the build.
        split: of the build.
        device: `cpu`, `cuda`, or `auto`, which takes CUDA if there is a usable GPU.

    Raises:
        StorageError: there is no finished build, or a shard is missing or cut short.
        FaceloomError: there is no such split, it holds no masked faces, or webdataset is not installed.
        CheckpointError: a folder is no checkpoint of faceloom, or was trained for crops of another size.
        TrainingError: the device does not exist.
    """
    storage = Storage(out)
    record, digest = read_record(storage), build_digest(storage)
    samples = held_people(storage, record, split)
    open_split(out, split)
    if not record.settings.masks:
        remedy = "Evaluate a build of masked faces; recipes/lee2022.yaml makes one"
        raise FaceloomError("the split holds no masked faces", where=out, value=split, remedy=remedy)
    checked = tuple(check_run(name, folder, record, digest) for name, folder in named_runs(runs))
    protocol, known, shown = protocol_of(storage, record, split, samples)
    return Task(out, record, digest, find_device(device), checked, protocol, known, shown)


def protocol_of(
    storage: Storage, record: BuildRecord, split: str, samples: Mapping[str, frozenset[str]]
) -> tuple[Protocol, frozenset[str], tuple[str, ...]]:
    """Describe the people of a split; also returns keys of samples of known people, and of samples for the sheet.

    Args:
        storage: folder of the build.
        record: its record.
        split: of the build.
        samples: from `people_of`, at least one.
    """
    trained = _everyone(people_of(storage, TRAIN)) if record.by_split.get(TRAIN) else frozenset()
    known = frozenset(key for key, people in samples.items() if people & trained)
    everyone = _everyone(samples)
    protocol = Protocol(
        split=split,
        split_by=record.settings.split.by,
        samples=len(samples),
        people=len(everyone),
        people_trained=len(everyone & trained),
        samples_trained=len(known),
        named=not all(map(UNNAMED_PERSON.fullmatch, everyone)),
    )
    shown = tuple(pick_shown([(key, "+".join(sorted(people))) for key, people in samples.items()], SHOWN))
    return protocol, known, shown


def held_people(storage: Storage, record: BuildRecord, split: str) -> dict[str, frozenset[str]]:
    """People in each sample of a split to evaluate on, from `people_of`; at least one sample.

    Raises:
        FaceloomError: the split has no samples; names those that have some.
    """
    if record.by_split.get(split):
        return people_of(storage, split)
    others = ", ".join(name for name, count in record.by_split.items() if count) or "no samples at all"
    what = "the split to evaluate on has no samples in this build"
    remedy = f"The build has: {others}. Name another split by --split, or build with more people or another `seed`"
    raise FaceloomError(what, where=storage.root, value=split, remedy=remedy)


def people_of(storage: Storage, split: str) -> dict[str, frozenset[str]]:
    """People in each sample of a split, by key; two in most morphs."""
    faces = faces_of(storage, split)
    return {key: frozenset(identity for identity, _ in shown) for key, shown in faces.items()}


def _everyone(samples: Mapping[str, frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*samples.values())


def named_runs(runs: Sequence[Path]) -> list[tuple[str, Path]]:
    """Runs by the name of their folder, or by their path if two folders have the same name."""
    counts = Counter(folder.resolve().name for folder in runs)
    return [(folder.resolve().name if counts[folder.resolve().name] == 1 else str(folder), folder) for folder in runs]


def check_run(name: str, folder: Path, record: BuildRecord, digest: str, job: str = "autoencoder") -> Run:
    """Check that a run of a job can be evaluated on a build.

    Raises:
        CheckpointError: the folder is no checkpoint of the job, or was trained for crops of another size.
    """
    card = read_card(folder, job)
    check_weights(folder, card, BEST, digest=False)
    width, height = record.settings.align.width_height
    if (width, height) != (card.size, card.size):
        what = f"was trained for crops of {card.size}x{card.size} pixels, and the build has others"
        remedy = f"Build with `align: {{size: {card.size}}}`, or train on crops of that size"
        raise CheckpointError(what, where=str(folder), value=f"{width}x{height}", remedy=remedy)
    return Run(name, folder, card, card.data.digest == digest, *losses_of(folder, card))


def losses_of(folder: Path, card: ModelCard) -> tuple[tuple[EpochLoss, ...], str]:
    """The losses of the epochs of a card, or none and the reason. An evaluation does not need them.

    Args:
        folder: of the run. Its table may be longer than the card: a run that trains writes the card last.
        card: of the run.
    """
    try:
        losses = read_table(folder, card.epochs_done)
    except CheckpointError as error:
        return (), error.what
    if len(losses) < card.epochs_done:
        return (), f"the {TABLE} has fewer epochs than the card"
    return losses, ""
