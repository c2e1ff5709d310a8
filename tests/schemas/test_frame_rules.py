"""A recipe of frames selects all faces, and holds nothing that needs the crop of one face."""

from __future__ import annotations

from typing import Any

import pytest

from faceloom.schemas.errors import RecipeError
from faceloom.schemas.recipe import Recipe, parse_recipe


def recipe(**changes: Any) -> Recipe:
    return parse_recipe({"name": "frames", "align": {"mode": "frame"}, **changes})


def test_a_frame_shows_all_faces() -> None:
    assert recipe().faces.select == "all"
    assert recipe(faces={"min_size": 9}).faces.min_size == 9
    assert parse_recipe({"name": "crops"}).faces.select == "largest"
    again = Recipe.model_validate_json(recipe().model_dump_json(exclude_unset=True, by_alias=True))
    assert again == recipe()


@pytest.mark.parametrize(
    "changes",
    [
        {"faces": {"select": "largest"}},
        {"faces": {"assume": "aligned"}},
        {"morph": {}},
        {"augment": [{"kind": "flip"}]},
        {"guide": {"parts": ["nose"]}},
        {"lowres": {"sizes": [16]}},
        {"output": {"halves": {}}},
        {"align": {"mode": "frame", "size": 64}},
        {"align": {"mode": "frame", "margin": 0.1}},
        {"align": {"mode": "frame", "border": "reflect"}},
        {"align": {"mode": "frame", "max_side": 20}},
        {"align": {"mode": "frame", "masked_share": 2}},
        {"align": {"mode": "arcface", "max_side": 512}},
        {"align": {"mode": "arcface", "masked_share": 0.5}},
    ],
    ids=str,
)
def test_what_needs_a_crop_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RecipeError):
        recipe(**changes)
