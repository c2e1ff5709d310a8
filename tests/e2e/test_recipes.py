"""Every recipe that comes with the project builds what it says, from real portraits."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from faceloom.pipelines import demo
from faceloom.pipelines.build import prepare, run_build
from faceloom.pipelines.contact_sheet import load_members
from faceloom.pipelines.parts import shard_index
from faceloom.pipelines.record import BuildRecord
from faceloom.pipelines.storage import Storage
from faceloom.pipelines.tables import read_index
from faceloom.pipelines.watcher import Watcher
from faceloom.schemas.keys import generator
from faceloom.schemas.recipe import Recipe, load_recipe, parse_recipe
from faceloom.schemas.source_spec import SourceSpec

pytest.importorskip("matplotlib")
pytest.importorskip("skimage")

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))
VIEWS = 5

Samples = list[tuple[Any, dict[str, Any]]]


def build(recipe: Recipe, photos: Path, out: Path) -> tuple[BuildRecord, Samples]:
    """Build a recipe from a folder; returns the record, and index row and decoded members of every sample."""
    recipe = recipe.model_copy(update={"sources": (SourceSpec(path=str(photos)),)})
    record = run_build(prepare(recipe, str(out)), workers=1, resume=True, watcher=Watcher()).record
    storage = Storage(str(out))
    rows = [(shard.name, row) for shard in record.shards for row in read_index(storage, shard_index(shard.name))]
    return record, [(row, load_members(storage, shard, row)) for shard, row in rows]


def named(name: str) -> Recipe:
    return load_recipe(next(path for path in RECIPES if path.stem == name))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people with five views each."""
    folder = tmp_path_factory.mktemp("photos")
    for name, portrait in demo.load_portraits().items():
        (folder / name).mkdir()
        for number in range(VIEWS):
            view = demo.draw_view(portrait, name, generator(3, f"{name}{number}", "demo"))
            (folder / name / f"{number}.jpg").write_bytes(demo.encode_jpeg(view, 95))
    return folder


@pytest.fixture(scope="module")
def crops(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same photos as 112 x 112 ArcFace crops, PNG."""
    folder = tmp_path_factory.mktemp("crops")
    recipe = parse_recipe({"name": "crops", "output": {"image": "png"}})
    out = tmp_path_factory.mktemp("crops-out")
    recipe = recipe.model_copy(update={"sources": (SourceSpec(path=str(photos)),)})
    run_build(prepare(recipe, str(out)), workers=1, resume=True, watcher=Watcher())
    storage = Storage(str(out))
    for path in storage.list("index"):
        shard = Path(path).stem
        for row in read_index(storage, path):
            member = next(member for member in row.members if member.name == "face.png")
            (folder / row.identity).mkdir(exist_ok=True)
            data = storage.read_range(f"shards/{shard}.tar", member.offset, member.size)
            (folder / row.identity / f"{row.key}.png").write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def built(photos: Path, crops: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A function that builds a recipe by name, once."""
    done: dict[str, tuple[BuildRecord, Samples]] = {}

    def once(name: str) -> tuple[BuildRecord, Samples]:
        if name not in done:
            recipe = named(name)
            source = crops if recipe.faces.assume == "aligned" else photos
            done[name] = build(recipe, source, tmp_path_factory.mktemp(name))
        return done[name]

    yield once


def test_all_recipes_of_the_readme_are_here() -> None:
    assert {path.stem for path in RECIPES} >= {"arcface", "demo", "lee2022", "mask2face", "masked-pairs", "nist"}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_named_as_its_file_and_says_what_it_is_for(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    assert len(recipe.description) > 20
    assert path.read_text().startswith("# ")
    # A default that is written down all the same would hide from later changes of defaults.
    assert set(yaml.safe_load(path.read_text())) <= set(Recipe.model_fields)


@pytest.mark.parametrize("name", [path.stem for path in RECIPES])
def test_every_photo_becomes_as_many_samples_as_the_recipe_asks_for(built: Any, name: str) -> None:
    record, samples = built(name)
    recipe = named(name)
    assert record.written == record.planned == len(samples) == 2 * VIEWS * recipe.per_face
    assert record.rejects == {}


@pytest.mark.parametrize("name", [path.stem for path in RECIPES])
def test_members_have_the_promised_shapes_and_fit_together(built: Any, name: str) -> None:
    width, height = named(name).align.width_height
    for _, members in built(name)[1]:
        assert members["face"].shape == members["masked"].shape == (height, width, 3)
        assert members["mask"].shape == (height, width)
        assert set(np.unique(members["mask"])) <= {0, 255}
        assert (members["mask"] == 255).mean() > 0.005
        assert members["landmarks"].shape == (68, 2)
        eyes = members["landmarks"][36:48]
        assert ((eyes > 0) & (eyes < (width, height))).all()


@pytest.mark.parametrize("name", [path.stem for path in RECIPES])
def test_the_mask_is_where_the_pictures_differ(built: Any, name: str) -> None:
    for row, members in built(name)[1]:
        difference = np.abs(members["masked"].astype(int) - members["face"]).max(axis=2)
        inside = members["mask"] == 255
        assert difference[inside].mean() > 3 * difference[~inside].mean(), row.key


def test_nist_fills_its_polygons_with_the_two_colours(built: Any) -> None:
    for _, members in built("nist")[1]:
        colours = members["masked"][members["mask"] == 255].astype(int)
        middle = np.median(colours, axis=0).tolist()
        assert middle in ([110, 207, 254], [0, 0, 0])
        assert (np.abs(colours - middle).max(axis=1) <= 2).mean() > 0.85


def test_nist_covers_the_mouth_whatever_the_shape(built: Any) -> None:
    for row, members in built("nist")[1]:
        x, y = members["landmarks"][48:68].mean(axis=0).round().astype(int)
        assert members["mask"][y, x] == 255, row.mask


@pytest.mark.parametrize("name", ["nist", "lee2022"])
def test_eye_level_recipes_have_level_eyes(built: Any, name: str) -> None:
    for _, members in built(name)[1]:
        left, right = members["landmarks"][36:42].mean(axis=0), members["landmarks"][42:48].mean(axis=0)
        width = members["face"].shape[1]
        assert abs(left[1] - right[1]) < 0.01 * width
        assert abs(np.hypot(*(right - left)) / width - 0.315) < 0.01


def test_lee2022_divides_each_persons_photos_70_to_30(built: Any) -> None:
    counts = Counter((row.identity, row.split) for row, _ in built("lee2022")[1])
    for name in ("Grace_Hopper", "Eileen_Collins"):
        assert counts[name, "train"] + counts[name, "test"] == VIEWS
        assert abs(counts[name, "train"] - 0.7 * VIEWS) < 1


def test_identities_stay_on_one_side_in_masked_pairs(built: Any) -> None:
    splits: dict[str, set[str]] = {}
    for row, _ in built("masked-pairs")[1]:
        splits.setdefault(row.identity, set()).add(row.split)
    assert all(len(of_person) == 1 for of_person in splits.values())


def test_arcface_needs_no_detector_and_keeps_the_frame(built: Any) -> None:
    eyes = np.array([(38.2946, 51.6963), (73.5318, 51.5014)])
    for _, members in built("arcface")[1]:
        found = [members["landmarks"][points].mean(axis=0) for points in (slice(36, 42), slice(42, 48))]
        assert np.abs(np.array(found) - eyes).max() < 6
        (alignment,) = (step for step in members["json"]["operations"] if step["name"] == "align")
        assert alignment["mode"] == "arcface"
        assert abs(np.array(alignment["matrix"])[:, :2] - np.eye(2)).max() < 0.05


def test_the_demo_shows_every_mask_and_writes_alpha(built: Any) -> None:
    recipe = named("demo")
    templates = {getattr(mask, "template", None) for mask in recipe.masks}
    assert len(templates - {None}) == 9
    assert {getattr(mask, "wearing", "correct") for mask in recipe.masks} == {
        "correct", "nose_out", "under_chin", "chin_only",
    }  # fmt: skip
    for _, members in built("demo")[1]:
        assert ((members["alpha"] >= 128) == (members["mask"] == 255)).mean() > 0.999


def test_mask2face_has_nine_masks_alike_often() -> None:
    recipe = named("mask2face")
    assert len({mask.label for mask in recipe.masks}) == 9
    assert {mask.weight for mask in recipe.masks} == {1.0}


def test_records_hold_no_path_of_this_machine(built: Any, photos: Path) -> None:
    record, _ = built("nist")
    assert str(photos.parent) not in json.dumps(record.model_dump(mode="json"))
