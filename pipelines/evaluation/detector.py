"""Evaluation of detectors of masks: the found map against the true one, on masked and on bare faces."""

from __future__ import annotations

import numpy as np

from faceloom.models.detector.predict import MaskDetector
from faceloom.pipelines.evaluation.figures import row_of
from faceloom.pipelines.evaluation.job_report import Column, JobEvaluation
from faceloom.pipelines.evaluation.job_task import JobTask
from faceloom.pipelines.evaluation.sheet import draw_grid
from faceloom.pipelines.read.split_reader import open_split
from faceloom.pipelines.run.watcher import Watcher
from faceloom.transforms.guide.guide_mask import iou
from faceloom.transforms.types import BoolMask, Image

COLUMNS = (
    Column("iou", "IoU ↑", 3),
    Column("area", "area ↑", 3),
    Column("bare", "found on bare faces ↓", 4),
)
"""IoU of the map; its share of the crop relative to the true one; share of the crop found on the same face without a
mask."""
ALIKE = "lower half"
"""The baseline: the same map on every face, the lower half of the crop without an eighth on either side."""


def evaluate_detectors(task: JobTask, watcher: Watcher) -> JobEvaluation:
    """Find the mask on every masked and every bare face of the split with every detector.

    Raises:
        CheckpointError: the weights of a network are damaged.
        StorageError: a shard is damaged.
    """
    detectors = {run.name: MaskDetector.load(run.folder, device=task.device) for run in task.runs}
    names = [*detectors, ALIKE]
    values: dict[str, dict[str, list[float]]] = {name: {one.name: [] for one in COLUMNS} for name in names}
    people: list[frozenset[str]] = []
    pictures: dict[str, list[Image | None]] = {}
    watcher.stage("evaluate", task.protocol.samples, "samples")
    for sample in open_split(task.out, task.protocol.split, members=["face", "masked", "mask"]):
        key, truth = sample["__key__"], sample["mask"] >= 128
        both = np.stack([sample["masked"], sample["face"]])
        row: list[Image | None] = [sample["masked"], shown(sample["masked"], truth)]
        for name in names:
            found, bare = detectors[name].find(both) if name in detectors else (_alike(truth), _alike(truth))
            values[name]["iou"].append(iou(found, truth))
            values[name]["area"].append(float(found.sum() / max(1, truth.sum())))
            values[name]["bare"].append(float(bare.mean()))
            row.append(shown(sample["masked"], found))
        if key in task.shown:
            pictures[key] = row
        people.append(task.people[key])
        watcher.done(len(people))
    rows = tuple(row_of(name, values[name], people) for name in names)
    sheet = draw_grid(["masked", "truth", *names], [pictures[key] for key in task.shown])
    return JobEvaluation(task, COLUMNS, {"All people": rows}, sheet)


def shown(picture: Image, region: BoolMask) -> Image:
    """A picture whose region is tinted red, uint8 (H, W, 3), RGB."""
    tinted = picture // 2 + np.array([127, 0, 0], np.uint8)
    return np.where(region[..., None], tinted, picture)


def _alike(truth: BoolMask) -> BoolMask:
    height, width = truth.shape
    found = np.zeros_like(truth)
    found[height // 2 :, width // 8 : -width // 8] = True
    return found
