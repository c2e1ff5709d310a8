"""`faceloom recipes`, `schema` and `demo`."""

from __future__ import annotations

import json
from pathlib import Path

from faceloom.pipelines.cli.recipe_commands import complete_name
from faceloom.pipelines.recipe.schema import recipe_schema
from faceloom.pipelines.recipe.shipped import find_recipe, recipe_names
from tests.pipelines.cli.running import run


def test_recipes_are_listed_with_their_descriptions() -> None:
    listed = run("recipes")
    assert listed.exit_code == 0
    described = json.loads(run("recipes", "--json").stdout)
    assert list(described) == recipe_names()
    for name, description in described.items():
        assert name in listed.stdout and description.split()[0] in listed.stdout


def test_a_recipe_is_printed_as_it_is() -> None:
    assert run("recipes", "show", "nist").stdout == find_recipe("nist").read_text(encoding="utf-8")
    refused = run("recipes", "show", "nyst")
    assert refused.exit_code == 2 and "did you mean 'nist'" in refused.stderr


def test_names_are_completed() -> None:
    assert complete_name("mask") == ["mask2face", "masked-pairs"]


def test_the_schema_is_printed() -> None:
    assert json.loads(run("schema").stdout) == recipe_schema()


def test_the_demo_writes_its_photos_and_spares_other_folders(tmp_path: Path) -> None:
    shown = run("demo", tmp_path / "photos")
    assert shown.exit_code == 0 and shown.stdout.startswith("49 files in ")
    assert len([path for path in (tmp_path / "photos").rglob("*") if path.is_file()]) == 49
    (tmp_path / "photos" / "mine.txt").touch()
    assert run("demo", tmp_path / "photos").exit_code == 2
