"""Evaluation of mask editors: the painted face against the bare one, beside `cv2.inpaint` and the mean face."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from faceloom.models.build_facts import coverage_member
from faceloom.models.editor.predict import MaskEditor
from faceloom.models.editor.preset import COVERED
from faceloom.models.metrics import mean_change, signal_to_noise, structural_similarity
from faceloom.pipelines.evaluation.groups import tables_of
from faceloom.pipelines.evaluation.job_report import Column, JobEvaluation
from faceloom.pipelines.evaluation.job_task import JobTask, OpenRun, has_train, open_runs
from faceloom.pipelines.evaluation.sheet import draw_grid
from faceloom.pipelines.read.split_reader import open_split
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.training.held_out import TRAIN
from faceloom.transforms.types import BoolMask, Image

COLUMNS = (
    Column("l1", "L1 inside ↓", 2),
    Column("psnr", "PSNR ↑", 2),
    Column("ssim", "SSIM ↑", 3),
)
"""Mean absolute difference to the bare face inside the map, levels of 0..255; PSNR and SSIM of the whole picture."""
INPAINT_RADIUS = 3
GROW = 1
"""Pixels by which the map of the baselines is dilated; each network has its own preset's."""

Painter = Callable[[Image, BoolMask], Image]


def evaluate_editors(task: JobTask, watcher: Watcher) -> JobEvaluation:
    """Paint every masked face of the split with every method and compare it with the bare face.

    Raises:
        CheckpointError: the weights of a network are damaged.
        StorageError: a shard is damaged.
    """
    painters: dict[str, Painter] = {run.name: painter_of(run, task.device) for run in open_runs(task)}
    painters["cv2.inpaint"] = inpaint
    if has_train(task):
        painters["mean face"] = MeanFace(mean_face(task.out))
    painters["masked photo"] = lambda masked, mask: masked
    values: dict[str, dict[str, list[float]]] = {name: {one.name: [] for one in COLUMNS} for name in painters}
    keys: list[str] = []
    pictures: dict[str, list[Image | None]] = {}
    watcher.stage("evaluate", task.protocol.samples, "samples")
    for key, face, masked, mask in _samples(task):
        hole = grown(mask, GROW)
        row: list[Image | None] = [face, masked]
        for name, paint in painters.items():
            made = paint(masked, mask)
            values[name]["l1"].append(mean_change(made, face, hole))
            values[name]["psnr"].append(signal_to_noise(made, face))
            values[name]["ssim"].append(structural_similarity(made, face))
            if name != "masked photo":
                row.append(made)
        if key in task.shown:
            pictures[key] = row
        keys.append(key)
        watcher.done(len(keys))
    heads = ["bare face", "masked", *(name for name in painters if name != "masked photo")]
    sheet = draw_grid(heads, [pictures[key] for key in task.shown])
    return JobEvaluation(task, COLUMNS, tables_of(task, values, keys), sheet)


def _samples(task: JobTask) -> Iterator[tuple[str, Image, Image, BoolMask]]:
    coverage = coverage_member(task.record.settings)
    for sample in open_split(task.out, task.protocol.split, members=["face", "masked", coverage]):
        yield sample["__key__"], sample["face"], sample["masked"], sample[coverage] / 255 > COVERED


def painter_of(run: OpenRun, device: str) -> Painter:
    """The network of a run as a function of a masked face, uint8 (H, W, 3), and its map, bool (H, W)."""
    editor = MaskEditor(run.network, run.card, device=device)
    return lambda masked, mask: editor.edit(masked, mask)[0]


def inpaint(masked: Image, mask: BoolMask) -> Image:
    """Telea's inpainting of OpenCV."""
    import cv2

    hole = grown(mask, GROW).astype(np.uint8)
    return np.asarray(cv2.inpaint(masked, hole, INPAINT_RADIUS, cv2.INPAINT_TELEA), np.uint8)


class MeanFace:
    """Pastes the mean face of the split `train` into the map, uint8 (H, W, 3)."""

    def __init__(self, mean: Image) -> None:
        self.mean = mean

    def __call__(self, masked: Image, mask: BoolMask) -> Image:
        """The masked face with the mean face inside its map."""
        return np.where(grown(mask, GROW)[..., None], self.mean, masked)


def mean_face(out: str) -> Image:
    """The mean of the faces of the split `train`, uint8 (H, W, 3)."""
    total: NDArray[np.float64] | None = None
    count = 0
    for sample in open_split(out, TRAIN, members=["face"]):
        face = sample["face"].astype(np.float64)
        total = face if total is None else total + face
        count += 1
    assert total is not None
    return np.rint(total / count).astype(np.uint8)


def grown(mask: BoolMask, pixels: int) -> BoolMask:
    """A map dilated by some pixels: bool (H, W)."""
    import cv2

    side = 2 * pixels + 1
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0)
