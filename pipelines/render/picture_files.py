"""Read pictures of masks with their anchors, and pictures of fabrics, from the files that a recipe names."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import numpy as np

from faceloom.pipelines.recipe.yaml_text import parse_yaml
from faceloom.pipelines.store.fetched import fetched
from faceloom.schemas.errors import RecipeError
from faceloom.schemas.masks import PictureMask, TemplateMask
from faceloom.schemas.plain_values import shown
from faceloom.schemas.regular_files import UnfitFileError, read_regular_file
from faceloom.transforms.masks.picture import MaskPicture, check_anchors, picture_anchors
from faceloom.transforms.types import Image

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MOST_BYTES = 64 * 2**20
"""Length of a file."""
MOST_PIXELS = 25_000_000
"""Of a picture; 100 MB in memory."""
TILE_PIXELS = 512
"""Pixels of the longer side of a fabric's tile in memory; the largest mask shows no more."""
SMALLEST = 8
"""Pixels of the shorter side of a picture."""
_SIZE = "the picture is too large or too small"
_LIMITS = f"A mask has at most {MOST_PIXELS:,} pixels, and {SMALLEST} at least on each side"
_FORMATS = ("PNG", "WEBP", "TIFF", "GIF", "AVIF", "JPEG", "BMP", "TGA")
"""Pillow reads some others by programs of their own."""
_DEEP = ("I", "F")
"""How the names of Pillow's modes begin that hold more than 8 bits; Pillow would cut such values at 255."""


def read_mask_file(number: int, key: str, path: str) -> bytes:
    """Read a file that a mask names.

    Args:
        number: of the mask in the recipe, for messages.
        key: of the mask, likewise.
        path: the file, or its URL.

    Raises:
        RecipeError: it cannot be read, is no regular file, or is longer than `MOST_BYTES`.
        StorageError: its object store cannot be used.
    """
    try:
        return read_regular_file(fetched(path, MOST_BYTES), MOST_BYTES)
    except (OSError, UnfitFileError) as error:
        why, where = getattr(error, "strerror", None) or error, f"$.masks[{number}].{key}"
        raise RecipeError(f"cannot be read ({why})", where=where, value=path, remedy="Correct the path") from None


def load_picture(number: int, mask: PictureMask) -> MaskPicture:
    """Load the picture and the anchors of a recipe's mask.

    Args:
        number: of the mask in the recipe, for messages.
        mask: names an RGBA picture, and a JSON or YAML file that maps anchor names to [x, y] pixels of it.

    Raises:
        RecipeError: a file cannot be read, or its content is invalid.
    """
    where, remedy = f"$.masks[{number}].path", "Give a PNG or WEBP with a transparent background"
    rgba = np.array(_decode(read_mask_file(number, "path", mask.path), where, mask.path, remedy))
    if rgba[..., 3].min() == 255:
        raise RecipeError("the picture has no transparency", where=where, value=mask.path, remedy=remedy)
    data, place = read_mask_file(number, "anchors", mask.anchors), f"$.masks[{number}].anchors: {mask.anchors}"
    try:
        document = parse_yaml(data)
        if not isinstance(document, dict):
            remedy = "Write a line such as `top: [100, 5]` for each anchor"
            raise RecipeError("must map anchor names to [x, y]", value=shown(document), remedy=remedy)
        points = picture_anchors(document)
        check_anchors(points, rgba.shape[1], rgba.shape[0])
    except RecipeError as error:
        where = f"{place}: {error.where}" if error.where else place
        raise RecipeError(error.what, where=where, value=error.value, remedy=error.remedy) from None
    return MaskPicture(rgba, points)


def load_tile(number: int, mask: TemplateMask) -> Image:
    """Load the picture that a mask of the recipe repeats over its cloth.

    Args:
        number: of the mask in the recipe, for messages.
        mask: its pattern is a file.

    Returns:
        uint8 (H, W, 3) RGB, `TILE_PIXELS` at most on each side. Transparent parts have the mask's colour, or are
        white if that is drawn for each sample.

    Raises:
        RecipeError: the file cannot be read, or is no picture of up to 8 bits per channel.
    """
    from PIL import Image as Pillow

    data, remedy = read_mask_file(number, "pattern", mask.pattern), "Give a PNG, JPEG or WEBP of 8 bits per channel"
    picture = _decode(data, f"$.masks[{number}].pattern", mask.pattern, remedy)
    picture.thumbnail((TILE_PIXELS, TILE_PIXELS))
    ground = Pillow.new("RGBA", picture.size, (255, 255, 255) if mask.colour == "any" else mask.colour)
    return np.array(Pillow.alpha_composite(ground, picture).convert("RGB"))


def _decode(data: bytes, where: str, path: str, remedy: str) -> Picture:
    from PIL import Image as Pillow

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # our own limit is lower
            with Pillow.open(io.BytesIO(data), formats=_FORMATS) as picture:
                width, height = picture.size
                if width * height > MOST_PIXELS or min(width, height) < SMALLEST:
                    raise RecipeError(_SIZE, where=where, value=f"{width}x{height}", remedy=_LIMITS)
                if picture.mode.startswith(_DEEP):
                    raise ValueError("more than 8 bits per channel")
                rgba = picture.convert("RGBA")
    except (RecipeError, MemoryError):
        raise
    except Pillow.DecompressionBombError:
        raise RecipeError(_SIZE, where=where, value=path, remedy=_LIMITS) from None
    except Exception as error:  # of a damaged file, each decoder raises errors of its own
        why = " ".join(str(error).split())[:200] if isinstance(error, OSError | ValueError) else "damaged"
        why = "an unknown format" if why.startswith("cannot identify") else why
        raise RecipeError(f"not a picture ({why})", where=where, value=path, remedy=remedy) from None
    if not rgba.getchannel("A").getextrema()[1]:
        raise RecipeError("the picture is transparent all over", where=where, value=path, remedy=remedy)
    return rgba
