"""The sizes of real pictures, for low-resolution partners that are as small as those are."""

from __future__ import annotations

from pathlib import Path

from faceloom.pipelines.sources.walk import Found, walk
from faceloom.schemas.errors import PhotoError, RecipeError
from faceloom.transforms.decode import read_header

SMALLEST = 4
"""Smaller heights, in pixels, show nothing and are left out."""


def real_heights(path: str) -> tuple[int, ...]:
    """Heights in pixels that `lowres.sizes_from` names, sorted, so that they depend on no order of files.

    Args:
        path: a folder of pictures, with all folders below it, of which those that cannot be read are passed over; or a
            text file with a height, or `WIDTHxHEIGHT`, on each line. Blank lines and what follows `#` do not count.

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
            try:
                heights.append(read_header((folder / row.uri).read_bytes()).size[1])
            except (OSError, PhotoError):
                continue
    return heights


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
