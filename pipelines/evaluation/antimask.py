"""Evaluation of completed and redrawn faces: how alike their features are to those of the face, and error of pixels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.evaluation.groups import tables_of
from faceloom.pipelines.evaluation.job_report import Column, JobEvaluation
from faceloom.pipelines.evaluation.job_task import JobTask, OpenRun, has_train, open_runs
from faceloom.pipelines.evaluation.sheet import EMPTY, draw_grid
from faceloom.pipelines.read.split_reader import open_split
from faceloom.pipelines.render.features import FeatureExtractor, features_digest, load_extractor
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.training.held_out import TRAIN
from faceloom.schemas.errors import FaceloomError
from faceloom.transforms.types import Image

COLUMNS = (Column("cosine", "cosine of features ↑", 3), Column("l1", "L1 of the lower face ↓", 2))
"""Of the features of the completed face and those of the sample; mean absolute difference, levels of 0..255. L1 of a
redrawn face counts its lower part only."""
BATCH = 16
MEMBERS = ("face", "landmarks", "upper", "lower", "features")
MEAN, BLACK, MEAN_FACE = "mean lower face", "black lower face", "mean face"
"""Baselines: the first two of completed faces, the last one of redrawn faces."""
Sample = Mapping[str, Any]


def check_network(task: JobTask) -> None:
    """Check that the network of the build's features can be loaded, and that the features have the runs' length.

    Raises:
        FaceloomError: it cannot be loaded, or they have another length.
    """
    extractor_of(task)
    sample = next(iter(open_split(task.out, task.protocol.split, members=["features"])))
    length = len(sample["features"])
    for run in task.runs:
        if run.card.hyper_parameters["features"] != length:
            what = "the run was trained on features of another length"
            remedy = "Evaluate a build with the same network of features"
            raise FaceloomError(what, where=str(run.folder), value=run.card.hyper_parameters["features"],
                                remedy=remedy)  # fmt: skip


def extractor_of(task: JobTask) -> FeatureExtractor:
    """The network that made the features of the build.

    Raises:
        RecipeError: its file cannot be read.
    """
    features = task.record.settings.output.features
    assert features is not None  # `prepare_job` has found the member
    return load_extractor(features, features_digest(features))


def evaluate_antimask(task: JobTask, watcher: Watcher) -> JobEvaluation:
    """Complete or redraw every face of the split with every run, from its upper part; compare features and pixels.

    A run that paints the lower part completes the true upper part; one that paints the full face keeps nothing of the
    sample. For each run a second row paints the features of the sample itself, as the decoder was trained.

    Raises:
        CheckpointError: the weights of a network are damaged.
        StorageError: a shard is damaged.
    """
    extractor, runs = extractor_of(task), open_runs(task)
    still = baselines(task, {run.job.preset.paint for run in runs})
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: {one.name: [] for one in COLUMNS})
    samples = sorted(open_split(task.out, task.protocol.split, members=MEMBERS), key=lambda one: str(one["__key__"]))
    pictures: dict[str, dict[str, Image]] = {}
    watcher.stage("evaluate", len(samples), "samples")
    for start in range(0, len(samples), BATCH):
        batch = samples[start : start + BATCH]
        made = {name: faces for run in runs for name, faces in completed(run, batch, task.device).items()}
        # A run that is named like a baseline keeps its row.
        made |= {name: [make(one) for one in batch] for name, make in still.items() if name not in made}
        for name, faces in made.items():
            found = extractor.extract(faces, [one["landmarks"] for one in batch])
            for one, face, features in zip(batch, faces, found, strict=True):
                lower = face[len(one["upper"]) :].astype(float)
                values[name]["cosine"].append(cosine(features, one["features"]))
                values[name]["l1"].append(float(np.abs(lower - one["lower"]).mean()))
                if one["__key__"] in task.shown and name != BLACK:
                    seen = {"face": one["face"], "upper part": joined(one, np.full_like(one["lower"], EMPTY))}
                    pictures.setdefault(one["__key__"], seen)[name] = face
        watcher.done(start + len(batch))
    rows = [pictures[key] for key in task.shown]
    sheet = draw_grid(list(rows[0]), [list(row.values()) for row in rows])
    return JobEvaluation(task, COLUMNS, tables_of(task, values, [one["__key__"] for one in samples]), sheet)


def completed(run: OpenRun, batch: list[Sample], device: str) -> dict[str, list[Image]]:
    """Faces, uint8 (224, 224, 3), by the name of their row: from upper parts, and from the features of the samples."""
    import torch

    name = run.name if run.job.preset.paint == "lower" else f"{run.name}, full face"
    upper = torch.from_numpy(np.stack([one["upper"] for one in batch])).to(device).permute(0, 3, 1, 2).float() / 255
    true = torch.from_numpy(np.stack([one["features"] for one in batch])).to(device)
    faces = {}
    with torch.inference_mode():
        for row, features in ((name, run.network["encoder"](upper)), (f"{name}, true features", true)):
            made = (run.network["decoder"](features).picture * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
            faces[row] = list(made) if run.job.preset.paint == "full" else list(map(joined, batch, made))
    return faces


def joined(sample: Sample, lower: Image) -> Image:
    """The true upper part of a sample with another lower part below it."""
    return np.concatenate([sample["upper"], lower])


def baselines(task: JobTask, paints: set[str]) -> dict[str, Callable[[Sample], Image]]:
    """What is compared with the runs: for each name, the completed or redrawn face of a sample.

    Args:
        task: of the evaluation. Without a split `train` there are no mean faces.
        paints: what the runs paint.
    """
    found: dict[str, Callable[[Sample], Image]] = {}
    if "lower" in paints:
        if has_train(task):
            lower = mean_of(task.out, "lower")
            found[MEAN] = lambda sample: joined(sample, lower)
        found[BLACK] = lambda sample: joined(sample, np.zeros_like(sample["lower"]))
    if "full" in paints and has_train(task):
        face = mean_of(task.out, "face")
        found[MEAN_FACE] = lambda sample: face
    return found


def cosine(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    """Cosine of the angle between two vectors; 0 if one of them has no length."""
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / lengths if lengths else 0.0


def mean_of(out: str, member: str) -> Image:
    """The mean of a picture of the samples of the split `train`, uint8 (H, W, 3)."""
    total, count = np.zeros((1, 1, 1)), 0
    for sample in open_split(out, TRAIN, members=[member]):
        total = total + sample[member].astype(np.float64)
        count += 1
    return np.rint(total / max(count, 1)).astype(np.uint8)
