"""Known and held-out people are in tables of their own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")

from faceloom.pipelines.evaluation.groups import EVERYONE, groups_of, tables_of

KNOWN, HELD_OUT = "people that are also in train", "held-out people"


def test_both_kinds_of_people_are_groups_of_their_own() -> None:
    assert groups_of([True, False], "test", True) == {
        EVERYONE: [True, True], KNOWN: [True, False], HELD_OUT: [False, True],
    }  # fmt: skip
    for known, split in (([True, True], "test"), ([False], "test"), ([True, False], "train")):
        assert list(groups_of(known, split, True)) == [EVERYONE]


def test_a_network_of_another_build_has_no_known_people() -> None:
    assert list(groups_of([True, False], "test", False)) == [EVERYONE]


def test_tables_hold_the_means_of_their_group() -> None:
    people = {"a": frozenset({"Ada"}), "b": frozenset({"Bob"}), "c": frozenset({"Cai"})}
    task: Any = SimpleNamespace(people=people, known=frozenset({"a"}), protocol=SimpleNamespace(split="test"), runs=())
    tables = tables_of(task, {"net": {"x": [1.0, 2.0, 4.0]}}, ["a", "b", "c"])
    means = {title: (row.figures["x"].value, row.samples) for title, (row,) in tables.items()}
    assert means == {EVERYONE: (pytest.approx(7 / 3), 3), KNOWN: (1.0, 1), HELD_OUT: (3.0, 2)}
