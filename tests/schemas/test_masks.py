"""What a recipe may say about masks, and what they are called in counts and records."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from faceloom.schemas.masks import (
    Mask,
    Pattern,
    PictureMask,
    PolygonMask,
    PolygonShape,
    TemplateMask,
    TemplateName,
    Wearing,
    named_files,
)

ANY: TypeAdapter[Mask] = TypeAdapter(Mask)


@pytest.mark.parametrize(
    ("data", "label"),
    [
        *(({"kind": "polygon", "shape": shape}, f"polygon-{shape}") for shape in get_args(PolygonShape)),
        *(({"kind": "template", "template": name}, name) for name in get_args(TemplateName)),
        ({"kind": "template", "template": "cloth", "wearing": "chin_only"}, "cloth-chin_only"),
        ({"kind": "picture", "path": "a/b/my.mask.png", "anchors": "x.json"}, "picture-my.mask"),
        ({"kind": "picture", "path": "C:\\masks\\blue.webp", "anchors": "x.json"}, "picture-blue"),
        ({"kind": "picture", "path": "blue", "anchors": "x.json"}, "picture-blue"),
    ],
)
def test_labels(data: dict[str, str], label: str) -> None:
    assert ANY.validate_python(data).label == label


def test_the_kind_decides_the_model() -> None:
    assert isinstance(ANY.validate_python({"kind": "polygon", "shape": "A"}), PolygonMask)
    assert isinstance(ANY.validate_python({"kind": "template", "template": "cloth"}), TemplateMask)
    assert isinstance(ANY.validate_python({"kind": "picture", "path": "p", "anchors": "a"}), PictureMask)


def test_the_nist_shapes_in_their_light_blue_by_default() -> None:
    assert get_args(PolygonShape) == ("A", "B", "C", "D", "E", "F")
    assert PolygonMask(kind="polygon", shape="A").colour == (110, 207, 254)


def test_at_least_nine_templates_each_with_the_ways_of_wearing() -> None:
    assert len(get_args(TemplateName)) >= 9
    assert set(get_args(Wearing)) == {"correct", "nose_out", "under_chin", "chin_only"}
    labels = {
        TemplateMask(kind="template", template=name, wearing=way).label
        for name in get_args(TemplateName)
        for way in get_args(Wearing)
    }
    assert len(labels) == len(get_args(TemplateName)) * len(get_args(Wearing))


def test_looks_are_drawn_unless_the_recipe_fixes_them() -> None:
    mask = TemplateMask(kind="template", template="cloth")
    assert (mask.colour, mask.pattern, mask.wearing, mask.spread, mask.straps) == ("any", "any", "correct", 1.0, True)
    settings: dict[str, Any] = {"colour": "navy", "pattern": "dots"}
    fixed = TemplateMask(kind="template", template="cloth", **settings)
    assert (fixed.colour, fixed.pattern) == ((26, 38, 79), "dots")
    assert "plain" in get_args(Pattern)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "polygon"},
        {"kind": "polygon", "shape": "a"},
        {"kind": "polygon", "shape": "A", "wearing": "correct"},
        {"kind": "polygon", "shape": "A", "weight": -1},
        {"kind": "polygon", "shape": "A", "colour": "any"},
        {"kind": "template", "template": "cloth", "spread": -0.1},
        {"kind": "template", "template": "cloth", "pattern": "tartan"},
        {"kind": "template", "template": "cloth", "pattern": "fabrics/tartan"},
        {"kind": "template", "template": "cloth", "pattern": ".png\0"},
        {"kind": "template", "template": "cloth", "pattern": 3},
        {"kind": "picture", "path": "p"},
        {"kind": "picture", "path": "p", "anchors": "a", "colour": "red"},
        {"kind": "sticker"},
        {},
    ],
)
def test_wrong_masks_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ANY.validate_python(wrong)


def test_masks_can_be_looked_up_by_content() -> None:
    settings: list[dict[str, Any]] = [{"shape": "B", "colour": "red"}, {"shape": "B", "colour": "#ff0000"}]
    settings.append({"shape": "C", "colour": "red"})
    assert len({PolygonMask(kind="polygon", **each) for each in settings}) == 2
    assert Path(PictureMask(kind="picture", path="x/y.png", anchors="z").path).stem in "picture-y"


@pytest.mark.parametrize("file", ["t.png", "a/b.PNG", "/x/y.jpg", "C:\\x\\y.jpeg", "s3://bucket/dots.webp", "../t.png"])
def test_the_suffix_tells_a_fabric_from_a_pattern(file: str) -> None:
    mask = TemplateMask(kind="template", template="cloth", pattern=file)
    name = file.replace("\\", "/").rsplit("/", 1)[-1]
    assert (mask.pattern, mask.fabric, mask.pattern_name, mask.label) == (file, file, name, "cloth")
    assert TemplateMask(kind="template", template="cloth", pattern=name).fabric == name, "as in the record of a build"


def test_built_in_patterns_are_no_files() -> None:
    for name in (*get_args(Pattern), "any"):
        mask = TemplateMask(kind="template", template="cloth", pattern=name)
        assert (mask.pattern, mask.fabric, mask.pattern_name) == (name, None, name)


def test_a_mask_names_its_files_by_key() -> None:
    masks: list[dict[str, Any]] = [
        {"kind": "polygon", "shape": "A"},
        {"kind": "template", "template": "cloth", "pattern": "dots"},
        {"kind": "template", "template": "cloth", "pattern": "f/dots.png"},
        {"kind": "picture", "path": "p.png", "anchors": "a.yaml"},
        {"kind": "autoencoder", "checkpoint": "runs/one"},
    ]
    assert [named_files(ANY.validate_python(mask)) for mask in masks] == [
        {}, {}, {"pattern": "f/dots.png"}, {"path": "p.png", "anchors": "a.yaml"}, {"checkpoint": "runs/one"},
    ]  # fmt: skip
