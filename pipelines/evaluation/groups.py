"""Tables of an evaluation: people that the networks know, and held-out people, are never mixed without a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress

from faceloom.pipelines.evaluation.figures import Row, row_of
from faceloom.pipelines.evaluation.job_task import JobTask
from faceloom.pipelines.training.held_out import TRAIN

EVERYONE = "all people"


def groups_of(known: Sequence[bool], split: str, own_build: bool) -> dict[str, list[bool]]:
    """Groups of the samples of a split: for each title, whether a sample belongs to it.

    Args:
        known: of each sample, whether it shows a person who is also in `train`.
        split: of the samples. With both kinds of people in it, and unless it is `train` itself, each kind is a group.
        own_build: whether a network was trained on this build. Otherwise the people that it knows are not known.
    """
    groups = {EVERYONE: [True] * len(known)}
    if own_build and any(known) and not all(known) and split != TRAIN:
        groups["people that are also in train"] = list(known)
        groups["held-out people"] = [not one for one in known]
    return groups


def tables_of(
    task: JobTask, values: Mapping[str, Mapping[str, Sequence[float]]], keys: Sequence[str]
) -> dict[str, tuple[Row, ...]]:
    """Tables of means, one per group of people.

    Args:
        task: of the evaluation.
        values: by method and metric, one per sample; NaN is left out.
        keys: of the samples.
    """
    people = [task.people[key] for key in keys]
    own = not task.runs or any(run.own_build for run in task.runs)
    groups = groups_of([key in task.known for key in keys], task.protocol.split, own)
    return {
        title: tuple(
            row_of(name, {one: list(compress(column, chosen)) for one, column in columns.items()},
                   list(compress(people, chosen)))
            for name, columns in values.items()
        )
        for title, chosen in groups.items()
    }  # fmt: skip
