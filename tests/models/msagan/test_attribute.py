"""Attributes of samples: as sources write them, and from landmarks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from faceloom.models.msagan.attribute import MOUTH_OPEN, attribute_of, derived, members_for, mouth_opening, recorded


def mouth(gap: float) -> np.ndarray:
    """float32 (68, 2): a mouth 100 pixels wide, with this gap, level or not."""
    points = np.zeros((68, 2), np.float32)
    points[60], points[64] = (0, 0), (100, 0)
    for number, (above, below) in enumerate(((61, 67), (62, 66), (63, 65)), 1):
        points[above], points[below] = (25 * number, -gap / 2), (25 * number, gap / 2)
    return points


def test_an_opening_is_relative_to_the_width_of_the_mouth() -> None:
    turned = mouth(20) @ np.array([[0.0, 1.0], [-1.0, 0.0]], np.float32) * 3 + 40
    assert mouth_opening(np.stack([mouth(20), turned])) == pytest.approx([0.2, 0.2], rel=1e-5)


def test_a_mouth_is_open_closed_or_unknown() -> None:
    unknown = np.full((68, 2), np.nan, np.float32)
    assert derived(np.stack([mouth(30), mouth(2), unknown])).tolist()[:2] == [1, 0]
    assert math.isnan(derived(unknown)) and math.isnan(derived(mouth(7)))


@pytest.mark.parametrize("value", [True, 1, 1.0, "true", "1", "1.0"])
def test_yes(value: object) -> None:
    assert recorded("a", {"attributes": {"a": value}}) == 1


@pytest.mark.parametrize("value", [False, 0, -1, -1.0, "false", "-1", "0"])
def test_no(value: object) -> None:
    assert recorded("a", {"attributes": {"a": value}}) == 0


@pytest.mark.parametrize("attributes", [{}, {"a": ""}, {"a": 3.5}, {"a": "often"}])
def test_anything_else_is_unknown(attributes: dict[str, object]) -> None:
    assert math.isnan(recorded("a", {"attributes": attributes}))


def test_an_attribute_comes_from_the_member_that_is_read_for_it() -> None:
    assert members_for(MOUTH_OPEN) == ("landmarks",) and members_for("Smiling") == ("json",)
    assert attribute_of(MOUTH_OPEN, {"landmarks": mouth(30)}) == 1
    assert attribute_of("Smiling", {"json": {"attributes": {"Smiling": -1}}}) == 0
