"""A painter of green boxes and what it makes of planned faces: what tests of rendering share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from faceloom.pipelines.render.render_photos import PhotoToRender, Tools, render_photos
from faceloom.pipelines.render.sample import Paint, Sample, Unpainted
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
class Painter:
    """Paints with a function of picture, landmarks, mask and generator."""

    function: Callable[..., PaintedMask] = paint
    batch: int = 1

    def prepare(self, wanted: Sequence[Unpainted]) -> list[Paint]:
        return [
            partial(self.function, one.working.image, one.working.landmarks, one.mask, np.random.default_rng(one.seed))
            for one in wanted
        ]


def run(
    data: bytes, faces: Sequence[PlannedFace], how: Recipe | None = None, painter: Any = paint
) -> list[Sample | Reject]:
    """What becomes of the faces of one photo."""
    results = render_photos([PhotoToRender(data, faces)], how or recipe(), Tools(Painter(painter)), Stopwatch())
    return [result for _, result in results]


def one(result: list[Sample | Reject]) -> tuple[Sample, dict[str, bytes]]:
    """The only sample there is, and its files by name."""
    [sample] = result
    assert isinstance(sample, Sample), sample
    return sample, dict(sample.files)
