"""Evaluation: mask a split of a finished build with networks and baselines, and measure the results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress, islice

from faceloom.models.metrics import Scores, score
from faceloom.models.predict import MaskPredictor
from faceloom.pipelines.evaluation.figures import Row, make_row
from faceloom.pipelines.evaluation.groups import groups_of
from faceloom.pipelines.evaluation.methods import (
    AnotherTemplate,
    Masked,
    Method,
    Network,
    NoMask,
    Pair,
    Polygon,
    Target,
)
from faceloom.pipelines.evaluation.sheet import draw_grid
from faceloom.pipelines.evaluation.task import Task
from faceloom.pipelines.read.split_reader import open_split
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.checked_shards import AGAIN
from faceloom.schemas.errors import StorageError
from faceloom.transforms.types import Image

BATCH = 128
"""Number of samples in memory at a time."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result of an evaluation.

    Attributes:
        task: the networks, the build, and the people in the split.
        tables: one row per method, by the group of people: "all people" and, if the split has both kinds and a
            network was trained on this build, "people that are also in train" and "held-out people". A row's figures
            have a value and a 95 % interval.
        sheet: pictures of some samples, input, target and every method side by side, uint8 (H, W, 3), RGB.
    """

    task: Task
    tables: Mapping[str, tuple[Row, ...]]
    sheet: Image


def open_methods(task: Task) -> list[Method]:
    """Load the networks and return all methods to compare: the targets first, faces without a mask last.

    Raises:
        CheckpointError: the weights of a network are damaged.
    """
    networks = [Network(run.name, MaskPredictor.load(run.folder, device=task.device)) for run in task.runs]
    return [Target(), *networks, Polygon(), AnotherTemplate.of_recipe(task.record.recipe), NoMask()]


@dataclass(slots=True)
class _Gathered:
    """The scores of each method in the order of the samples, and the pictures of the sheet by key."""

    scores: list[list[Scores | None]]
    people: list[frozenset[str]] = field(default_factory=list)
    known: list[bool] = field(default_factory=list)
    pictures: dict[str, list[Image | None]] = field(default_factory=dict)


def run_evaluation(task: Task, methods: Sequence[Method], watcher: Watcher) -> Evaluation:
    """Mask every sample of the split with every method and measure the results.

    Args:
        task: from `prepare_evaluation`.
        methods: from `open_methods`.
        watcher: gets the progress.

    Raises:
        StorageError: a shard is damaged.
        FaceloomError: a sample has no masked face.
    """
    gathered = _Gathered([[] for _ in methods])
    watcher.stage("evaluate", task.protocol.samples, "samples")
    for pairs in _batches(_pairs(task)):
        gathered.pictures |= {pair.key: [pair.face] for pair in pairs if pair.key in task.shown}
        for method, scores in zip(methods, gathered.scores, strict=True):
            for pair, masked in zip(pairs, method.mask(pairs), strict=True):
                scores.append(_score(pair, masked))
                if pair.key in task.shown and not isinstance(method, NoMask):
                    gathered.pictures[pair.key].append(None if masked is None else masked.output)
        gathered.people += [pair.people for pair in pairs]
        gathered.known += [pair.key in task.known for pair in pairs]
        watcher.done(len(gathered.people))
    heads = ["input", *(method.name for method in methods if not isinstance(method, NoMask))]
    sheet = draw_grid(heads, [gathered.pictures[key] for key in task.shown])
    return Evaluation(task, _tables(task, methods, gathered), sheet)


def _score(pair: Pair, masked: Masked | None) -> Scores | None:
    if masked is None:
        return None
    return score(pair.face, pair.target, pair.truth, masked.output, masked.region)


def _tables(task: Task, methods: Sequence[Method], gathered: _Gathered) -> dict[str, tuple[Row, ...]]:
    own = not task.runs or any(run.own_build for run in task.runs)
    return {
        title: tuple(
            make_row(method.name, list(compress(scores, chosen)), list(compress(gathered.people, chosen)))
            for method, scores in zip(methods, gathered.scores, strict=True)
        )
        for title, chosen in groups_of(gathered.known, task.protocol.split, own).items()
    }


def _pairs(task: Task) -> Iterator[Pair]:
    size = task.runs[0].card.size
    for sample in open_split(task.out, task.protocol.split):
        pair = Pair.from_sample(sample)
        if pair.face.shape[:2] != (size, size):
            what = f"the sample has another size than {size}x{size}, that of the build"
            raise StorageError(what, where=pair.key, value=pair.face.shape, remedy=AGAIN)
        yield pair


def _batches(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    stream = iter(pairs)
    while batch := list(islice(stream, BATCH)):
        yield batch
