"""Every recipe that comes with the project builds what it says, by the command line, from real portraits."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from faceloom.pipelines import demo
from faceloom.pipelines.build import plan_build, prepare
from faceloom.pipelines.cli.app import app
from faceloom.pipelines.export.contact_sheet import load_members
from faceloom.pipelines.recipe.load import load_recipe
from faceloom.pipelines.recipe.yaml_text import parse_yaml
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import BuildRecord, read_record
from faceloom.pipelines.store.parquet_tables import read_index
from faceloom.pipelines.store.paths import shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.index import IndexRow
from faceloom.schemas.keys import generator
from faceloom.schemas.recipe import Recipe
from faceloom.transforms.guide.guide_mask import iou
from faceloom.transforms.guide.outlines import landmark_mask
from tests.pipelines.rendering import steps_of

pytest.importorskip("matplotlib")
pytest.importorskip("skimage")

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))
NAMES = [path.stem for path in RECIPES]
MORPHED = {"antimask", "everything"}
"""Recipes with morphs; faces of one person alone in a split have no one to be mixed with."""
VIEWS = 5


@dataclass(frozen=True)
class Built:
    """A finished build: its record, and index row and decoded members of every sample."""

    out: Path
    record: BuildRecord
    samples: list[tuple[IndexRow, dict[str, Any]]]

    def operations(self, name: str) -> list[dict[str, Any]]:
        """What each sample tells of a step, in order."""
        return [step for _, members in self.samples for step in steps_of(members["json"]) if step["name"] == name]


Build = Callable[[str], Built]


def run(*words: object) -> str:
    """Run the command line; returns what it printed."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.output


def read(out: Path) -> Built:
    storage = Storage(str(out))
    record = read_record(storage)
    rows = [(shard.name, row) for shard in record.shards for row in read_index(storage, shard_index(shard.name))]
    return Built(out, record, [(row, load_members(storage, shard, row)) for shard, row in rows])


def recipe_file(name: str) -> Path:
    return next(path for path in RECIPES if path.stem == name)


def named(name: str) -> Recipe:
    return load_recipe(recipe_file(name))


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
    """The same photos as 112 x 112 ArcFace crops, PNG, a folder for each person."""
    folder = tmp_path_factory.mktemp("crops")
    (folder / "crops.yaml").write_text("name: crops\nsplit: {shares: {train: 1}}\noutput: {image: png}\n")
    run("build", folder / "crops.yaml", "--source", photos, "--out", folder / "out", "--workers", 1)
    run("export", folder / "out", "--to", folder / "files")
    for file in (folder / "files").rglob("*.*"):
        if file.suffix != ".png":
            file.unlink()
    return folder / "files" / "train"


@pytest.fixture(scope="module")
def celebamask(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same photos as CelebAMask-HQ has them, their lips and mouth drawn by landmarks, a part as RGB or grey."""
    root = tmp_path_factory.mktemp("CelebAMask-HQ")
    pictures, parts = root / "CelebA-HQ-img", root / "CelebAMask-HQ-mask-anno" / "0"
    pictures.mkdir()
    parts.mkdir(parents=True)
    facts = {}
    for number, file in enumerate(sorted(photos.rglob("*.jpg"))):
        (pictures / f"{number}.jpg").write_bytes(file.read_bytes())
        facts[number] = 1 if number % 3 else -1
    (root / "marks.yaml").write_text("name: marks\nfaces: {min_size: 0}\nsplit: {shares: {train: 1}}\n")
    run("build", root / "marks.yaml", "--source", f"x={pictures}", "--out", root.with_name("marks"), "--workers", 1)
    for row, members in read(root.with_name("marks")).samples:
        (alignment,) = (step for step in steps_of(members["json"]) if step["name"] == "align")
        matrix = np.array(alignment["matrix"])
        points = (members["landmarks"] - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
        for part in ("u_lip", "mouth", "l_lip", "skin"):
            shown = landmark_mask(points, part, (demo.SIDE, demo.SIDE)).astype(np.uint8) * 255
            name = parts / f"{int(Path(row.uri).stem):05d}_{part}.png"
            assert cv2.imwrite(str(name), shown if part == "mouth" else cv2.merge([shown] * 3))
    lines = [f"{number}.jpg  {fact} {-fact}" for number, fact in facts.items()]
    text = "\n".join([str(len(lines)), "Mouth_Slightly_Open Young", *lines, ""])
    (root / "CelebAMask-HQ-attribute-anno.txt").write_text(text)
    mapping = "".join(
        f"{number} {index} x.jpg\n" for number, index in zip(facts, [5, 170_000, 190_000] * 4, strict=False)
    )
    (root / "CelebA-HQ-to-CelebA-mapping.txt").write_text(f"idx orig_idx orig_file\n{mapping}")
    (root / "marks.yaml").unlink()
    return root


@pytest.fixture(scope="module")
def built(photos: Path, crops: Path, celebamask: Path, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """A function that builds a recipe by name, once, from the source that it is for."""
    sources = {"arcface": crops, "msagan": celebamask}
    done: dict[str, Built] = {}

    def once(name: str) -> Built:
        if name not in done:
            out = tmp_path_factory.mktemp(name) / "out"
            run("build", recipe_file(name), "--source", sources.get(name, photos), "--out", out, "--workers", 1)
            done[name] = read(out)
        return done[name]

    return once


def test_all_recipes_of_the_readme_are_here() -> None:
    systems = {"antimask", "arcface", "askd", "lee2022", "mask2face", "msagan", "nist"}
    assert set(NAMES) >= systems | {"demo", "everything", "masked-pairs"}


@pytest.mark.parametrize("path", RECIPES, ids=NAMES)
def test_a_recipe_is_named_as_its_file_and_says_what_it_is_for(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    assert len(recipe.description) > 20
    assert path.read_text().startswith("# ")
    # A default that is written down all the same would hide from later changes of defaults.
    assert set(parse_yaml(path.read_bytes())) <= set(Recipe.model_fields)


@pytest.mark.parametrize("name", NAMES)
def test_every_photo_becomes_as_many_samples_as_the_recipe_asks_for(built: Build, name: str) -> None:
    record, samples = built(name).record, built(name).samples
    plain = [row for row, _ in samples if not row.parents]
    assert len(plain) == 2 * VIEWS * named(name).per_face
    assert record.written == len(samples)
    assert set(record.rejects) <= ({"plan", "render"} if name in MORPHED else set())
    assert (len(samples) > len(plain)) == (name in MORPHED)


@pytest.mark.parametrize("name", NAMES)
def test_members_have_the_promised_shapes_and_fit_together(built: Build, name: str) -> None:
    width, height = named(name).align.width_height
    for _, members in built(name).samples:
        assert members["face"].shape == (height, width, 3)
        assert members["landmarks"].shape == (68, 2)
        eyes = members["landmarks"][36:48]
        assert ((eyes > 0) & (eyes < (width, height))).all()
        assert ("masked" in members) == ("mask" in members) == bool(named(name).masks)
        if named(name).masks:
            assert members["masked"].shape == (height, width, 3)
            assert members["mask"].shape == (height, width)
            assert set(np.unique(members["mask"])) <= {0, 255}
            assert (members["mask"] == 255).mean() > 0.005


@pytest.mark.parametrize("name", [name for name in NAMES if named(name).masks])
def test_the_mask_is_where_the_pictures_differ(built: Build, name: str) -> None:
    for row, members in built(name).samples:
        difference = np.abs(members["masked"].astype(int) - members["face"]).max(axis=2)
        inside = members["mask"] == 255
        assert difference[inside].mean() > 3 * difference[~inside].mean(), row.key


def test_nist_fills_its_polygons_with_the_two_colours(built: Build) -> None:
    for _, members in built("nist").samples:
        colours = members["masked"][members["mask"] == 255].astype(int)
        middle = np.median(colours, axis=0).tolist()
        assert middle in ([110, 207, 254], [0, 0, 0])
        assert (np.abs(colours - middle).max(axis=1) <= 2).mean() > 0.85


def test_nist_covers_the_mouth_whatever_the_shape(built: Build) -> None:
    for row, members in built("nist").samples:
        x, y = members["landmarks"][48:68].mean(axis=0).round().astype(int)
        assert members["mask"][y, x] == 255, row.mask


@pytest.mark.parametrize("name", ["nist", "lee2022"])
def test_eye_level_recipes_have_level_eyes(built: Build, name: str) -> None:
    for _, members in built(name).samples:
        left, right = members["landmarks"][36:42].mean(axis=0), members["landmarks"][42:48].mean(axis=0)
        width = members["face"].shape[1]
        assert abs(left[1] - right[1]) < 0.01 * width
        assert abs(np.hypot(*(right - left)) / width - 0.315) < 0.01


def test_lee2022_divides_each_persons_photos_70_to_30(built: Build) -> None:
    counts = Counter((row.identity, row.split) for row, _ in built("lee2022").samples)
    for name in ("Grace_Hopper", "Eileen_Collins"):
        assert counts[name, "train"] + counts[name, "test"] == VIEWS
        assert abs(counts[name, "train"] - 0.7 * VIEWS) < 1


def test_identities_stay_on_one_side_in_masked_pairs(built: Build) -> None:
    splits: dict[str, set[str]] = {}
    for row, _ in built("masked-pairs").samples:
        splits.setdefault(row.identity, set()).add(row.split)
    assert all(len(of_person) == 1 for of_person in splits.values())


def test_arcface_needs_no_detector_and_keeps_the_frame(built: Build) -> None:
    eyes = np.array([(38.2946, 51.6963), (73.5318, 51.5014)])
    for _, members in built("arcface").samples:
        found = [members["landmarks"][points].mean(axis=0) for points in (slice(36, 42), slice(42, 48))]
        assert np.abs(np.array(found) - eyes).max() < 6
        (alignment,) = (step for step in steps_of(members["json"]) if step["name"] == "align")
        assert alignment["mode"] == "arcface"
        assert abs(np.array(alignment["matrix"])[:, :2] - np.eye(2)).max() < 0.05


def test_the_demo_shows_every_mask_and_writes_alpha(built: Build) -> None:
    recipe = named("demo")
    templates = {getattr(mask, "template", None) for mask in recipe.masks}
    assert len(templates - {None}) == 9
    assert {getattr(mask, "wearing", "correct") for mask in recipe.masks} == {
        "correct", "nose_out", "under_chin", "chin_only",
    }  # fmt: skip
    for _, members in built("demo").samples:
        assert ((members["alpha"] >= 128) == (members["mask"] == 255)).mean() > 0.999


def test_mask2face_has_nine_masks_alike_often() -> None:
    recipe = named("mask2face")
    assert len({mask.label for mask in recipe.masks}) == 9
    assert {mask.weight for mask in recipe.masks} == {1.0}


def test_records_hold_no_path_of_this_machine(built: Build, photos: Path) -> None:
    record = built("nist").record
    assert str(photos.parent) not in json.dumps(record.model_dump(mode="json"))


def test_mask2face_has_triplets_for_detector_and_editor(built: Build) -> None:
    for _, members in built("mask2face").samples:
        assert members["face"].shape == members["masked"].shape == (160, 160, 3)
        assert (members["face"][members["mask"] == 255] != members["masked"][members["mask"] == 255]).mean() > 0.8


def test_msagan_has_guides_where_the_parts_were_drawn(built: Build) -> None:
    for row, members in built("msagan").samples:
        assert members["face"].shape == (128, 128, 3)
        drawn = np.zeros((128, 128), bool)
        for part in ("u_lip", "mouth", "l_lip"):
            drawn |= landmark_mask(members["landmarks"], part, (128, 128))
        assert iou(members["guide"], drawn) > 0.85, row.uri
    assert {(step["from"], step["label_order"]) for step in built("msagan").operations("guide")} == {
        ("labels", "parts")
    }


def test_msagan_tells_attributes_and_takes_the_sets_own_split(built: Build) -> None:
    for row, members in built("msagan").samples:
        number = int(Path(row.uri).stem)
        attributes = members["json"]["attributes"]
        assert attributes["Mouth_Slightly_Open"] == -attributes["Young"] == (1 if number % 3 else -1)
        assert row.split == ("train", "val", "test")[number % 3]


def test_msagan_as_its_comment_says_works_without_drawn_parts(photos: Path, tmp_path: Path) -> None:
    text = recipe_file("msagan").read_text()
    comment = "\n".join(line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#   "))
    lines = [line for line in comment.splitlines() if not line.startswith("faceloom")]
    instead = parse_yaml("\n".join(lines).encode())
    (tmp_path / "msagan.yaml").write_text(json.dumps({**parse_yaml(text.encode()), **instead}))
    run("build", tmp_path / "msagan.yaml", "--source", photos, "--out", tmp_path / "out", "--workers", 1)
    made = read(tmp_path / "out")
    assert made.record.rejects == {}
    assert {step["from"] for step in made.operations("guide")} == {"landmarks"}
    assert all(members["guide"].any() for _, members in made.samples)


def test_msagan_refuses_photos_without_split_and_says_what_to_do(photos: Path, tmp_path: Path) -> None:
    words = ("build", recipe_file("msagan"), "--source", photos, "--out", tmp_path / "out", "--workers", 1, "--json")
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 1
    said = json.loads(done.stdout)
    assert "no photo of the source has a split" in said["what"] and "split: {by: identity}" in said["remedy"]


def test_askd_partners_are_those_of_its_student_by_hand(built: Build) -> None:
    """Nearest down and up, then five taps down each column, from the numbers of the paper's code."""
    taps = np.array([0.15247, 0.22184, 0.25138, 0.22184, 0.15247])
    sizes: Counter[int] = Counter()
    for _, members in built("askd").samples:
        face, small = members["face"], members["lr"]
        size = len(small)
        sizes[size] += 1
        kept = np.arange(size) * 112 // size
        assert np.array_equal(small, face[kept][:, kept])
        repeated = np.arange(112) * size // 112
        large = np.pad(small[repeated][:, repeated], ((2, 2), (0, 0), (0, 0)), mode="reflect").astype(float)
        blurred = sum(weight * large[row : row + 112] for row, weight in enumerate(taps))
        assert np.abs(members["lr_upsampled"] - blurred).max() <= 0.5 + 1e-6
        assert members["json"]["identity"] in ("Grace_Hopper", "Eileen_Collins")
    assert set(sizes) <= {14, 28, 56} and len(sizes) > 1


def test_antimask_has_halves_that_make_up_the_face_and_morphs_of_two_people(built: Build) -> None:
    morphs = 0
    for row, members in built("antimask").samples:
        assert members["upper"].shape == (96, 224, 3)
        assert members["lower"].shape == (128, 224, 3)
        halves = np.vstack([members["upper"], members["lower"]]).astype(int)
        assert np.abs(halves - members["face"]).mean() < 4  # each is a JPEG of its own
        assert np.allclose(members["landmarks"] - members["lower_landmarks"], (0, 96), atol=1e-4)
        morphs += bool(row.parents)
        assert len(row.parents) in (0, 2)
    assert morphs > VIEWS


def test_everything_has_every_member_on_one_crop(built: Build) -> None:
    for row, members in built("everything").samples:
        assert set(members) == {
            "face", "masked", "mask", "alpha", "guide", "landmarks", "upper", "lower", "lower_landmarks",
            "lr", "lr_masked", "lr_mask", "lr_upsampled", "lr_masked_upsampled", "json",
        }  # fmt: skip
        assert members["guide"].shape == members["mask"].shape == (224, 224)
        assert members["lr"].shape == members["lr_masked"].shape == (*members["lr_mask"].shape, 3)
        assert len(members["lr"]) in (28, 56)
        drawn = landmark_mask(members["landmarks"], "u_lip", (224, 224))
        drawn |= landmark_mask(members["landmarks"], "l_lip", (224, 224))
        inside = members["guide"][drawn] > 0
        assert inside.mean() > 0.8, (row.key, "the guide moved with the face")


def test_everything_tells_all_its_steps_in_their_order(built: Build) -> None:
    for row, members in built("everything").samples:
        names = [step["name"] for step in steps_of(members["json"])]
        assert names == [*(["morph"] if row.parents else []), "mask", "align", "augment", "guide", "lowres"]
        (guide,) = (step for step in steps_of(members["json"]) if step["name"] == "guide")
        wanted, mask = members["guide"] >= 128, members["mask"] == 255
        assert guide["covered"] == pytest.approx((wanted & mask).sum() / wanted.sum(), abs=1e-6)
        assert guide["covered"] > 0.5, row.mask


def test_arcface_takes_records_too_and_gives_them_back(crops: Path, built: Build, tmp_path: Path) -> None:
    """From RecordIO to RecordIO, as its users have it: the same pictures as from a folder, with numbers for names."""
    (tmp_path / "as-they-are.yaml").write_text(
        "name: as-they-are\nfaces: {assume: aligned}\nsplit: {shares: {train: 1}}\noutput: {image: png}\n"
    )
    run("build", tmp_path / "as-they-are.yaml", "--source", crops, "--out", tmp_path / "plain", "--workers", 1)
    run("export", tmp_path / "plain", "--to", tmp_path / "records", "--format", "recordio")
    assert (tmp_path / "records" / "train" / "property").read_text() == "2,112,112\n"
    records = tmp_path / "records" / "train"
    run("build", recipe_file("arcface"), "--source", records, "--out", tmp_path / "out", "--workers", 1)
    made = read(tmp_path / "out")
    assert Counter(row.identity for row, _ in made.samples) == {"0": 2 * VIEWS, "1": 2 * VIEWS}
    masked = {row.photo_sha256: row.mask for row, _ in made.samples if row.key.endswith("m000")}
    from_folder = {row.photo_sha256: row.mask for row, _ in built("arcface").samples if row.key.endswith("m000")}
    assert masked == from_folder, "masks go by the photo's bytes, wherever it comes from"


@pytest.mark.parametrize("name", NAMES)
def test_a_record_makes_the_same_plan(built: Build, photos: Path, crops: Path, celebamask: Path, name: str) -> None:
    done, source = built(name), {"arcface": crops, "msagan": celebamask}.get(name, photos)
    kept = {**done.record.recipe, "sources": [{**done.record.recipe["sources"][0], "path": str(source)}]}
    (file := done.out.parent / "again.yaml").write_text(json.dumps(kept))
    context = prepare(load_recipe(file), str(done.out))
    assert plan_build(context, workers=1, watcher=Watcher())[1].digest == done.record.plan
