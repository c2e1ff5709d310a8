"""Masks that are drawn for many faces at once are those that are drawn for each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.plan import draw_masks as module
from faceloom.pipelines.plan.draw_masks import draw_all_masks
from faceloom.schemas.keys import face_key
from faceloom.schemas.recipe import Recipe
from tests.pipelines.plan.drawing import draw_masks
from tests.pipelines.planning import POLYGON, TEMPLATE, recipe

FALLBACK = {"kind": "autoencoder", "checkpoint": "runs/ae", "when": "landmarks_missing"}
HEADS = np.random.default_rng(0).integers(0, 2**64, 400, np.uint64)
NUMBERS = np.arange(400) % 7 * 30
LANDMARKS = np.arange(400) % 5 > 0
FOUND = np.arange(400) % 10 > 0
"""All with landmarks, and some without."""
LEARNED = {"kind": "autoencoder", "checkpoint": "runs/ae"}


PAIRED = np.arange(400) % 3 > 0
REAL = {"kind": "real"}


def one_by_one(how: Recipe) -> list[list[int]]:
    columns = HEADS, NUMBERS, LANDMARKS, FOUND, PAIRED
    drawn = [
        draw_masks(how, face_key(f"{head:016x}", number), landmarks=has, found=found, paired=paired)
        for head, number, has, found, paired in zip(*(column.tolist() for column in columns), strict=True)
    ]
    return [list(masks) for masks in drawn]


@given(
    st.lists(st.sampled_from([POLYGON, TEMPLATE, {**POLYGON, "weight": 0.3}, FALLBACK, LEARNED, REAL]), max_size=4),
    st.integers(1, 3),
    st.sampled_from([0, 7]),
)
def test_all_at_once_and_one_by_one_are_the_same(masks: list[dict[str, object]], per_face: int, seed: int) -> None:
    how = recipe(masks=[*masks, POLYGON], per_face=per_face, seed=seed)
    found = draw_all_masks(how, HEADS, NUMBERS, LANDMARKS, FOUND, PAIRED).tolist()
    assert [[number for number in row if number >= 0] for row in found] == one_by_one(how)


def test_times_that_are_too_near_to_compare_are_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    how = recipe(masks=[POLYGON, TEMPLATE], per_face=2)
    monkeypatch.setattr(module, "_NEAR", np.inf)
    exact = draw_all_masks(how, HEADS, NUMBERS, LANDMARKS, FOUND)
    monkeypatch.undo()
    assert np.array_equal(exact, draw_all_masks(how, HEADS, NUMBERS, LANDMARKS, FOUND))


def worn(how: Recipe, *, landmarks: bool = True, found: bool = True, paired: bool = False) -> set[str]:
    """Labels of the masks that one face wears in all its variants."""
    one = np.ones(1, bool)
    drawn = draw_all_masks(how, HEADS[:1], NUMBERS[:1], one & landmarks, one & found, one & paired)[0].tolist()
    return {how.masks[number].label for number in drawn if number >= 0}


def test_a_face_without_trusted_landmarks_wears_learned_masks_alone() -> None:
    how = recipe(masks=[POLYGON, FALLBACK, TEMPLATE, LEARNED], per_face=50)
    assert worn(how) == {"polygon-A", "kn95", "autoencoder-ae"}
    assert worn(how, landmarks=False) == {"autoencoder-ae", "autoencoder-ae-no_landmarks"}
    assert worn(how, landmarks=False, found=False) == {"autoencoder-ae-no_landmarks"}


@pytest.mark.parametrize("landmarks", [True, False])
def test_only_faces_of_pairs_wear_real_masks(landmarks: bool) -> None:
    how = recipe(masks=[POLYGON, REAL], per_face=50)
    painted = {"polygon-A"} if landmarks else set()
    assert worn(how, landmarks=landmarks) == painted
    assert worn(how, landmarks=landmarks, paired=True) == {*painted, "real"}
    assert worn(how, landmarks=False, found=False, paired=True) == set()
