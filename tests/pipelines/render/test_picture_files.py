"""Pictures of masks and their anchors: what is read, and what is refused with its file and place."""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceloom.pipelines.render.picture_files import MOST_BYTES, TILE_PIXELS, load_picture, load_tile, read_mask_file
from faceloom.schemas.errors import RecipeError
from faceloom.schemas.masks import PictureMask, TemplateMask
from faceloom.transforms.masks.picture import ANCHORS

POINTS = {
    "left_top": [10, 30], "top": [100, 5], "right_top": [190, 30],
    "right_bottom": [165, 95], "bottom": [100, 145], "left_bottom": [35, 95],
}  # fmt: skip


@pytest.fixture
def mask(tmp_path: Path) -> PictureMask:
    rgba = np.zeros((150, 200, 4), np.uint8)
    rgba[10:140, 10:190] = (200, 30, 30, 255)
    Image.fromarray(rgba).save(tmp_path / "m.png")
    (tmp_path / "m.json").write_text(json.dumps(POINTS))
    return PictureMask(kind="picture", path=str(tmp_path / "m.png"), anchors=str(tmp_path / "m.json"))


def test_an_anchors_file_may_be_yaml(mask: PictureMask) -> None:
    Path(mask.anchors).write_text("".join(f"{name}: {xy}\n" for name, xy in POINTS.items()))
    loaded = load_picture(0, mask)
    assert loaded.anchors.tolist() == [POINTS[name] for name in ANCHORS]
    assert loaded.rgba.shape == (150, 200, 4)
    assert loaded.rgba[75, 100].tolist() == [200, 30, 30, 255]


def refused(mask: PictureMask) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        load_picture(1, mask)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 1000
    assert caught.value.remedy
    return caught.value


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int = 8) -> bytes:
    """A PNG of any size in its header, and few pixels behind it."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 6, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(10_000))) + chunk(b"IEND", b"")


def saved(mode: str, size: tuple[int, int] = (20, 20), **how: object) -> Callable[[Path], object]:
    def save(path: Path) -> None:
        Image.new(mode, size).save(path, **{"format": "PNG", **how})  # type: ignore[arg-type]

    return save


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (Path.unlink, "cannot be read (No such file"),
        (lambda path: path.write_bytes(b""), "not a picture (an unknown format)"),
        (lambda path: path.write_bytes(b"no picture"), "not a picture (an unknown format)"),
        (lambda path: path.write_bytes(path.read_bytes()[:100]), "not a picture"),
        (lambda path: path.write_bytes(path.read_bytes()[:40] + b"\xff" * 900), "not a picture"),
        (lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), "an unknown format"),
        (lambda path: path.write_bytes(png(65_000, 65_000)), "too large or too small"),
        (lambda path: path.write_bytes(png(2**31 - 1, 2**31 - 1)), "too large or too small"),
        (lambda path: path.write_bytes(png(1, 2**20)), "too large or too small"),
        (lambda path: path.write_bytes(png(4000, 4000)), "not a picture"),
        (lambda path: path.write_bytes(png(0, 0)), "not a picture|too large or too small"),
        (lambda path: path.write_bytes(png(20, 20, 3)), "not a picture"),
        (saved("RGBA", (1, 1)), "too large or too small"),
        (saved("RGB"), "no transparency"),
        (saved("L"), "no transparency"),
        (saved("I;16"), "more than 8 bits per channel"),
        (saved("1"), "no transparency"),
        (saved("CMYK", format="JPEG"), "no transparency"),
        (saved("F", format="TIFF"), "more than 8 bits per channel"),
        (saved("RGBA"), "transparent all over"),
    ],
)
def test_what_is_no_picture_of_a_mask_is_refused(mask: PictureMask, spoil: Callable[[Path], object], said: str) -> None:
    spoil(Path(mask.path))
    error = refused(mask)
    assert error.where == "$.masks[1].path"
    assert any(text in error.what for text in said.split("|")), error.what


@pytest.mark.parametrize("key", ["path", "anchors"])
def test_pipes_devices_folders_and_long_files_are_not_read(mask: PictureMask, tmp_path: Path, key: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "long").open("wb") as stream:
        stream.truncate(MOST_BYTES + 1)
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero"), tmp_path / "long", tmp_path / ("x" * 300)):
        with pytest.raises(RecipeError, match="cannot be read") as caught:
            read_mask_file(3, key, str(path))
        assert caught.value.where == f"$.masks[3].{key}"
        assert refused(mask.model_copy(update={key: str(path)})).where.startswith(f"$.masks[1].{key}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "line 1: not valid YAML"),
        (b"\xff\xfe\xff", "line 1: not valid YAML: the byte 0xff is not UTF-8"),
        ("", "must map anchor names to [x, y] (got None)"),
        ("[1, 2]", "must map anchor names to [x, y] (got list of 2)"),
        ("top: &a [*a]", "$.top[0]: an alias stands inside what it repeats"),
        ("top: 2024-01-01", "$.top: a date is not a value here"),
        ({"nose": [1, 2]}, "$.nose: no such anchor. The anchors are left_top, top"),
        ({"botom": [1, 2]}, "$.botom: no such anchor; did you mean 'bottom'?"),
        ({"bottom": None}, "$.bottom: an anchor is [x, y] in pixels of the picture (got None)"),
        ({"top": [1]}, "$.top: an anchor is [x, y] in pixels of the picture (got [1])"),
        ({"top": ["1", 2]}, "$.top: an anchor is [x, y] in pixels of the picture (got ['1', 2])"),
        ({"top": [True, 2]}, "$.top: an anchor is [x, y]"),
        ({"top": [1, 2, 3]}, "$.top: an anchor is [x, y]"),
        ({"top": {"x": 1, "y": 2}}, "$.top: an anchor is [x, y] in pixels of the picture (got dict of 2)"),
        (
            {"top": [10**299, 2]},
            "$.top: an anchor is [x, y] in pixels of the picture (got [a number of 299 digits, 2])",
        ),
        ({"top": [float("nan"), 2]}, "$.top: an anchor is [x, y]"),
        ({"top": [float("inf"), 2]}, "$.top: an anchor is [x, y]"),
        ({"top": [2000, 10]}, "$.top: lies outside the picture (got [2000, 10]). The picture has 200x150 pixels"),
        ({"left_top": [190, 30], "right_top": [10, 30]}, "$.top: must lie from left to right"),
        ({"left_bottom": [165, 95], "right_bottom": [35, 95]}, "$.bottom: must lie from left to right"),
        ({"top": [100, 145], "bottom": [100, 5]}, "$.top: must lie above bottom"),
    ],
)
def test_wrong_anchors_are_named_with_file_and_place(mask: PictureMask, text: object, said: str) -> None:
    data = (
        json.dumps({**POINTS, **text}).replace("NaN", ".nan").replace("Infinity", ".inf")
        if isinstance(text, dict)
        else text
    )
    Path(mask.anchors).write_bytes(data if isinstance(data, bytes) else str(data).encode())
    assert str(refused(mask)).startswith(f"$.masks[1].anchors: {mask.anchors}: {said}")


@pytest.mark.parametrize("name", ANCHORS)
def test_a_missing_anchor_is_called_missing(mask: PictureMask, name: str) -> None:
    Path(mask.anchors).write_text(json.dumps({key: xy for key, xy in POINTS.items() if key != name}))
    assert refused(mask).what == f"the anchor `{name}` is missing"


def fabric(path: Path, colour: str = "any") -> TemplateMask:
    keys = {"kind": "template", "template": "cloth", "pattern": str(path), "colour": colour}
    return TemplateMask.model_validate(keys)


@pytest.mark.parametrize("name", ["t.png", "t.jpg", "t.webp"])
def test_a_fabric_needs_no_transparency(tmp_path: Path, name: str) -> None:
    Image.new("RGB", (40, 24), (200, 30, 90)).save(tmp_path / name)
    tile = load_tile(0, fabric(tmp_path / name))
    assert tile.dtype == np.uint8 and tile.shape == (24, 40, 3)
    assert np.abs(tile.astype(int) - (200, 30, 90)).max() < 8


def test_what_is_transparent_has_the_colour_of_the_cloth(tmp_path: Path) -> None:
    rgba = np.zeros((20, 20, 4), np.uint8)
    rgba[:10] = (10, 20, 30, 255)
    Image.fromarray(rgba).save(tmp_path / "t.png")
    for colour, ground in (("any", (255, 255, 255)), ("red", (255, 0, 0))):
        tile = load_tile(0, fabric(tmp_path / "t.png", colour))
        assert (tile[:10] == (10, 20, 30)).all() and (tile[10:] == ground).all()


def test_a_tile_stays_small_in_memory_and_keeps_its_shape(tmp_path: Path) -> None:
    Image.new("L", (3000, 1500), 77).save(tmp_path / "t.png")
    tile = load_tile(0, fabric(tmp_path / "t.png"))
    assert tile.shape == (TILE_PIXELS // 2, TILE_PIXELS, 3) and (tile == 77).all()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: None, "cannot be read (No such file"),
        (os.mkfifo, "cannot be read (it is a pipe"),
        (lambda path: path.write_bytes(b"no picture"), "not a picture (an unknown format)"),
        (lambda path: path.write_bytes(png(65_000, 65_000)), "too large or too small"),
        (lambda path: path.write_bytes(png(4000, 4000)), "not a picture"),
        (saved("RGB", (4, 20)), "too large or too small"),
        (saved("RGBA"), "transparent all over"),
        (saved("I;16"), "not a picture (more than 8 bits per channel)"),
        (saved("F", format="TIFF"), "not a picture (more than 8 bits per channel)"),
    ],
)
def test_what_is_no_fabric_is_refused(tmp_path: Path, spoil: Callable[[Path], object], said: str) -> None:
    spoil(tmp_path / "t.png")
    with pytest.raises(RecipeError) as caught:
        load_tile(2, fabric(tmp_path / "t.png"))
    assert caught.value.where == "$.masks[2].pattern" and caught.value.value
    assert said in caught.value.what and caught.value.remedy
