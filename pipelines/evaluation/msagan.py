"""Evaluation of MSaGAN: whether a separate classifier sees the edits, and how much else they change."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.models.build_facts import members_of
from faceloom.models.checkpoint import load_network
from faceloom.models.metrics import structural_similarity
from faceloom.pipelines.evaluation.classifier import (
    Attributed,
    as_pictures,
    attribute_of_runs,
    attribute_text,
    attributed,
    check_attributes,
    check_stated,
    predicted,
    signed,
)
from faceloom.pipelines.evaluation.groups import EVERYONE, tables_of
from faceloom.pipelines.evaluation.job_report import Column, JobEvaluation
from faceloom.pipelines.evaluation.job_task import JobTask, has_train, open_runs
from faceloom.pipelines.evaluation.sheet import draw_grid
from faceloom.pipelines.evaluation.task import check_run
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.training.held_out import TRAIN
from faceloom.schemas.errors import CheckpointError
from faceloom.transforms.types import Image

COLUMNS = (
    Column("accuracy", "edits seen ↑", 3),
    Column("added", "added ↑", 3),
    Column("removed", "removed ↑", 3),
    Column("ssim", "SSIM ↑", 3),
    Column("changed", "changed", 2),
    Column("attention", "mean b", 3),
    Column("outside", "b outside the guide ↓", 3),
)
"""Share of edits that the classifier sees, of all faces, and where the attribute is added and removed; SSIM to the
unchanged face; mean change in levels of 0..255; mean attention, of the whole crop and outside the guide mask."""
UNCHANGED, MEAN = "unchanged face", "mean face in the guide"
COLLAPSED = 0.15
"""A network whose edits change less than this, in levels of 0..255, has collapsed to the identity."""
MOST_ATTENTIONS = 4
"""With more runs, the sheet shows no attention masks."""

Edited = tuple[list[Image], NDArray[np.float32] | None]
"""Edited faces, and the attention of each, float32 (N, H, W), 0..1, if there is one."""
Edit = Callable[[Attributed], Edited]


def check_editors(task: JobTask) -> None:
    """Check that the runs and the classifier know the same attribute, and that the split states it.

    Raises:
        CheckpointError: the classifier is none, or was trained for another attribute or size.
        FaceloomError: the runs were trained for different attributes, or no sample states the attribute.
    """
    check_attributes(task)
    folder = task.files["classifier"]
    known = check_run("classifier", folder, task.record, task.digest, "classifier").card.hyper_parameters["attribute"]
    if not task.runs:
        check_stated(task, known)
    elif known != (attribute := attribute_of_runs(task)):
        remedy = f"Train one with `faceloom train classifier --attribute {attribute}`"
        what = f"the classifier knows another attribute than `{attribute}`"
        raise CheckpointError(what, where=str(folder), value=known, remedy=remedy)


def evaluate_editors(task: JobTask, watcher: Watcher) -> JobEvaluation:
    """Turn the attribute of every face of the split with every network, and ask the classifier.

    Raises:
        CheckpointError: the weights of a network are damaged.
        StorageError: a shard is damaged.
    """
    judge, card = load_network(task.files["classifier"], device=task.device, job="classifier")
    attribute = attribute_of_runs(task)
    edits: dict[str, Edit] = {run.name: _editor(run.network["generator"], task.device) for run in open_runs(task)}
    if has_train(task) and "guide" in members_of(task.record.settings):
        faces = MeanFaces(task, attribute)
        if len(faces.means) == 2:
            edits[MEAN] = faces
    edits[UNCHANGED] = lambda batch: (list(batch.faces), None)
    values: dict[str, dict[str, list[float]]] = {name: {one.name: [] for one in COLUMNS} for name in edits}
    keys: list[str] = []
    pictures: dict[str, list[Image | None]] = {}
    watcher.stage("evaluate", task.protocol.samples, "samples")
    for batch in attributed(task, task.protocol.split, attribute):
        rows: list[list[Image | None]] = [[face] for face in batch.faces]
        for name, edit in edits.items():
            made, attention = edit(batch)
            _measure(values[name], batch, made, attention, predicted(judge, np.stack(made), task.device))
            if name != UNCHANGED:
                _show(rows, made, attention if len(task.runs) <= MOST_ATTENTIONS else None)
        pictures |= {key: row for key, row in zip(batch.keys, rows, strict=True) if key in task.shown}
        keys += batch.keys
        watcher.done(len(keys))
    tables = tables_of(task, values, keys)
    right = [1 - one for one in values[UNCHANGED]["accuracy"]]
    notes = {
        "attribute": attribute_text(attribute, len(keys), task),
        "classifier": f"{card.preset}, {card.parameters:,} parameters, right on {np.mean(right):.1%} of the unchanged "
        "faces" + ("" if card.data.digest == task.digest else f"; trained on another build, {card.data.name}"),
    }
    for row in tables[EVERYONE]:
        changed = row.figures["changed"].value
        if row.name not in (UNCHANGED, MEAN) and changed is not None and changed < COLLAPSED:
            b = row.figures["attention"].value
            notes[f"collapsed: {row.name}"] = (
                f"it returns the face unchanged (mean b {b:.4f}); train it again with another seed"
            )
    heads = ["face"]
    for name in edits:
        if name != UNCHANGED:
            heads += [name, *(["b"] if name != MEAN and len(task.runs) <= MOST_ATTENTIONS else [])]
    sheet = draw_grid(heads, [pictures[key] for key in task.shown if key in pictures])
    return JobEvaluation(task, COLUMNS, tables, sheet, notes)


def _editor(generator: Any, device: str) -> Edit:
    """The generator of a run as a function of faces."""
    import torch

    def edit(batch: Attributed) -> Edited:
        wanted = torch.from_numpy(~batch.has).to(device).float()[:, None]
        with torch.inference_mode():
            made = generator(signed(batch.faces, device), wanted)
        return as_pictures(made.picture), made.attention[:, 0].float().cpu().numpy()

    return edit


class MeanFaces:
    """Pastes the mean face of `train` that has the other value into the guide: the editor that learns nothing else.

    Attributes:
        means: by value, float64 (H, W, 3); without a value that no sample of `train` states.
    """

    def __init__(self, task: JobTask, attribute: str) -> None:
        sums: dict[bool, NDArray[np.float64]] = {}
        counts = {True: 0, False: 0}
        for batch in attributed(task, TRAIN, attribute):
            for value in (True, False):
                chosen = batch.faces[batch.has == value].astype(np.float64)
                sums[value] = sums.get(value, 0) + chosen.sum(0)
                counts[value] += len(chosen)
        self.means = {value: sums[value] / counts[value] for value in sums if counts[value]}

    def __call__(self, batch: Attributed) -> Edited:
        """The edited faces; there is no attention."""
        assert batch.guides is not None
        share = batch.guides[..., None]
        wanted = np.stack([self.means[not has] for has in batch.has])
        mixed = wanted * share + batch.faces * (1 - share)
        return list(np.rint(mixed).astype(np.uint8)), None


def _measure(
    values: dict[str, list[float]],
    batch: Attributed,
    made: list[Image],
    attention: NDArray[np.float32] | None,
    seen: NDArray[np.bool_],
) -> None:
    """Append the figures of a batch of edited faces to the columns of a method."""
    for number, (face, edited, has) in enumerate(zip(batch.faces, made, batch.has, strict=True)):
        done = float(seen[number] != has)
        b = attention[number] if attention is not None else None
        outside = 1 - batch.guides[number] if batch.guides is not None else None
        figures = {
            "accuracy": done,
            "added": math.nan if has else done,
            "removed": done if has else math.nan,
            "ssim": structural_similarity(edited, face),
            "changed": float(np.abs(edited.astype(np.int16) - face).mean()),
            "attention": math.nan if b is None else float(b.mean()),
            "outside": math.nan
            if b is None or outside is None
            else float((b * outside).sum() / max(float(outside.sum()), 1.0)),
        }
        for name, value in figures.items():
            values[name].append(value)


def _show(rows: list[list[Image | None]], made: list[Image], attention: NDArray[np.float32] | None) -> None:
    for number, row in enumerate(rows):
        row.append(made[number])
        if attention is not None:
            row.append(np.repeat(np.rint(attention[number] * 255).astype(np.uint8)[..., None], 3, 2))
