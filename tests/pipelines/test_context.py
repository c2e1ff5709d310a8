"""What travels with every task: small, comparable, and complete."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from faceloom.pipelines.context import Context
from faceloom.schemas.errors import SourceError
from faceloom.schemas.recipe import Recipe, parse_recipe


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").write_bytes(name.encode())
    sources = [{"path": str(tmp_path / "one"), "kind": "flat"}, {"path": str(tmp_path / "two"), "name": "other"}]
    masks = [{"kind": "template", "template": "kn95", "colour": "navy"}, {"kind": "polygon", "shape": "B", "weight": 2}]
    return parse_recipe({"name": "x", "seed": 3, "sources": sources, "masks": masks, "align": {"size": [96, 112]}})


def test_the_recipe_comes_back_as_it_was(recipe: Recipe) -> None:
    assert Context(recipe.model_dump_json(), "out").recipe == recipe


def test_it_travels_small_and_compares_by_content(recipe: Recipe) -> None:
    context = Context(recipe.model_dump_json(), "out", ("0" * 64,))
    data = pickle.dumps(context)
    assert len(data) < 10_000
    assert pickle.loads(data) == context
    assert hash(context) == hash(pickle.loads(data))
    assert Context(recipe.model_dump_json(), "elsewhere") != context


def test_the_recipe_is_parsed_once(recipe: Recipe) -> None:
    one, other = (Context(recipe.model_dump_json(), root) for root in ("a", "b"))
    assert one.recipe is other.recipe


def test_sources_are_found_by_name_and_opened_once(recipe: Recipe) -> None:
    context = Context(recipe.model_dump_json(), "out")
    assert context.source("one").read("a.jpg") == b"one"
    assert context.source("other").read("a.jpg") == b"two"
    assert context.source("one") is context.source("one")
    with pytest.raises(KeyError):
        context.source("two")


def test_a_source_that_is_gone_says_so(tmp_path: Path) -> None:
    recipe = parse_recipe({"name": "x", "sources": [{"path": str(tmp_path / "none")}]})
    with pytest.raises(SourceError, match="no such file or folder"):
        Context(recipe.model_dump_json(), "out").source("none")


def test_the_storage_is_the_outputs(tmp_path: Path, recipe: Recipe) -> None:
    context = Context(recipe.model_dump_json(), str(tmp_path / "out"))
    with context.storage.write("a") as stream:
        stream.write(b"x")
    assert (tmp_path / "out" / "a").read_bytes() == b"x"
