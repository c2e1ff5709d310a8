"""Sizes of real pictures; the sizes of low-resolution partners are drawn from them."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path

from faceloom.pipelines.sources.listing import list_files
from faceloom.pipelines.sources.source import place_of
from faceloom.pipelines.sources.walk import Found, ending
from faceloom.pipelines.store.fetched import fetched
from faceloom.pipelines.store.store_path import Place, StorePath
from faceloom.schemas.errors import PhotoError, RecipeError
from faceloom.schemas.plain_values import shown
from faceloom.schemas.recipe import Recipe
from faceloom.schemas.regular_files import UnfitFileError, open_regular_file, read_regular_file
from faceloom.schemas.urls import url_of
from faceloom.transforms.decode import read_size

HeightCounts = tuple[tuple[int, int], ...]
"""Heights in pixels and the number of pictures of each height, sorted: small enough to send with every task."""

MOST_BYTES = 64 * 2**20
"""Length of a file; a longer picture is left out."""
SMALLEST = 4
"""Minimum height in pixels; smaller pictures are left out because they show nothing."""
_AT_ONCE = 16
"""Pictures of a store that are read at once."""
_HEAD = 1 << 16
"""Bytes of a file that are read for its picture size; the rest is read only if they are not enough."""


def count_heights(recipe: Recipe) -> HeightCounts:
    """Read the heights of `lowres.sizes_from`, once per build; empty if the recipe has no such key.

    Raises:
        RecipeError: as `real_heights`.
    """
    if recipe.lowres is None or not recipe.lowres.sizes_from:
        return ()
    return tuple(sorted(Counter(real_heights(recipe.lowres.sizes_from)).items()))


@lru_cache(maxsize=4)
def expand_heights(counts: HeightCounts) -> tuple[int, ...]:
    """One height per picture, sorted: the inverse of counting heights."""
    return tuple(height for height, count in counts for _ in range(count))


def real_heights(path: str) -> tuple[int, ...]:
    """Read the heights in pixels that `lowres.sizes_from` names, sorted, so that the order of files does not matter.

    Args:
        path: a folder of pictures, searched with all folders below it; files without a readable size are skipped. Or
            a text file with a height, or `WIDTHxHEIGHT`, on each line; blank lines and text after `#` are ignored. In
            an object store, a URL whose last part has an ending, such as `.txt`, is a file.

    Raises:
        RecipeError: the path does not exist, a line is not a size, or no size is left.
        SourceError, StorageError: the object store cannot be used.
    """
    if url := url_of(path):
        heights = _of_lines(url) if ending(url.rpartition("/")[2]) else _of_pictures(place_of(url))
    else:
        place = Path(os.path.expanduser(path))  # noqa: PTH111 (that of pathlib fails without the home of a user)
        heights = _of_pictures(place) if os.path.isdir(place) else _of_lines(place)  # noqa: PTH112 (as above)
    kept = tuple(sorted(height for height in heights if height >= SMALLEST))
    if not kept:
        remedy = "Give a folder of pictures, or a text file with a height on each line"
        raise RecipeError("no sizes found", where="$.lowres.sizes_from", value=path, remedy=remedy)
    return kept


def _of_pictures(folder: Place) -> list[int]:
    found = [row.uri for row in list_files(folder, "") if isinstance(row, Found)]
    if not isinstance(folder, StorePath):
        return [height for uri in found for height in _height(folder, uri)]
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return [height for heights in threads.map(partial(_height, folder), found) for height in heights]


def _height(folder: Place, uri: str) -> list[int]:
    """The height of a picture; none if it cannot be read."""
    with contextlib.suppress(OSError, UnfitFileError, PhotoError):
        place = folder / uri
        opening = (
            place.storage.open(place.path, MOST_BYTES)
            if isinstance(place, StorePath)
            else open_regular_file(place, MOST_BYTES)
        )
        with opening as stream:
            head = stream.read(_HEAD)
            try:
                return [read_size(head)[1]]
            except PhotoError:
                return [read_size(head + stream.read())[1]]
    return []


def _of_lines(file: Path | str) -> list[int]:
    try:
        lines = read_regular_file(fetched(file, MOST_BYTES), MOST_BYTES).decode("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        why, remedy = getattr(error, "strerror", None) or error, "Give a folder, or a text file of heights"
        raise RecipeError(f"cannot be read ({why})", where="$.lowres.sizes_from", value=file, remedy=remedy) from None
    heights = []
    for number, line in enumerate(lines, 1):
        if text := line.partition("#")[0].strip():
            height = text.lower().rpartition("x")[2].strip()
            if not (height.isdecimal() and len(height) <= 5):
                what, remedy = (
                    f"line {number} is not a height in pixels",
                    "Write a height, or WIDTHxHEIGHT, on each line",
                )
                raise RecipeError(what, where=f"$.lowres.sizes_from: {file}", value=shown(line), remedy=remedy)
            heights.append(int(height))
    return heights
