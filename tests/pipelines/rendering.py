"""A painter of green boxes and what it makes of planned faces: what tests of rendering share."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from faceloom.pipelines.render.mask_painter import MaskPainter, MaskRequest
from faceloom.pipelines.render.render_photos import PhotoToRender, render_photos
from faceloom.pipelines.render.resources import RenderResources
from faceloom.pipelines.render.sample import Sample
from faceloom.pipelines.run.stopwatch import Stopwatch
from faceloom.schemas.masks import Mask
from faceloom.schemas.photos import Reject
from faceloom.schemas.plan import PlannedFace
from faceloom.schemas.recipe import Recipe, parse_recipe
from faceloom.transforms.masks.painted import PaintedMask

GREEN = (20, 200, 40)


def recipe(**changes: Any) -> Recipe:
    """A recipe of three drawn masks, without losses, with some keys of its own."""
    masks = [{"kind": "polygon", "shape": shape} for shape in "ACE"]
    return parse_recipe({"name": "x", "masks": masks, "output": {"image": "png", "alpha": True}, **changes})


def paint(image: np.ndarray, landmarks: np.ndarray, mask: Mask, rng: np.random.Generator) -> PaintedMask:
    """A green box with a soft edge over nose and mouth."""
    alpha = np.zeros(image.shape[:2], np.float32)
    (left, _), (right, _) = landmarks[[3, 13]]
    top, bottom = landmarks[29, 1], landmarks[8, 1]
    alpha[int(top) : int(bottom) + 1, int(left) : int(right) + 1] = 0.3
    alpha[int(top) + 1 : int(bottom), int(left) + 1 : int(right)] = 1
    painted = np.rint(image * (1 - alpha[..., None]) + np.array(GREEN) * alpha[..., None]).astype(np.uint8)
    return PaintedMask(painted, alpha, parameters={"drawn": float(rng.random())})


@dataclass(frozen=True)
class Painter(MaskPainter):
    """Paints with a function of picture, landmarks, mask and generator."""

    function: Callable[..., PaintedMask] = paint
    together: int = 1

    @property
    def batch(self) -> int:
        return self.together

    def paint(self, request: MaskRequest) -> PaintedMask:
        rng = np.random.default_rng(request.seed)
        return self.function(request.picture.image, request.picture.landmarks, request.mask, rng)


def run(
    data: bytes, faces: Sequence[PlannedFace], how: Recipe | None = None, painter: Any = paint
) -> list[Sample | Reject]:
    """What becomes of the faces of one photo."""
    resources = RenderResources(how or recipe(), Painter(function=painter))
    results = render_photos([PhotoToRender(data, faces)], resources, Stopwatch())
    return list(results)


def steps_of(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The operations in the record of a sample, each with its parameters."""
    return [{"name": step["name"], **json.loads(step["parameters"])} for step in record["operations"]]


def one(result: list[Sample | Reject]) -> tuple[Sample, dict[str, bytes]]:
    """The only sample there is, and its files by name."""
    [sample] = result
    assert isinstance(sample, Sample), sample
    return sample, dict(sample.files)
