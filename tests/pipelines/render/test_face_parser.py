"""The face parser of a recipe: checked before any work, part of what samples depend on, and used in samples."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from faceloom.pipelines.render.face_parser import load_parser, parser_digest, parser_file
from faceloom.pipelines.render.mask_painter import load_painter
from faceloom.pipelines.render.model_uses import model_uses
from faceloom.pipelines.render.render_photos import PhotoToRender, render_photos
from faceloom.pipelines.render.resources import RenderResources, file_digests
from faceloom.pipelines.render.sample import Sample
from faceloom.pipelines.run.stopwatch import Stopwatch
from faceloom.schemas.errors import ModelFileError
from faceloom.schemas.guide import PARTS
from faceloom.schemas.labels import LabelFiles
from faceloom.schemas.photos import Reject
from faceloom.schemas.recipe import Recipe, parse_recipe
from tests.pipelines.rendering import steps_of
from tests.transforms.onnx_models import BY_COLOUR, face_parser

ORDER = ["skin", "hair", "hat"]
MASK = {"kind": "template", "template": "surgical", "spread": 0}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    file = tmp_path / "parser.onnx"
    file.write_bytes(face_parser(BY_COLOUR))
    return file


def recipe(model: Path | None, **changes: Any) -> Recipe:
    faces = dict(changes.pop("faces", {}))
    if model is not None:
        faces["parser"] = {
            "onnx": str(model), "size": 128, "label_order": ORDER, "mean": [0, 0, 0], "std": [1, 1, 1],
        }  # fmt: skip
    return parse_recipe({"name": "x", "masks": [MASK], "faces": faces, "output": {"image": "png"}, **changes})


def photo_with_green_hair(points: np.ndarray) -> np.ndarray:
    """A red face; green hair hangs over its cheek at the left."""
    picture = np.zeros((380, 400, 3), np.uint8)
    picture[..., 0] = 200
    x, y = points[3].astype(int)
    picture[20 : y + 20, x - 30 : x + 25] = (0, 200, 0)
    return picture


def rendered(synthetic: SimpleNamespace, how: Recipe, labels: LabelFiles | None = None) -> Any:
    points = np.asarray(synthetic.landmarks((190, 150), 90))
    data = cv2.imencode(".png", photo_with_green_hair(points)[..., ::-1])[1].tobytes()
    face = synthetic.planned(data, points, tuple(range(len(how.masks))), width=400, height=380)
    resources = RenderResources(how, load_painter(how.masks), parser=load_parser(how))
    [sample] = render_photos([PhotoToRender(data, [face], labels)], resources, Stopwatch())
    if isinstance(sample, Reject):
        return sample
    assert isinstance(sample, Sample)
    files = dict(sample.files)
    pictures = {name.partition(".")[0]: synthetic.decoded(data) for name, data in files.items() if "png" in name}
    return pictures, {step["name"]: step for step in steps_of(json.loads(files["json"]))}


def test_hair_that_a_parser_finds_stays_in_front_of_the_mask(synthetic: SimpleNamespace, model: Path) -> None:
    over, _ = rendered(synthetic, recipe(None))
    under, steps = rendered(synthetic, recipe(model))
    green = cv2.erode((under["face"][..., 1] > 127).astype(np.uint8), np.ones((5, 5))) > 0
    assert (over["mask"][green] > 0).sum() > 50, "without labels the mask covers the hair"
    assert not under["mask"][green].any() and np.array_equal(under["masked"][green], under["face"][green])
    assert steps["labels"]["from"] == "parser" and steps["mask"]["in_front"] > 0.01


def test_label_files_come_before_the_parser(synthetic: SimpleNamespace, model: Path) -> None:
    flat = cv2.imencode(".png", np.ones((190, 200), np.uint8))[1].tobytes()
    drawn = LabelFiles("celebamask_hq", PARTS, (("", flat),))
    _, steps = rendered(synthetic, recipe(model), drawn)
    assert steps["labels"]["from"] == "labels" and "in_front" not in steps["mask"]


def test_a_parser_makes_guides(synthetic: SimpleNamespace, model: Path) -> None:
    pictures, steps = rendered(synthetic, recipe(model, guide={"parts": ["hair"]}, masks=[]))
    assert steps["guide"]["from"] == "parser" and "labels" not in steps
    assert ((pictures["guide"] > 0) != (pictures["face"][..., 1] > 127)).mean() < 0.02


def test_parts_that_the_parser_does_not_know_are_missing(synthetic: SimpleNamespace, model: Path) -> None:
    result = rendered(synthetic, recipe(model, guide={"parts": ["nose"]}))
    assert isinstance(result, Reject) and result.code == "no_labels"


def test_samples_depend_on_the_parser_only_if_it_is_used(model: Path) -> None:
    used, unused = recipe(model), recipe(model, masks=[])
    assert parser_digest(used) == file_digests(used)[2] and len(parser_digest(used)) == 64
    assert parser_digest(unused) == "" and load_parser(unused) is None
    assert [use.name for use in model_uses(used) if use.role == "parser"] == ["parser.onnx"]


def test_a_wrong_parser_is_named_before_any_work(model: Path) -> None:
    how = recipe(model, faces={})
    model.write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match=r"faces\.parser.*cannot be used.*parser\.onnx.*label order"):
        load_parser(how)
    model.unlink()
    assert how.faces.parser is not None
    with pytest.raises(ModelFileError, match=r"faces\.parser\.onnx.*not a file.*Correct"):
        parser_file(how.faces.parser)
