"""Recipe files: where their paths start, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from faceloom.pipelines.recipe.load import load_recipe
from faceloom.pipelines.recipe.yaml_text import MOST_BYTES
from faceloom.schemas.errors import RecipeError


def write(folder: Path, text: str, name: str = "r.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_paths_in_a_recipe_file_start_at_its_folder(tmp_path: Path) -> None:
    (tmp_path / "sets").mkdir()
    path = write(
        tmp_path / "sets",
        """
        name: x
        faces: {landmark_model: models/lm.dat}
        sources: [{path: photos}, {path: ../b.csv, root: pics}, {path: /abs/c}, {path: '~/d'}]
        masks:
          - {kind: picture, path: m.png, anchors: ../m.json}
          - {kind: polygon, shape: A}
        """,
    )
    recipe = load_recipe(path)
    here = tmp_path / "sets"
    assert [source.path for source in recipe.sources] == [
        str(here / "photos"), str(here / "../b.csv"), "/abs/c", str(Path.home() / "d"),
    ]  # fmt: skip
    assert recipe.sources[1].root == str(here / "pics")
    assert recipe.sources[0].root is None
    assert recipe.faces.landmark_model == str(here / "models/lm.dat")
    assert recipe.masks[0].model_dump()["anchors"] == str(here / "../m.json")
    assert recipe.masks[1].kind == "polygon"


def test_a_relative_recipe_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "{name: x, sources: [{path: photos}]}")
    monkeypatch.chdir(tmp_path)
    assert load_recipe(Path("r.yaml")).sources[0].path == str(tmp_path / "photos")


def test_faults_in_a_file_have_their_paths(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path, "name: x\nmasks:\n  - {kind: polygon, shape: Q}\n"))
    assert caught.value.where == "$.masks[0].shape"


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "\t- x", "name: !!python/object:os.system x"])
def test_what_is_no_yaml(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecipeError, match="not valid YAML") as caught:
        load_recipe(write(tmp_path, text))
    assert caught.value.where.endswith("r.yaml")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(RecipeError, match="not valid YAML"):
        load_recipe(tmp_path / "r.yaml")


def test_a_file_that_is_not_there_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no such recipe.*none.yaml"):
        load_recipe(tmp_path / "none.yaml")
    with pytest.raises(RecipeError, match=r"cannot read the recipe.*directory"):
        load_recipe(tmp_path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    for path in (tmp_path / "pipe.yaml", Path("/dev/zero")):
        with pytest.raises(RecipeError, match="regular file"):
            load_recipe(path)


def test_a_file_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="too long"):
        load_recipe(write(tmp_path, "name: x\n" + "#" * MOST_BYTES))


def test_an_empty_file_is_no_mapping(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="a recipe is a mapping of keys"):
        load_recipe(write(tmp_path, "# nothing yet\n"))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("name: a\nname: b\n", r"\$\.name"),
        ("name: a\nalign: {size: 64, size: 112}\n", r"\$\.align\.size"),
        ("name: a\nmasks:\n- {kind: polygon, shape: A, shape: B}\n", r"\$\.masks\[0\]\.shape"),
    ],
)
def test_a_key_given_twice_is_refused(text: str, path: str, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(text)
    with pytest.raises(RecipeError, match=rf"{path}: this key is given twice"):
        load_recipe(recipe)
