"""Options of faces: what they refuse, and where."""

from __future__ import annotations

from typing import Any

import pytest

from faceloom.schemas.errors import RecipeError
from faceloom.schemas.recipe import parse_recipe

SOURCE = {"sources": [{"path": "photos"}]}


def faces(**options: Any) -> Any:
    return parse_recipe({"name": "x", **SOURCE, "faces": options}).faces


def test_a_detector_is_a_name_or_a_file() -> None:
    assert faces(detector="yunet").detector == "yunet"
    assert faces(detector={"onnx": "mine.onnx"}).detector.onnx == "mine.onnx"
    with pytest.raises(RecipeError, match="detector"):
        faces(detector="retina")


def test_a_confidence_needs_a_detector_that_has_one() -> None:
    assert faces().confidence is None
    assert faces(confidence=0.6).confidence == faces(detector="yunet", confidence=0.6).confidence == 0.6
    with pytest.raises(RecipeError, match="`detector: hog`: use min_score instead"):
        faces(confidence=0.6, detector="hog")
    for detector in ("auto", "hog"):
        with pytest.raises(RecipeError, match="`assume: aligned`, where no detector runs: leave it out"):
            faces(confidence=0.6, assume="aligned", detector=detector)
    with pytest.raises(RecipeError, match="confidence"):
        faces(confidence=0.1)


def test_a_parser_is_a_file_or_settings() -> None:
    assert faces(parser="parts.onnx").parser.onnx == "parts.onnx"


def test_hair_hats_and_glasses_stay_in_front_unless_the_list_is_empty() -> None:
    assert faces().in_front == ("hair", "hat", "eye_g")
    assert faces(in_front=[]).in_front == ()
    with pytest.raises(RecipeError, match="in_front"):
        faces(in_front=["nose"])


@pytest.mark.parametrize(("least", "most", "fine"), [(40, 200, True), (90, 90, True), (200, 40, False)])
def test_the_range_of_brightness_has_room(least: float, most: float, fine: bool) -> None:
    if fine:
        assert faces(min_brightness=least, max_brightness=most).min_brightness == least
        return
    with pytest.raises(RecipeError, match=f"min_brightness {least} is above max_brightness {most}"):
        faces(min_brightness=least, max_brightness=most)


@pytest.mark.parametrize("options", [{"above": 1.0}, {"above": -0.1}, {"do": "drop"}])
def test_a_gate_refuses_what_makes_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=rf"faces\.masked\.{next(iter(options))}"):
        faces(masked={"detector": "runs/det", **options})


def test_the_gate_rejects_above_the_measured_limit_unless_the_recipe_has_another() -> None:
    gate = faces(masked={"detector": "runs/det"}).masked
    assert (gate.above, gate.do) == (0.22, "reject")
