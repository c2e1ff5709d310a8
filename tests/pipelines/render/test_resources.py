"""What rendering needs is loaded for the recipe at hand, and must be what it was when the build began."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from faceloom.pipelines.context import Context
from faceloom.pipelines.render.features import BATCH
from faceloom.pipelines.render.real_sizes import HeightCounts, count_heights
from faceloom.pipelines.render.resources import RenderResources, file_digests, load_resources
from faceloom.schemas.errors import RecipeError
from faceloom.schemas.recipe import Recipe, parse_recipe


def recipe(**changes: object) -> Recipe:
    return parse_recipe({"name": "x", **changes})


def load(how: Recipe, digests: tuple[str, ...], counts: HeightCounts = ()) -> RenderResources:
    recipe_json = how.model_dump_json(exclude_unset=True, by_alias=True)
    return load_resources(Context(recipe_json, "out", (), digests, counts))


def heights(folder: Path, text: str = "14\n20\n") -> Path:
    path = folder / "heights.txt"
    path.write_text(text)
    return path


def test_a_plain_recipe_needs_nothing() -> None:
    how = recipe()
    resources = load(how, file_digests(how))
    assert (resources.real_heights, resources.extractor, resources.batch) == ((), None, 1)


def test_real_heights_are_read(tmp_path: Path) -> None:
    how = recipe(lowres={"sizes_from": str(heights(tmp_path))})
    found = count_heights(how)
    assert load(how, file_digests(how, found), found).real_heights == (14, 20)
    assert file_digests(how, found) != file_digests(recipe(), count_heights(recipe()))


def test_heights_are_those_of_when_the_build_began(tmp_path: Path) -> None:
    how = recipe(lowres={"sizes_from": str(heights(tmp_path))})
    found = count_heights(how)
    digests = file_digests(how, found)
    Path(str(how.lowres and how.lowres.sizes_from)).unlink()
    assert load(how, digests, found).real_heights == (14, 20)


def test_heights_of_another_file_are_other_digests(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    one, other = heights(tmp_path), heights(tmp_path / "b", "14\n21\n")
    recipes = [recipe(lowres={"sizes_from": str(path)}) for path in (one, other)]
    digests = [file_digests(how, count_heights(how)) for how in recipes]
    assert digests[0] != digests[1]


def test_a_file_that_changed_since_the_build_began_is_refused(tmp_path: Path) -> None:
    model = tmp_path / "n.pt"
    model.write_bytes(b"one")
    how = recipe(output={"features": {"model": str(model)}})
    then = file_digests(how)
    model.write_bytes(b"another")
    with pytest.raises(RecipeError, match="this file changed while the build ran") as caught:
        load(how, then)
    assert "Run the same command again" in caught.value.remedy and caught.value.where == "$.output.features.model"


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_network_is_loaded_and_faces_come_in_its_batches(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    model = tmp_path / "n.pt"
    torch.jit.script(torch.nn.Flatten()).save(str(model))
    how = recipe(output={"features": {"model": str(model)}})
    digests = file_digests(how)
    resources = load(how, digests)
    assert resources.extractor is not None and resources.batch == BATCH
    [row] = resources.extractor.extract([np.full((2, 2, 3), 255, np.uint8)])
    assert row.tolist() == [1.0] * 12
    assert load(how, digests).extractor is resources.extractor, "loaded once per process"
    os.utime(model, ns=(1, 1))
    assert file_digests(how) == digests, "another time is no other file"
    torch.jit.script(torch.nn.Identity()).save(str(model))
    with pytest.raises(RecipeError, match=r"\$\.output\.features\.model|this file changed while the build ran"):
        load(how, digests)
