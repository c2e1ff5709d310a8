"""The task of evaluating runs of a training job: checked before any work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceloom.models.build_facts import members_of
from faceloom.models.devices import find_device
from faceloom.pipelines.evaluation.task import Protocol, Run, check_run, held_people, named_runs, protocol_of
from faceloom.pipelines.read.split_reader import open_split
from faceloom.pipelines.store.build_record import BuildRecord, read_record
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.training.held_out import TRAIN
from faceloom.pipelines.training.training_data import build_digest
from faceloom.schemas.errors import FaceloomError

if TYPE_CHECKING:
    from faceloom.models.job import Job
    from faceloom.schemas.model_card import ModelCard


@dataclass(frozen=True)
class JobTask:
    """An evaluation of a job's runs that can start.

    Attributes:
        digest: of the build.
        people: in each sample of the split, by key.
        known: keys of the samples of people who are also in `train`.
        shown: keys of the samples on the sheet.
        files: further runs and folders that the evaluation needs, by the name of their option.
    """

    job: str
    out: str
    record: BuildRecord
    digest: str
    device: str
    runs: tuple[Run, ...]
    protocol: Protocol
    people: dict[str, frozenset[str]]
    known: frozenset[str]
    shown: tuple[str, ...]
    files: Mapping[str, Path] = field(default_factory=dict)


def prepare_job(
    job: str,
    runs: Sequence[Path],
    out: str,
    split: str,
    *,
    device: str = "auto",
    files: Mapping[str, Path] | None = None,
) -> JobTask:
    """Check everything that can be checked before any work.

    Args:
        job: that the runs trained.
        runs: their folders.
        out: folder of the build.
        split: of the build.
        device: `cpu`, `cuda` or `auto`.
        files: see `JobTask`.

    Raises:
        StorageError: there is no finished build, or a shard is missing or cut short.
        FaceloomError: there is no such split, it is empty, or its samples lack a member that the job reads.
        CheckpointError: a folder is no checkpoint of the job, or was trained for crops of another size.
        TrainingError: the device does not exist.
    """
    from faceloom.models.job import find_job

    storage = Storage(out)
    record, digest = read_record(storage), build_digest(storage)
    people = held_people(storage, record, split)
    open_split(out, split)
    kind = find_job(job)
    remedy = f"Evaluate a build like that of recipes/{kind.recipe}.yaml"
    if missing := [name for name in kind.members if name not in members_of(record.settings)]:
        raise FaceloomError("the samples of the build lack a member", where=out, value=missing[0], remedy=remedy)
    checked = tuple(check_run(name, folder, record, digest, job) for name, folder in named_runs(runs))
    protocol, known, shown = protocol_of(storage, record, split, people)
    chosen = find_device(device)
    return JobTask(job, out, record, digest, chosen, checked, protocol, people, known, shown, dict(files or {}))


@dataclass(frozen=True, eq=False)
class OpenRun:
    """A loaded run: the job with its preset, and the network in evaluation mode."""

    name: str
    card: ModelCard
    job: Job[Any]
    network: Any


def open_runs(task: JobTask) -> list[OpenRun]:
    """Load the networks.

    Raises:
        CheckpointError: the weights of a network are damaged.
    """
    from faceloom.models.checkpoint import load_network
    from faceloom.models.job import make_job
    from faceloom.models.presets import preset_from_values

    opened = []
    for run in task.runs:
        network, card = load_network(run.folder, device=task.device, job=task.job)
        preset = preset_from_values(card.hyper_parameters, job=task.job)
        opened.append(OpenRun(run.name, card, make_job(task.job, preset), network))
    return opened


def has_train(task: JobTask) -> bool:
    """Whether the build has a split `train`, whose means are a baseline."""
    return bool(task.record.by_split.get(TRAIN))
