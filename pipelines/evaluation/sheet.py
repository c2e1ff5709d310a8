"""Sheets of an evaluation: a row for each face, a column for each way of masking it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from faceloom.schemas.keys import digest
from faceloom.transforms.text import draw_text
from faceloom.transforms.types import Image

CELL = 192
"""Pixels are repeated until a crop is about this wide."""
GAP, HEAD = 6, 24
EMPTY = 225
"""Grey level where there is no picture."""


def pick_shown(samples: Sequence[tuple[str, str]], count: int) -> list[str]:
    """Choose samples spread over a split: each person once before any person twice.

    Args:
        samples: key and identity of each.
        count: maximum number.

    Returns:
        Keys; they do not depend on the order of the samples.
    """
    seen: Counter[str] = Counter()
    ranked: list[tuple[int, int, str]] = []
    for key, identity in sorted(samples, key=lambda sample: digest("shown", sample[0])):
        ranked.append((seen[identity], len(ranked), key))
        seen[identity] += 1
    return [key for _, _, key in sorted(ranked)[:count]]


def draw_grid(heads: Sequence[str], rows: Sequence[Sequence[Image | None]], names: Sequence[str] = ()) -> Image:
    """Pictures in rows under named columns, enlarged by a whole number so that pixels keep their values.

    Args:
        heads: the name of each column, shortened with an ellipsis if it is too wide.
        rows: for each row a picture per column, uint8 (H, W, 3), RGB, all of one size; None stays empty.
        names: the line above the pictures of each row, shortened like the heads; without names there is no line.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    height, width = next(picture.shape[:2] for row in rows for picture in row if picture is not None)
    factor = max(1, CELL // width)
    height, width = height * factor, width * factor
    line = HEAD if names else 0
    sheet = np.full((HEAD + len(rows) * (line + height + GAP), len(heads) * (width + GAP) - GAP, 3), 255, np.uint8)
    for column, head in enumerate(heads):
        left = column * (width + GAP)
        draw_text(sheet, head, (left + 1, 3), width=width - 1)
        for number, row in enumerate(rows):
            top = HEAD + number * (line + height + GAP) + line
            picture = row[column]
            cell = EMPTY if picture is None else picture.repeat(factor, 0).repeat(factor, 1)
            sheet[top : top + height, left : left + width] = cell
    for number, name in enumerate(names):
        draw_text(sheet, name, (1, HEAD + number * (line + height + GAP) + 3))
    return sheet
