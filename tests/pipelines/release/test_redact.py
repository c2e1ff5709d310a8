"""A name goes out of the free texts of a manifest, and the recipe in it still parses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.release.erase import erase
from faceloom.pipelines.release.redact import redacted_texts
from faceloom.pipelines.release.traces import traces_of
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.recipe import parse_recipe
from faceloom.schemas.release import GroupMisses, ModelUse
from tests.pipelines.release.sets import One, release_in, write_set

RECIPE: dict[str, Any] = {
    "name": "x",
    "description": "surgical, A, masks, polygon and template",
    "sources": [{"path": "Ada", "name": "Ada", "licence": "by Ada", "consent": "Ada's", "exclude": ["Ada/*"]}],
    "masks": [{"kind": "template", "template": "surgical"}, {"kind": "polygon", "shape": "A"}],
}


@pytest.mark.parametrize("who", ["surgical", "A", "masks", "polygon", "template"])
def test_a_person_with_the_name_of_a_key_or_a_choice_leaves_the_recipe_sound(tmp_path: Path, who: str) -> None:
    release_in(tmp_path, [One(1, who), One(3, "Grace"), One(6, "Emmy", "test", shard=1)], recipe=RECIPE)
    done = erase(Storage(str(tmp_path)), "faces@1.0.0", "1.0.1", identity=who)
    recipe = done.published.release.recipe
    assert recipe["masks"] == RECIPE["masks"] and parse_recipe(recipe)
    assert recipe["description"] == RECIPE["description"].replace(who, "erased")
    assert "releases/faces/1.0.1/release.json" in done.named_in, "the word stays, as a word of recipes"


def test_free_texts_are_redacted(tmp_path: Path) -> None:
    release = write_set(Storage(str(tmp_path)), [One(3, "Grace")], recipe=RECIPE, description="without Ada")
    texts = redacted_texts(release, traces_of("Ada"))
    assert texts["recipe"]["sources"] == [
        {"path": "erased", "name": "erased", "licence": "by erased", "consent": "erased's", "exclude": ["erased/*"]}
    ]
    assert texts["description"] == "without erased" and "Ada" not in repr(texts)


def test_the_role_of_a_model_stays(tmp_path: Path) -> None:
    models = (ModelUse(role="mask", name="mask", sha256="0" * 64, licence="of mask"),)
    misses = (GroupMisses(attribute="artist", value="mask", photos=3, missed=1),)
    release = write_set(Storage(str(tmp_path)), [One(3, "Grace")], models=models, misses=misses)
    texts = redacted_texts(release, traces_of("mask"))
    assert texts["models"] == [{"role": "mask", "name": "erased", "sha256": "0" * 64, "licence": "of erased"}]
    assert texts["misses"] == [{"attribute": "artist", "value": "erased", "photos": 3, "missed": 1}]


def test_a_recipe_that_cannot_be_parsed_is_redacted_all_the_same(tmp_path: Path) -> None:
    recipe = {"name": "x", "Ada": {"of": ["Ada", 12, None, {"Ada": True}]}}
    release = write_set(Storage(str(tmp_path)), [One(3, "Grace")], recipe=recipe)
    assert redacted_texts(release, traces_of("Ada"))["recipe"] == {
        "name": "x",
        "Ada": {"of": ["erased", 12, None, {"Ada": True}]},
    }
