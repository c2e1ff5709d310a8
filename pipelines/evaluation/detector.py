"""Evaluation of detectors of masks: the found map against the true one, on masked and on bare faces."""

from __future__ import annotations

import math
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from faceloom.models.detector.predict import MaskDetector
from faceloom.pipelines.evaluation.groups import tables_of
from faceloom.pipelines.evaluation.job_report import Column, JobEvaluation
from faceloom.pipelines.evaluation.job_task import JobTask
from faceloom.pipelines.evaluation.sheet import draw_grid
from faceloom.pipelines.read.split_reader import open_split
from faceloom.pipelines.run.watcher import Watcher
from faceloom.transforms.guide.guide_mask import iou
from faceloom.transforms.types import BoolMask, Image

COLUMNS = (
    Column("iou", "IoU ↑", 3),
    Column("area", "area (1 is right)", 3),
    Column("bare", "found on bare faces ↓", 4),
)
"""IoU of the map; its area relative to the true one, without samples whose true map is empty; share of the crop found
on the same face without a mask."""
BATCH = 64
"""Number of samples in memory at a time. The detector pads its own batches, so single pictures waste most of one."""
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
    keys: list[str] = []
    pictures: dict[str, list[Image | None]] = {}
    watcher.stage("evaluate", task.protocol.samples, "samples")
    stream = iter(open_split(task.out, task.protocol.split, members=["face", "masked", "mask"]))
    while samples := list(islice(stream, BATCH)):
        masked, faces = (np.stack([sample[name] for sample in samples]) for name in ("masked", "face"))
        truths = [sample["mask"] >= 128 for sample in samples]
        for sample, truth in zip(samples, truths, strict=True):
            if sample["__key__"] in task.shown:
                pictures[sample["__key__"]] = [sample["masked"], shown(sample["masked"], truth)]
        for name in names:
            alike = [(_alike(truth), _alike(truth)) for truth in truths]
            maps = _maps(detectors[name], masked, faces) if name in detectors else alike
            for sample, truth, (found, bare) in zip(samples, truths, maps, strict=True):
                values[name]["iou"].append(iou(found, truth))
                values[name]["area"].append(relative_area(found, truth))
                values[name]["bare"].append(float(bare.mean()))
                if sample["__key__"] in task.shown:
                    pictures[sample["__key__"]].append(shown(sample["masked"], found))
        keys += [sample["__key__"] for sample in samples]
        watcher.done(len(keys))
    sheet = draw_grid(["masked", "truth", *names], [pictures[key] for key in task.shown])
    return JobEvaluation(task, COLUMNS, tables_of(task, values, keys), sheet)


def _maps(
    detector: MaskDetector, masked: NDArray[np.uint8], faces: NDArray[np.uint8]
) -> list[tuple[BoolMask, BoolMask]]:
    """What a detector finds on masked and on bare faces."""
    return list(zip(detector.find(masked), detector.find(faces), strict=True))


def relative_area(found: BoolMask, truth: BoolMask) -> float:
    """Area of a map relative to the true one; NaN if that is empty."""
    return float(found.sum() / truth.sum()) if truth.any() else math.nan


def shown(picture: Image, region: BoolMask) -> Image:
    """A picture whose region is tinted red, uint8 (H, W, 3), RGB."""
    tinted = picture // 2 + np.array([127, 0, 0], np.uint8)
    return np.where(region[..., None], tinted, picture)


def _alike(truth: BoolMask) -> BoolMask:
    height, width = truth.shape
    found = np.zeros_like(truth)
    found[height // 2 :, width // 8 : -width // 8] = True
    return found
