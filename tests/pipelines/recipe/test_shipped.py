"""Recipes by name: which there are, what wins, and what a wrong name gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from faceloom.pipelines.recipe.load import load_recipe
from faceloom.pipelines.recipe.shipped import find_recipe, recipe_folder, recipe_names, shipped_recipe
from faceloom.schemas.errors import RecipeError


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_recipe_is_found_by_its_name_from_anywhere() -> None:
    assert {"masked-pairs", "lee2022", "nist"} <= set(recipe_names())
    for name in recipe_names():
        assert find_recipe(name).parent == recipe_folder()
        assert load_recipe(name).name == name


def test_a_file_wins_and_a_folder_does_not(tmp_path: Path) -> None:
    (tmp_path / "nist").mkdir()
    assert find_recipe("nist") == recipe_folder() / "nist.yaml"
    (tmp_path / "arcface").write_text("name: mine")
    assert load_recipe("arcface").name == "mine"


@pytest.mark.parametrize(("given", "near"), [("masked-pear", "masked-pairs"), ("recipes/nyst.yaml", "nist")])
def test_a_wrong_name_gets_the_nearest_and_the_list(given: str, near: str) -> None:
    with pytest.raises(RecipeError, match=f"no such recipe; did you mean '{near}'") as caught:
        find_recipe(given)
    assert caught.value.value == given
    assert all(name in caught.value.remedy for name in recipe_names())


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipes_mean_the_same_in_yaml_1_1_and_1_2(name: str) -> None:
    text = find_recipe(name).read_text(encoding="utf-8")
    old, new = YAML(typ="safe", pure=True), YAML(typ="safe", pure=True)
    old.version = (1, 1)
    assert old.load(text) == new.load(text)


def test_a_shipped_recipe_is_found_by_name_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "masked-pairs").write_text("name: mine")
    monkeypatch.chdir(tmp_path)
    assert shipped_recipe("masked-pairs").parent == recipe_folder()
    for name in (str(tmp_path / "masked-pairs"), "masked-pears", "/etc/hostname", ""):
        with pytest.raises(RecipeError, match="no such recipe ships"):
            shipped_recipe(name)
