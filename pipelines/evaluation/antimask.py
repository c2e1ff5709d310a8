"""Evaluation of completed faces: how alike their features are to those of the whole face, and the error of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.evaluation.groups import tables_of
from faceloom.pipelines.evaluation.job_report import Column, JobEvaluation
from faceloom.pipelines.evaluation.job_task import JobTask, has_train, open_runs
from faceloom.pipelines.evaluation.sheet import draw_grid
from faceloom.pipelines.read.split_reader import open_split
from faceloom.pipelines.render.features import FeatureExtractor, features_digest, load_extractor
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.training.held_out import TRAIN
from faceloom.schemas.errors import FaceloomError
from faceloom.transforms.types import Image

COLUMNS = (Column("cosine", "cosine of features ↑", 3), Column("l1", "L1 of the lower face ↓", 2))
"""Of the features of the completed face and those of the sample; mean absolute difference, levels of 0..255."""
BATCH = 16
MEMBERS = ("face", "landmarks", "upper", "lower", "features")
MEAN, BLACK = "mean lower face", "black lower face"
"""Baselines."""


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
    """Complete every face of the split with every run, from its upper part, and compare features and pixels.

    For each run a second row paints the features of the sample itself, as the decoder was trained.

    Raises:
        CheckpointError: the weights of a network are damaged.
        StorageError: a shard is damaged.
    """
    extractor, runs = extractor_of(task), open_runs(task)
    names = [name for run in runs for name in (run.name, f"{run.name}, true features")]
    mean = mean_lower(task.out) if has_train(task) else None
    names += [BLACK] if mean is None else [MEAN, BLACK]
    values: dict[str, dict[str, list[float]]] = {name: {one.name: [] for one in COLUMNS} for name in names}
    samples = sorted(open_split(task.out, task.protocol.split, members=MEMBERS), key=lambda one: str(one["__key__"]))
    pictures: dict[str, list[Image | None]] = {}
    watcher.stage("evaluate", len(samples), "samples")
    for start in range(0, len(samples), BATCH):
        batch = samples[start : start + BATCH]
        painted: list[list[Image]] = []
        for run in runs:
            painted += paint(run.network, batch, task.device)
        if mean is not None:
            painted.append([mean] * len(batch))
        painted.append([np.zeros_like(one["lower"]) for one in batch])
        for name, lowers in zip(names, painted, strict=True):
            faces = [np.concatenate([one["upper"], lower]) for one, lower in zip(batch, lowers, strict=True)]
            found = extractor.extract(faces, [one["landmarks"] for one in batch])
            for one, lower, features in zip(batch, lowers, found, strict=True):
                values[name]["cosine"].append(cosine(features, one["features"]))
                values[name]["l1"].append(float(np.abs(lower.astype(float) - one["lower"]).mean()))
                if one["__key__"] in task.shown and name != BLACK:
                    face = np.concatenate([one["upper"], lower])
                    pictures.setdefault(one["__key__"], [one["face"]]).append(face)
        watcher.done(start + len(batch))
    heads = ["face", *(name for name in names if name != BLACK)]
    sheet = draw_grid(heads, [pictures[key] for key in task.shown])
    return JobEvaluation(task, COLUMNS, tables_of(task, values, [one["__key__"] for one in samples]), sheet)


def paint(network: Any, batch: list[dict[str, Any]], device: str) -> list[list[Image]]:
    """Lower parts, uint8 (128, 224, 3), painted from the upper parts and from the features of the samples."""
    import torch

    upper = torch.from_numpy(np.stack([one["upper"] for one in batch])).to(device).permute(0, 3, 1, 2).float() / 255
    true = torch.from_numpy(np.stack([one["features"] for one in batch])).to(device)
    with torch.inference_mode():
        made = [network["decoder"](features).picture for features in (network["encoder"](upper), true)]
    return [list((one * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()) for one in made]


def cosine(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    """Cosine of the angle between two vectors; 0 if one of them has no length."""
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / lengths if lengths else 0.0


def mean_lower(out: str) -> Image:
    """The mean of the lower parts of the split `train`, uint8 (H, W, 3)."""
    total, count = np.zeros((1, 1, 1)), 0
    for sample in open_split(out, TRAIN, members=["lower"]):
        total = total + sample["lower"].astype(np.float64)
        count += 1
    return np.rint(total / max(count, 1)).astype(np.uint8)
