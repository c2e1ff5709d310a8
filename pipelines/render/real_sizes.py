"""The sizes of real pictures, for low-resolution partners that are as small as those are."""

from __future__ import annotations

import contextlib
from collections import Counter
from functools import lru_cache
from pathlib import Path

from faceloom.pipelines.sources.walk import Found, walk
from faceloom.schemas.errors import PhotoError, RecipeError
from faceloom.schemas.recipe import Recipe
from faceloom.transforms.decode import read_size

Heights = tuple[tuple[int, int], ...]
"""Heights in pixels and how many pictures have each, sorted: small enough to travel with every task."""

SMALLEST = 4
"""Smaller heights, in pixels, show nothing and are left out."""
_HEAD = 1 << 16
"""Bytes of a file that are read for its size; the rest only where these do not tell."""


def heights_for(recipe: Recipe) -> Heights:
    """The heights that a recipe names; none if it names none. Reads them, so that a build does it once.

    Raises:
        RecipeError: as `real_heights`.
    """
    if recipe.lowres is None or not recipe.lowres.sizes_from:
        return ()
    return tuple(sorted(Counter(real_heights(recipe.lowres.sizes_from)).items()))


@lru_cache(maxsize=4)
def one_by_one(heights: Heights) -> tuple[int, ...]:
    """All heights as `real_heights` gives them."""
    return tuple(height for height, count in heights for _ in range(count))


def real_heights(path: str) -> tuple[int, ...]:
    """Heights in pixels that `lowres.sizes_from` names, sorted, so that they depend on no order of files.

    Args:
        path: a folder of pictures, with all folders below it, of which those that do not tell their size are passed
            over; or a text file with a height, or `WIDTHxHEIGHT`, on each line. Blank lines and what follows `#` do not
            count.

    Raises:
        RecipeError: there is no such thing, a line is no size, or no size is left.
    """
    place = Path(path).expanduser()
    heights = _of_pictures(place) if place.is_dir() else _of_lines(place)
    kept = tuple(sorted(height for height in heights if height >= SMALLEST))
    if not kept:
        remedy = "Give a folder of pictures, or a text file with a height on each line"
        raise RecipeError("there are no sizes there", where="$.lowres.sizes_from", value=path, remedy=remedy)
    return kept


def _of_pictures(folder: Path) -> list[int]:
    heights = []
    for row in walk(folder, ""):
        if isinstance(row, Found):
            with contextlib.suppress(OSError, PhotoError):
                heights.append(_height(folder / row.uri))
    return heights


def _height(file: Path) -> int:
    with file.open("rb") as stream:
        head = stream.read(_HEAD)
        try:
            return read_size(head)[1]
        except PhotoError:
            return read_size(head + stream.read())[1]


def _of_lines(file: Path) -> list[int]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot be read ({error})", where="$.lowres.sizes_from", value=file) from None
    heights = []
    for number, line in enumerate(lines, 1):
        if text := line.partition("#")[0].strip():
            if not text.lower().rpartition("x")[2].strip().isdecimal():
                what = f"line {number} is no height in pixels"
                raise RecipeError(what, where=f"$.lowres.sizes_from: {file}", value=repr(line))
            heights.append(int(text.lower().rpartition("x")[2]))
    return heights
