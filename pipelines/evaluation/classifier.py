"""Evaluation of classifiers of one attribute, beside the answer that is most frequent in `train`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceloom.models.build_facts import members_of
from faceloom.models.msagan.attribute import attribute_of, members_for
from faceloom.pipelines.evaluation.groups import tables_of
from faceloom.pipelines.evaluation.job_report import Column, JobEvaluation
from faceloom.pipelines.evaluation.job_task import JobTask, has_train, open_runs
from faceloom.pipelines.read.split_reader import open_split
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.training.held_out import TRAIN
from faceloom.schemas.counted import counted
from faceloom.schemas.errors import FaceloomError
from faceloom.transforms.types import BoolMask, Image

COLUMNS = (
    Column("accuracy", "right ↑", 3),
    Column("with", "right, with the attribute ↑", 3),
    Column("without", "right, without ↑", 3),
)
"""Share of right answers: of all faces, and of those with and without the attribute."""
FREQUENT = "most frequent answer"
BATCH = 64
"""Faces in memory at a time."""


class Attributed(NamedTuple):
    """Samples of a split that state an attribute, at most `BATCH`.

    Attributes:
        faces: uint8 (N, H, W, 3), RGB.
        has: bool (N,).
        guides: float32 (N, H, W), 0..1; None if the build has no guide masks.
    """

    keys: list[str]
    faces: NDArray[np.uint8]
    has: BoolMask
    guides: NDArray[np.float32] | None


def evaluate_classifiers(task: JobTask, watcher: Watcher) -> JobEvaluation:
    """Ask every classifier about every face of the split.

    Raises:
        CheckpointError: the weights of a network are damaged.
        StorageError: a shard is damaged.
        FaceloomError: no sample of the split states the attribute.
    """
    runs = {run.name: run.network for run in open_runs(task)}
    attribute = attribute_of_runs(task)
    names = [*runs, *([FREQUENT] if has_train(task) else [])]
    values: dict[str, dict[str, list[float]]] = {name: {one.name: [] for one in COLUMNS} for name in names}
    frequent = _most_frequent(task, attribute) if has_train(task) else False
    keys: list[str] = []
    watcher.stage("evaluate", task.protocol.samples, "samples")
    for batch in attributed(task, task.protocol.split, attribute):
        for name in names:
            answers = predicted(runs[name], batch.faces, task.device) if name in runs else [frequent] * len(batch.has)
            add_right(values[name], answers, batch.has)
        keys += batch.keys
        watcher.done(len(keys))
    notes = {"attribute": attribute_text(attribute, len(keys), task)}
    return JobEvaluation(task, COLUMNS, tables_of(task, values, keys), notes=notes)


def add_right(values: dict[str, list[float]], answers: Sequence[bool] | BoolMask, truth: BoolMask) -> None:
    """Append to the columns `accuracy`, `with` and `without` whether each answer is right, or NaN."""
    for answer, has in zip(answers, truth, strict=True):
        right = float(answer == has)
        values["accuracy"].append(right)
        values["with"].append(right if has else math.nan)
        values["without"].append(math.nan if has else right)


def attribute_of_runs(task: JobTask) -> str:
    """The attribute that all runs of a task were trained for."""
    return str(task.runs[0].card.hyper_parameters["attribute"])


def attribute_text(attribute: str, stated: int, task: JobTask) -> str:
    """For the report: the attribute, and how many samples do not state it."""
    left = task.protocol.samples - stated
    without = counted(left, "sample that does not state it is", "samples that do not state it are")
    return attribute + (f"; {without} left out" if left else "")


def check_attributes(task: JobTask) -> None:
    """Check that all runs were trained for one attribute, and that the split states it.

    Raises:
        FaceloomError: they were not, or it does not.
    """
    first, *others = dict.fromkeys(str(run.card.hyper_parameters["attribute"]) for run in task.runs) or [""]
    if others:
        remedy = "Evaluate the runs of each attribute in a report of their own"
        raise FaceloomError("the runs were trained for different attributes", value=f"{first}, {others[0]}",
                            remedy=remedy)  # fmt: skip
    if first:
        check_stated(task, first)


def check_stated(task: JobTask, attribute: str) -> None:
    """Check that a sample of the split states an attribute.

    Raises:
        FaceloomError: none does.
    """
    split = task.protocol.split
    samples = open_split(task.out, split, members=members_for(attribute))
    if not any(attribute_of(attribute, sample) in (0, 1) for sample in samples):
        remedy = "Evaluate the build that the networks were trained on"
        what = f"no sample of the split {split} states the attribute"
        raise FaceloomError(what, where=task.out, value=attribute, remedy=remedy)


def attributed(task: JobTask, split: str, attribute: str) -> Iterator[Attributed]:
    """Read the samples of a split that state an attribute."""
    guided = "guide" in members_of(task.record.settings)
    members = ["face", *members_for(attribute), *(["guide"] if guided else [])]
    stream = iter(open_split(task.out, split, members=members))
    while samples := list(islice(stream, BATCH)):
        known = [(sample, attribute_of(attribute, sample)) for sample in samples]
        if kept := [(sample, value) for sample, value in known if value in (0, 1)]:
            yield Attributed(
                [sample["__key__"] for sample, _ in kept],
                np.stack([sample["face"] for sample, _ in kept]),
                np.array([value == 1 for _, value in kept]),
                np.stack([np.float32(sample["guide"] / 255) for sample, _ in kept]) if guided else None,
            )


def predicted(network: Any, faces: NDArray[np.uint8], device: str) -> BoolMask:
    """Whether a classifier sees the attribute: bool (N,), of faces, uint8 (N, H, W, 3)."""
    import torch

    with torch.inference_mode():
        answers: BoolMask = (network(signed(faces, device))[:, 0] > 0).cpu().numpy()
    return answers


def signed(faces: NDArray[np.uint8], device: str) -> Any:
    """Pictures, uint8 (N, H, W, 3), as networks take them: a float32 tensor (N, 3, H, W), -1..1."""
    import torch

    return torch.from_numpy(faces).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1


def _most_frequent(task: JobTask, attribute: str) -> bool:
    """Whether more samples of `train` have the attribute than do not; no picture is decoded."""
    samples = open_split(task.out, TRAIN, members=members_for(attribute))
    counts = Counter(attribute_of(attribute, sample) for sample in samples)
    return counts[1.0] > counts[0.0]


def as_pictures(pictures: Any) -> list[Image]:
    """The pictures of a tensor (N, 3, H, W), -1..1, as uint8 (H, W, 3) each."""
    scaled = ((pictures + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
    return list(scaled)
