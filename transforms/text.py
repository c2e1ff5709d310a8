"""Text on pictures, in a font that has its letters."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont
    from PIL.ImageFont import ImageFont as BitmapFont

    Font = FreeTypeFont | BitmapFont

ELLIPSIS = "…"
LONGEST = 1000
"""Characters of a line that are looked at; no picture is wide enough for more."""
SYSTEM_FONTS = (
    "DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial Unicode.ttf", "arial.ttf",
    "NotoSansCJK-Regular.ttc", "NotoSansDevanagari-Regular.ttf", "NotoSansThai-Regular.ttf",
    "msyh.ttc", "malgun.ttf", "Nirmala.ttc", "Nirmala.ttf", "LeelawUI.ttf",
)  # fmt: skip
"""Fonts of Linux, macOS and Windows, in the order in which they are tried."""


def draw_text(
    image: NDArray[np.uint8],
    text: str,
    origin: tuple[int, int],
    *,
    size: int = 14,
    colour: tuple[int, int, int] = (0, 0, 0),
    width: int | None = None,
) -> None:
    """Draw one line of text on a picture, in place; an ellipsis replaces the end of a text that is too wide.

    The font is the first one with all letters of the text: DejaVu Sans of matplotlib (Latin, Cyrillic, Greek, Arabic,
    Hebrew, Armenian, Georgian), then the system's fonts, then Pillow's own, which is always there but has ASCII only.

    Args:
        image: uint8 (H, W, 3), RGB.
        text: line breaks and other control characters are drawn as spaces.
        origin: x and y of the left top of the line, inside the picture. The line is about 1.2 times `size` high; what
            lies below the picture is cut off.
        size: of the font, in pixels.
        colour: RGB, 0..255.
        width: room for the text in pixels; all up to the right edge of the picture if not given.
    """
    from PIL import Image, ImageDraw

    left, top = origin
    room = image.shape[1] - left if width is None else min(width, image.shape[1] - left)
    strip = image[top : top + 2 * size, left : left + max(0, room)]
    if not strip.size:
        return
    line = "".join(letter if letter.isprintable() else " " for letter in text[:LONGEST])
    font = _font_for(line, size)
    picture = Image.fromarray(strip)
    # "la": from the top of the font, not of these letters, so that all lines of a row stand on one height.
    ImageDraw.Draw(picture).text((0, 0), _cut(line, font, room), fill=colour, font=font, anchor="la")
    strip[:] = np.asarray(picture)


def _cut(line: str, font: Font, room: int) -> str:
    """The line, or as many of its first letters as fit in front of an ellipsis."""
    if font.getlength(line) <= room:
        return line
    fits, too_many = 0, len(line)
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if font.getlength(line[:middle].rstrip() + ELLIPSIS) <= room:
            fits = middle
        else:
            too_many = middle
    return line[:fits].rstrip() + ELLIPSIS


def _font_for(line: str, size: int) -> Font:
    """The first font that has all letters, else the one that lacks the fewest."""
    lacking: list[tuple[int, Font]] = []
    for font in _fonts(size):
        count = _missing(line, font)
        if not count:
            return font
        lacking.append((count, font))
    return min(lacking, key=lambda found: found[0])[1]


def _fonts(size: int) -> Iterator[Font]:
    """All fonts that can be found, one after the other, since looking for them takes time."""
    from PIL import ImageFont

    names = [*_matplotlib_font(), *SYSTEM_FONTS]
    for name in names:
        if (font := _load(name, size)) is not None:
            yield font
    yield ImageFont.load_default(size)


def _matplotlib_font() -> list[str]:
    """DejaVu Sans as matplotlib ships it, without importing matplotlib."""
    spec = find_spec("matplotlib")
    folders = spec.submodule_search_locations if spec else None
    return [str(Path(folder, "mpl-data", "fonts", "ttf", "DejaVuSans.ttf")) for folder in folders or ()]


@lru_cache(maxsize=64)
def _load(name: str, size: int) -> FreeTypeFont | None:
    from PIL import ImageFont

    try:
        return ImageFont.truetype(name, size)
    except OSError:  # not on this system
        return None


def _missing(line: str, font: Font) -> int:
    """How many of the different letters a font draws as it draws a character that no font has."""
    nothing = bytes(font.getmask("\U0010ffff"))
    return sum(bytes(font.getmask(letter)) == nothing for letter in set(line))
