"""From an aligned picture to its low-resolution partner: draw once, apply to as many pictures as belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import JsonValue

from faceloom.schemas.errors import RecipeError
from faceloom.schemas.lowres import DEFAULT_SHARE, DEFAULT_SIZES, LowRes
from faceloom.transforms.lowres.camera import Exposure, draw_exposure, photograph
from faceloom.transforms.lowres.sampling import FILTERS, blur_vertically, resize
from faceloom.transforms.types import Image, Size

COVERED = 0.5
"""Share of a pixel's area from which a pixel of the small mask is mask."""

Parameters = dict[str, JsonValue]
"""All drawn parameters as plain JSON; they reproduce the same pictures bit for bit."""


@dataclass(frozen=True, eq=False)
class LowResPicture:
    """A low-resolution picture.

    Attributes:
        native: uint8 (h, w, 3), RGB, at its own size.
        upsampled: uint8 (H, W, 3), RGB, enlarged to the size that it came from; None if not asked for.
    """

    native: Image
    upsampled: Image | None


def draw(spec: LowRes, size: Size, rng: np.random.Generator, *, real: Sequence[int] = ()) -> Parameters:
    """Draw the degradation parameters of one face; all its pictures share them.

    Args:
        spec: of the recipe.
        size: (width, height) of the aligned picture. A height drawn beyond it becomes it.
        rng: for every draw.
        real: the heights that `spec.sizes_from` names.

    Returns:
        `mode`, `size` ([width, height]), `down` and `up` (names of filters); for `realistic` also `blur` (pixels of the
        small picture), `full_well` and `read_noise` (electrons), `quality` (JPEG) and `noise_seed`.

    Raises:
        RecipeError: `sizes_from` is given and `real` is empty.
    """
    height = min(_height(spec, size[1], rng, real), size[1])
    width = max(1, (2 * height * size[0] + size[1]) // (2 * size[1]))
    parameters: Parameters = {"mode": spec.mode, "size": [width, height], "down": "area", "up": "cubic"}
    if spec.mode == "askd":
        parameters |= {"down": "nearest", "up": "nearest"}
    elif spec.mode in ("fskd", "adaface"):
        parameters |= {way: FILTERS[int(rng.integers(len(FILTERS)))] for way in ("down", "up")}
    elif spec.mode == "realistic":
        parameters |= draw_exposure(rng)._asdict()
    return parameters


def _height(spec: LowRes, height: int, rng: np.random.Generator, real: Sequence[int]) -> int:
    if spec.sizes_from:
        if not real:
            where = "$.lowres.sizes_from"
            raise RecipeError("there are no real sizes to draw from", where=where, value=spec.sizes_from)
        return int(real[int(rng.integers(len(real)))])
    if spec.size_range:
        return int(rng.integers(spec.size_range[0], spec.size_range[1] + 1))
    sizes = spec.sizes or DEFAULT_SIZES.get(spec.mode, ())
    if spec.size_share or not sizes:
        return max(1, int(rng.uniform(*(spec.size_share or DEFAULT_SHARE)) * height))
    return sizes[int(rng.integers(len(sizes)))]


def degrade(image: Image, parameters: Mapping[str, Any], *, upsampled: bool = False) -> LowResPicture:
    """Downsample a picture, and upsample it again if requested, with drawn parameters.

    `askd` is bit-compatible with A-SKD (ECCV 2022): nearest both ways, then a vertical blur of `upsampled` only, which
    is the input of its student. `fskd` and `adaface` use any of five filters each way, without antialiasing. `area`
    averages. `realistic` is `camera.photograph`, whose result already went through JPEG.

    Args:
        image: uint8 (H, W, 3), RGB; face and masked face get the same parameters, and so the same noise.
        parameters: from `draw`, for a picture of this size.
        upsampled: make that too.
    """
    height, width = image.shape[:2]
    size: Size = (parameters["size"][0], parameters["size"][1])
    if parameters["mode"] == "realistic":
        native = photograph(image, size, Exposure(**{name: parameters[name] for name in Exposure._fields}))
    else:
        native = resize(image, size, parameters["down"])
    if not upsampled:
        return LowResPicture(native, None)
    large = resize(native, (width, height), parameters["up"])
    return LowResPicture(native, blur_vertically(large) if parameters["mode"] == "askd" else large)


def small_mask(mask: npt.NDArray[Any], parameters: Mapping[str, Any]) -> Image:
    """Ground truth at the size of the small picture: 255 where the mask covers half of the pixel's area or more.

    That is so in every mode, also where the picture itself was sampled by `nearest`, which looks at one point of each
    area only.

    Args:
        mask: (H, W), uint8 with 0 for no mask and 255 for mask, or float32 coverage 0..1.
        parameters: from `draw`.
    """
    coverage = mask if mask.dtype == np.float32 else mask.astype(np.float32) / 255
    width, height = parameters["size"]
    share = resize(coverage, (width, height), "area")
    return (share >= COVERED - 1e-6).astype(np.uint8) * np.uint8(255)


def make_small(
    image: Image, spec: LowRes, rng: np.random.Generator, *, real: Sequence[int] = ()
) -> tuple[LowResPicture, Parameters]:
    """Draw and degrade one picture: see `draw` and `degrade`. The same generator state gives the same picture."""
    parameters = draw(spec, (image.shape[1], image.shape[0]), rng, real=real)
    return degrade(image, parameters, upsampled=spec.upsampled), parameters
