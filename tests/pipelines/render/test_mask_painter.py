"""Each mask of a recipe finds its painter, and its digest tells of everything that decides its samples."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from faceloom.pipelines.render.mask_painter import MaskRequest, load_painter, mask_digests
from faceloom.pipelines.render.picture_files import load_picture
from faceloom.schemas.masks import Mask, PictureMask
from faceloom.schemas.recipe import parse_recipe
from faceloom.transforms.masks.picture import MaskPicture

POINTS = {
    "left_top": [10, 30], "top": [100, 5], "right_top": [190, 30],
    "right_bottom": [165, 95], "bottom": [100, 145], "left_bottom": [35, 95],
}  # fmt: skip


def masks_of(*masks: dict[str, Any]) -> tuple[Mask, ...]:
    return parse_recipe({"name": "x", "masks": list(masks)}).masks


def digests(*masks: dict[str, Any]) -> tuple[str, ...]:
    return mask_digests(parse_recipe({"name": "x", "masks": list(masks)}))


def draw_picture(path: Path, colour: tuple[int, int, int] = (200, 30, 30)) -> Path:
    rgba = np.zeros((150, 200, 4), np.uint8)
    rgba[10:140, 10:190] = (*colour, 255)
    Image.fromarray(rgba).save(path)
    return path


@pytest.fixture
def picture_mask(tmp_path: Path) -> dict[str, Any]:
    anchors = tmp_path / "m.json"
    anchors.write_text(json.dumps(POINTS))
    return {"kind": "picture", "path": str(draw_picture(tmp_path / "m.png")), "anchors": str(anchors)}


POLYGON = {"kind": "polygon", "shape": "A"}
TEMPLATE = {"kind": "template", "template": "surgical"}


@pytest.mark.parametrize(
    ("mask", "changes"),
    [
        (POLYGON, [{"shape": "B"}, {"colour": "red"}]),
        (
            TEMPLATE,
            [
                {"template": "cloth"}, {"colour": "red"}, {"pattern": "dots"}, {"wearing": "nose_out"},
                {"spread": 0.5}, {"straps": False},
            ],
        ),
    ],
)  # fmt: skip
def test_every_setting_but_the_weight_changes_the_digest(mask: dict[str, Any], changes: list[dict[str, Any]]) -> None:
    [before] = digests(mask)
    assert digests({**mask, "weight": 7}) == (before,)
    after = [digests({**mask, **change})[0] for change in changes]
    assert len({before, *after}) == len(changes) + 1


def test_digests_stand_in_the_order_of_the_masks() -> None:
    one, other = digests(POLYGON, TEMPLATE)
    assert digests(TEMPLATE, POLYGON) == (other, one)
    assert digests() == ()
    assert digests({**POLYGON, "colour": "red"}) == digests({**POLYGON, "colour": [255, 0, 0]})


def test_a_pictures_content_and_name_count_and_its_folder_does_not(
    picture_mask: dict[str, Any], tmp_path: Path
) -> None:
    [before] = digests(picture_mask)
    (tmp_path / "elsewhere").mkdir()
    moved = tmp_path / "elsewhere" / "m.png"
    moved.write_bytes(Path(picture_mask["path"]).read_bytes())
    assert digests({**picture_mask, "path": str(moved)}) == (before,)
    renamed = moved.rename(moved.with_name("other.png"))
    assert digests({**picture_mask, "path": str(renamed)}) != (before,), "the name stands in the record of each sample"
    draw_picture(Path(picture_mask["path"]), (0, 0, 255))
    [recoloured] = digests(picture_mask)
    Path(picture_mask["anchors"]).write_text(json.dumps({**POINTS, "top": [100, 6]}))
    assert len({before, recoloured, *digests(picture_mask)}) == 3


def fabric_mask(path: Path, **keys: Any) -> dict[str, Any]:
    return {"kind": "template", "template": "cloth", "pattern": str(path), **keys}


def test_a_fabrics_content_and_name_count_and_its_folder_does_not(tmp_path: Path) -> None:
    tile = tmp_path / "t.png"
    Image.new("RGB", (20, 20), (10, 200, 30)).save(tile)
    [before] = digests(fabric_mask(tile))
    (tmp_path / "elsewhere").mkdir()
    moved = tmp_path / "elsewhere" / "t.png"
    moved.write_bytes(tile.read_bytes())
    assert digests(fabric_mask(moved)) == (before,)
    assert digests(fabric_mask(moved.rename(moved.with_name("u.png")))) != (before,), "samples record the name"
    Image.new("RGB", (20, 20), (10, 200, 31)).save(tile)
    assert len({before, *digests(fabric_mask(tile), fabric_mask(tile, colour="red"))}) == 3


@pytest.fixture
def face(synthetic: SimpleNamespace) -> Any:
    return SimpleNamespace(image=synthetic.picture(300, 320), landmarks=synthetic.landmarks((150, 120), 80), front=None)


def paint(masks: tuple[Mask, ...], face: Any, number: int = 0, seed: int = 0) -> Any:
    painter = load_painter(masks)
    [request] = painter.predict([MaskRequest(face, masks[number], seed)])
    return painter.paint(request)


def test_polygons_are_solid_in_their_colour(face: Any) -> None:
    painted = paint(masks_of({**POLYGON, "colour": [10, 20, 30]}), face)
    assert (painted.image[painted.alpha == 1] == (10, 20, 30)).all()
    assert np.array_equal(painted.image[painted.alpha == 0], face.image[painted.alpha == 0])
    assert painted.parameters["shape"] == "A"


def test_templates_are_drawn_from_the_generator(face: Any) -> None:
    masks = masks_of(TEMPLATE)
    one, same, other = (paint(masks, face, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one.image, same.image)
    assert not np.array_equal(one.image, other.image)
    assert one.alpha[int(face.landmarks[57, 1]), int(face.landmarks[57, 0])] > 0.9, "it covers the mouth"
    assert one.alpha[int(face.landmarks[37, 1]), int(face.landmarks[37, 0])] == 0, "and not the eyes"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_photo_of_one_colour_gives_finite_values(face: Any, grey: int) -> None:
    """Eyes behind a black bar, or burnt out: there is no edge and no light to measure."""
    face.image[:] = grey
    for template in ("surgical", "cloth_patterned", "ffp_valve"):
        painted = paint(masks_of({**TEMPLATE, "template": template}), face)
        json.dumps(painted.parameters, allow_nan=False)
        assert np.isfinite(painted.alpha).all()


def test_pictures_are_painted_in_their_colours(face: Any, picture_mask: dict[str, Any]) -> None:
    painted = paint(masks_of(POLYGON, picture_mask), face, number=1)
    inside = painted.alpha > 0.95
    red, green, _ = painted.image[inside].mean(axis=0)
    assert inside.mean() > 0.05
    assert red > 2 * green


def test_fabrics_are_painted_each_in_its_colours_and_again_when_they_change(face: Any, tmp_path: Path) -> None:
    one, other = tmp_path / "one.png", tmp_path / "other.png"
    Image.new("RGB", (20, 20), (240, 30, 40)).save(one)
    Image.new("RGB", (20, 20), (30, 40, 240)).save(other)
    masks = masks_of(POLYGON, fabric_mask(one), fabric_mask(other))

    def strongest(number: int) -> int:
        painted = paint(masks, face, number)
        return int(painted.image[painted.alpha > 0.95].mean(axis=0).argmax())

    assert (strongest(1), strongest(2)) == (0, 2)
    Image.new("RGB", (20, 20), (30, 240, 40)).save(one)
    assert (strongest(1), strongest(2)) == (1, 2)


def test_painting_leaves_the_photo_as_it_was(face: Any, picture_mask: dict[str, Any]) -> None:
    before = face.image.copy()
    masks = masks_of(POLYGON, TEMPLATE, picture_mask)
    for number in range(3):
        painted = paint(masks, face, number)
        assert painted.image.shape == face.image.shape
        assert painted.alpha.dtype == np.float32
        assert json.dumps(painted.parameters)
    assert np.array_equal(face.image, before)


def test_files_are_loaded_once_and_again_when_they_change(
    face: Any, picture_mask: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = []

    def load(number: int, mask: PictureMask) -> MaskPicture:
        loads.append(number)
        return load_picture(number, mask)

    monkeypatch.setattr("faceloom.pipelines.render.mask_painter.load_picture", load)
    masks = masks_of(picture_mask)
    first = paint(masks, face).image
    assert load_painter(masks) is load_painter(masks)
    assert len(loads) == 1
    draw_picture(Path(picture_mask["path"]), (20, 20, 250))
    assert not np.array_equal(paint(masks, face).image, first)
    assert len(loads) == 2
