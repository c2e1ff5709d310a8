"""Evaluation: masks a split of a finished build with trained networks and with baselines, and measures them all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress, islice

from faceloom.models.metrics import Scores, score
from faceloom.models.predict import MaskPredictor
from faceloom.pipelines.evaluation.figures import Row, make_row
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
from faceloom.pipelines.training.held_out import TRAIN
from faceloom.transforms.types import Image

BATCH = 128
"""Samples in memory at once."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What came out.

    Attributes:
        tables: a row for each method; by what people they are over: all, and known and held-out ones if there are both.
        sheet: uint8 (H, W, 3), RGB.
    """

    task: Task
    tables: Mapping[str, tuple[Row, ...]]
    sheet: Image


def open_methods(task: Task) -> list[Method]:
    """All that is compared, with the networks loaded; the targets come first, faces without a mask last.

    Raises:
        CheckpointError: a network's weights are damaged.
    """
    networks = [Network(run.name, MaskPredictor.load(run.folder, device=task.device)) for run in task.runs]
    return [Target(), *networks, Polygon(), AnotherTemplate.of_recipe(task.record.recipe), NoMask()]


@dataclass(slots=True)
class _Gathered:
    """What a split comes to, method by method: scores of its samples in order, and pictures to show, by key."""

    scores: list[list[Scores | None]]
    people: list[frozenset[str]] = field(default_factory=list)
    known: list[bool] = field(default_factory=list)
    pictures: dict[str, list[Image | None]] = field(default_factory=dict)


def evaluate(task: Task, methods: Sequence[Method], watcher: Watcher) -> Evaluation:
    """Mask every sample of the split by every method and measure the results.

    Raises:
        StorageError: a shard is damaged.
        FaceloomError: a sample has no masked face.
    """
    gathered = _Gathered([[] for _ in methods])
    watcher.stage("evaluate", task.protocol.samples, "samples")
    for pairs in _batches(map(Pair.from_sample, open_split(task.out, task.protocol.split))):
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
    of_known = gathered.known
    groups = {"all people": [True] * len(of_known)}
    if any(of_known) and not all(of_known) and task.protocol.split != TRAIN:
        groups["people whom train holds too"] = of_known
        groups["held-out people"] = [not known for known in of_known]
    return {
        title: tuple(
            make_row(method.name, list(compress(scores, chosen)), list(compress(gathered.people, chosen)))
            for method, scores in zip(methods, gathered.scores, strict=True)
        )
        for title, chosen in groups.items()
    }


def _batches(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    stream = iter(pairs)
    while batch := list(islice(stream, BATCH)):
        yield batch
