"""Which photos have a partner, and what becomes of the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from faceloom.schemas.faces import UNREADABLE
from faceloom.schemas.recipe import Recipe
from tests.pipelines.planning import POLYGON, Item, choose, face_row, item, recipe

PAIRS = {"kind": "pairs", "bare": "a", "masked": "b", "name": "s"}
OTHERS = {"kind": "people", "path": "c", "name": "t"}


def how(*masks: dict[str, Any]) -> Recipe:
    return recipe(sources=[PAIRS, OTHERS], masks=[{"kind": "real"}, *masks])


def of_pair(uri: str, **more: Any) -> Item:
    return item(uri, **{"labels": "0" * 64, **more})


def found(recipe: Recipe, *items: Item) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    """Masks of the chosen faces and codes of the rejects, by uri."""
    chosen = choose(recipe, items)
    return {face.uri: face.masks for face in chosen.faces}, {reject.uri: reject.code for reject in chosen.rejects}


def test_a_face_of_a_pair_wears_its_mask_and_others_are_rejects() -> None:
    labelled = of_pair("2.jpg", source="t")  # a label map is no masked photo
    assert found(how(), of_pair("1.jpg"), labelled) == ({"1.jpg": (0,)}, {"2.jpg": "not_a_pair"})


def test_with_another_mask_all_faces_are_used() -> None:
    masks, rejects = found(how({**POLYGON, "weight": 1e-6}), of_pair("1.jpg"), item("2.jpg", source="t"))
    assert masks == {"1.jpg": (0,), "2.jpg": (1,)} and not rejects


def test_a_pair_needs_no_landmarks() -> None:
    unsure = (replace(face_row(), landmarks_unsure=True),)
    items = of_pair("1.jpg", faces=unsure), item("2.jpg", source="t", faces=unsure)
    assert found(how(POLYGON), *items) == ({"1.jpg": (0,)}, {"2.jpg": "landmarks_unsure"})


def test_a_partner_that_cannot_be_read_rejects_no_photo() -> None:
    """Which samples wear which mask does not depend on it. The render rejects those with the mask of the pair."""
    fine, bad = of_pair("1.jpg"), of_pair("1.jpg", labels=f"{UNREADABLE}why")
    several = recipe(sources=[PAIRS], masks=[{"kind": "real"}, POLYGON], per_face=6)
    masks, rejects = found(several, bad)
    assert (masks, rejects) == found(several, fine) and set(masks["1.jpg"]) == {0, 1} and not rejects
    assert found(how(), bad) == ({"1.jpg": (0,)}, {})
    plain = recipe(sources=[PAIRS], masks=[POLYGON])
    assert found(plain, bad) == ({"1.jpg": (0,)}, {})


def test_the_plan_names_the_partner() -> None:
    [face] = choose(how(), [of_pair("1.jpg")]).faces
    assert face.labels == "0" * 64
