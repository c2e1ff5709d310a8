"""Signs that a photo is damaged inside: warnings of the JPEG decoder, and what damage leaves in the pixels.

A JPEG codes each block's mean as the difference from that of the block before it. So a damaged byte that the decoder
passes over changes the brightness of all blocks behind it: a jump across the width of the photo that begins in the
middle of a row of blocks. Where the pixels are missing, decoders fill the rest with mid-grey, and programs store that.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.types import Grey, Size

LEAST_JUMP, _LARGE_JUMP = 5.0, 40.0
"""Jumps in brightness below the first number of grey levels are not judged; below the second, not without a step."""
_FLAWS = "Corrupt JPEG data"
_HARMLESS = "Invalid SOS parameters", "Warning: unknown JFIF", "Unknown Adobe color", "Inconsistent progression"
"""How libjpeg's warnings about damaged pixels begin, and those about headers. Any other text is an error."""
_EXTRA = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_LEAST_STEP = 4
"""Rows of blocks that are smaller, in pixels of a reduced picture, look like detail."""
_TRIED = 2
"""Rows that are looked at closely; damage makes the largest jumps."""
_ALIKE, _ALIKE_ALL, _EXACT, _SURE = 0.6, 0.8, 0.4, 0.85
"""Least share of blocks that jump, or stay, as damage makes them: on each side; in all; by the very same jump; and on
the left alone, if the damaged blocks reach the right end."""
_FEWEST, _FEWEST_COLUMNS = 2, 10
_TEXTURE = 12.0
"""Rows of block means that vary less, in grey levels, show no content by which they can be compared."""
_FILL, _FILL_RANGE, _FEWEST_ROWS = 128, 1, 16


def decode_undamaged(data: bytes, size: Size, reduction: int, block_height: int) -> Grey:
    """Decode the luminance of a JPEG, and check it for damage on the way.

    Gives the pixels that OpenCV gives: both use libjpeg-turbo. Only this decoder reports its warnings.

    Args:
        data: a grey or RGB JPEG.
        size: stored (width, height).
        reduction: 1, 2, 4 or 8.
        block_height: rows that are coded together, see `jpeg.JpegLayout`; 0 if unknown.

    Returns:
        uint8 (H, W), stored orientation.

    Raises:
        PhotoError: `damaged`.
        ValueError: this decoder cannot decode it.
    """
    import simplejpeg

    width, height = (-(-side // reduction) for side in size)
    smaller = {"min_height": height, "min_width": width, "min_factor": reduction} if reduction > 1 else {}
    try:
        pixels = simplejpeg.decode_jpeg(data, "GRAY", **smaller)
    except ValueError as error:
        _refuse(damage_of_warning(str(error), data))
        if not str(error).startswith((_FLAWS, *_HARMLESS)):
            raise
        pixels = simplejpeg.decode_jpeg(data, "GRAY", strict=False, **smaller)
    grey: Grey = pixels[:, :, 0]
    _refuse(visible_damage(grey, block_height // reduction))
    return grey


def require_undamaged(data: bytes) -> None:
    """Check a CMYK JPEG for damage by its decoder's warnings.

    Raises:
        PhotoError: `damaged`.
    """
    import simplejpeg

    try:
        simplejpeg.decode_jpeg(data, "CMYK", min_factor=8)
    except ValueError as error:
        harmless = str(error).startswith((_FLAWS, *_HARMLESS)) or "memory" in str(error)
        _refuse(damage_of_warning(str(error), data) or ("" if harmless else str(error)))


def damaged(how: str) -> PhotoError:
    """The error for a picture that is damaged inside."""
    return PhotoError("damaged", "the picture is damaged inside", value=how, remedy="Get an undamaged copy")


def _refuse(how: str) -> None:
    if how:
        raise damaged(how)


def damage_of_warning(warning: str, data: bytes) -> str:
    """What a warning of the JPEG decoder means: the damage, or nothing.

    Repeated bytes before the end are padding; some programs write it.

    Args:
        warning: libjpeg's text.
        data: the file's bytes.
    """
    if not warning.startswith(_FLAWS):
        return ""
    if found := _EXTRA.search(warning):
        end = data.rfind(b"\xff\xd9")
        extra = data[max(0, end - int(found[1])) : end]
        if extra.count(extra[-1:]) == len(extra):
            return ""
    return warning


def visible_damage(grey: Grey, step: int) -> str:
    """The damage that the pixels of a JPEG show; nothing if they show none.

    Args:
        grey: stored luminance, uint8 (H, W), not turned; may be a reduced picture.
        step: height of a row of blocks (an MCU) in its pixels.
    """
    if step < _LEAST_STEP or grey.shape[0] < 3 * step or grey.shape[1] < _FEWEST_COLUMNS * step:
        return ""
    if row := _grey_below(grey):
        return f"mid-grey below row {row}"
    rows = grey[:, :: max(1, step // 2)]  # few columns suffice to find where to look closely
    steps = rows[step::step].astype(np.int16) - rows[step - 1 : -1 : step]
    sums = steps.sum(axis=1)
    pairs = np.abs(sums[:-1] + sums[1:])
    for place in np.argsort(-pairs)[:_TRIED].tolist():
        if pairs[place] < 0.7 * LEAST_JUMP * steps.shape[1]:
            break
        if _jumps(grey, (place + 1) * step, step):
            return f"a jump in brightness below row {(place + 1) * step}"
    return ""


def _grey_below(grey: Grey) -> int:
    """The first of the rows that are mid-grey down to the end; 0 if there are few, or if the photo begins so too."""
    last = grey[-1]
    if abs(int(last[0]) - _FILL) > _FILL_RANGE or np.ptp(last) > _FILL_RANGE:
        return 0
    filled = np.all(np.abs(grey.astype(np.int16) - _FILL) <= _FILL_RANGE, axis=1)
    first = len(grey) - int(np.argmin(filled[::-1]))
    return 0 if filled.all() or filled[0] or len(grey) - first < _FEWEST_ROWS else first


def _jumps(grey: Grey, row: int, step: int) -> bool:
    """Whether brightness jumps alike on the right above a row and on the left above the next row of blocks.

    Args:
        grey: the picture.
        row: first row of a row of blocks.
        step: height and width of a block.
    """
    columns = grey.shape[1] // step
    edges = np.stack([grey[at - 1 : at + 1, : columns * step] for at in (row, row + step)])
    rows = edges.reshape(2, 2, columns, step).mean(axis=3)
    heights = rows[:, 1] - rows[:, 0]
    if any(_continues(above, below) for above, below in rows):
        return True
    jumps = [*np.median(heights, axis=1).tolist(), float(np.median(heights[1, : columns // 3]))]
    return any(abs(jump) >= LEAST_JUMP and _is_stair(heights / jump, 3 / abs(jump)) for jump in jumps)


def _continues(above: npt.NDArray[np.float64], below: npt.NDArray[np.float64]) -> bool:
    """Whether two rows of block means show the same content, and one is much brighter. Bars have no such content."""
    inside = (np.minimum(above, below) > 8) & (np.maximum(above, below) < 247)  # not clipped
    if np.count_nonzero(inside) < len(above) / 3:
        return False
    heights = below - above
    jump = float(np.median(heights[inside]))
    if abs(jump) < _LARGE_JUMP or np.mean(heights / jump >= 0.2) < 0.9:
        return False
    textures = np.std(above[inside]), np.std(below[inside])
    return bool(min(textures) >= _TEXTURE and np.median(np.abs(heights - jump)[inside]) <= 0.25 * max(textures))


def _is_stair(heights: npt.NDArray[np.float64], slack: float) -> bool:
    """Whether the upper edge jumps from some column on, and the lower one up to about that column.

    Args:
        heights: of the upper and the lower edge, in jumps, (2, columns). What is clipped to black or white jumps less.
        slack: by which heights of blocks that show nothing else may differ.
    """
    columns = heights.shape[1]
    away = np.abs(heights)
    still, full = away <= max(0.3, slack), np.abs(heights - 1) <= max(0.15, slack)
    if full.sum() < _EXACT * columns / 2 or still[0].sum() < columns / 5:
        return False
    jump = (heights >= 0.4) & (heights <= 1.15 + slack)
    # Sums over the columns before each column, of the upper and of the lower edge.
    sums = np.zeros((3, 2, columns + 1), np.int64)
    np.cumsum((still, jump, full), axis=2, out=sums[:, :, 1:])
    (up_still, low_still), (up_jump, low_jump), (up_full, low_full) = sums
    left = np.arange(max(_FEWEST, columns // 5), columns - _FEWEST + 1)
    to_the_end = (
        (up_still[left] >= _SURE * left)
        & (low_jump[left] >= _SURE * left)
        & (low_full[left] >= _ALIKE * left)
        & (up_still[-1] - up_still[left] <= (1 - _ALIKE_ALL) * (columns - left))
    )
    if to_the_end.any():
        return True
    for gap in (columns // 8, columns // 4, columns // 2):  # the damaged blocks themselves
        left = np.arange(_FEWEST, columns - gap - _FEWEST + 1)
        right = columns - left - gap
        counts = np.stack([
            up_still[left], low_jump[left], up_jump[-1] - up_jump[left + gap], low_still[-1] - low_still[left + gap]
        ])  # fmt: skip
        alike = (counts >= _ALIKE * np.stack([left, left, right, right])).all(axis=0)
        good = counts.sum(axis=0) >= _ALIKE_ALL * 2 * (columns - gap)
        exact = low_full[left] + up_full[-1] - up_full[left + gap] >= _EXACT * (columns - gap)
        if (alike & good & exact).any():
            return True
    return False
