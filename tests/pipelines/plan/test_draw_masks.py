"""Masks that are drawn for many faces at once are those that are drawn for each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.plan import draw_masks as module
from faceloom.pipelines.plan.draw_masks import draw_all_masks, draw_masks
from faceloom.schemas.keys import face_key
from faceloom.schemas.recipe import Recipe
from tests.pipelines.planning import POLYGON, TEMPLATE, recipe

FALLBACK = {"kind": "autoencoder", "checkpoint": "runs/ae", "when": "landmarks_missing"}
HEADS = np.random.default_rng(0).integers(0, 2**64, 400, np.uint64)
NUMBERS = np.arange(400) % 7 * 30
LANDMARKS = np.arange(400) % 5 > 0


def one_by_one(how: Recipe) -> list[list[int]]:
    faces = zip(HEADS.tolist(), NUMBERS.tolist(), LANDMARKS.tolist(), strict=True)
    drawn = [draw_masks(how, face_key(f"{head:016x}", number), landmarks=has) for head, number, has in faces]
    return [list(masks) for masks in drawn]


@given(
    st.lists(st.sampled_from([POLYGON, TEMPLATE, {**POLYGON, "weight": 0.3}, FALLBACK]), max_size=4),
    st.integers(1, 3),
    st.sampled_from([0, 7]),
)
def test_all_at_once_and_one_by_one_are_the_same(masks: list[dict[str, object]], per_face: int, seed: int) -> None:
    how = recipe(masks=[*masks, POLYGON], per_face=per_face, seed=seed)
    found = draw_all_masks(how, HEADS, NUMBERS, LANDMARKS).tolist()
    assert [[number for number in row if number >= 0] for row in found] == one_by_one(how)


def test_times_that_are_too_near_to_compare_are_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    how = recipe(masks=[POLYGON, TEMPLATE], per_face=2)
    monkeypatch.setattr(module, "_NEAR", np.inf)
    exact = draw_all_masks(how, HEADS, NUMBERS, LANDMARKS)
    monkeypatch.undo()
    assert np.array_equal(exact, draw_all_masks(how, HEADS, NUMBERS, LANDMARKS))
