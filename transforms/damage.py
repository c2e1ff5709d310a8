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
from faceloom.transforms.types import Grey, Pixels, Size

LEAST_JUMP, _LARGE_JUMP = 5.0, 40.0
"""Jumps in brightness below the first number of grey levels are not judged; below the second, not without a step."""
_FLAWS = "Corrupt JPEG data", "Premature end of JPEG file"
_FATAL = "Unsupported marker type", "Unsupported JPEG process", "Bogus ", "Invalid "
_HARMLESS = (
    *("Invalid SOS parameters", "Corrupt JPEG data: bad ICC marker"),
    *("Warning: unknown JFIF", "Unknown Adobe color", "Inconsistent progression"),
)
"""How libjpeg's texts begin: warnings about lost data, errors that damaged data cause, and other warnings.
Any other text is a limit of the decoder, such as sampling factors that it does not know."""
_EXTRA = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_IN_HEADER = re.compile(r"bad ICC marker|extraneous bytes before marker 0x(?!d\d)")
_KEPT_SEGMENTS = {0xE0, 0xEE, *range(0xC0, 0xE0)}
"""Segments by which pixels are decoded: JFIF, Adobe, and all that are no metadata."""
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
    width, height = (-(-side // reduction) for side in size)
    smaller = {"min_height": height, "min_width": width, "min_factor": reduction} if reduction > 1 else {}
    grey: Grey = _pixels(data, "GRAY", smaller)[:, :, 0]
    _refuse(visible_damage(grey, block_height // reduction))
    return grey


def require_undamaged(data: bytes) -> bool:
    """Check a CMYK JPEG for damage by its decoder's warnings.

    Returns:
        False if this decoder cannot decode it.

    Raises:
        PhotoError: `damaged`.
    """
    try:
        _pixels(data, "CMYK", {"min_factor": 8})
    except ValueError as error:
        _refuse(damage_of_warning(str(error), data))
        return False
    return True


def require_sound(pixels: Pixels, block_height: int, refusal: str, data: bytes) -> None:
    """Check a JPEG that only another decoder decodes.

    Args:
        pixels: what that decoder gives, in the stored orientation, grey or RGB.
        block_height: height of a row of blocks in these pixels.
        refusal: why `decode_undamaged` cannot decode it.
        data: the file's bytes.

    Raises:
        PhotoError: `damaged`.
    """
    import cv2

    _refuse(damage_of_warning(refusal, data))
    grey = pixels if pixels.ndim == 2 else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    _refuse(visible_damage(grey, block_height))


def _pixels(data: bytes, space: str, smaller: dict[str, int]) -> Pixels:
    """Decode a JPEG by simplejpeg, which reports the first warning.

    Raises:
        PhotoError: `damaged`.
        ValueError: it cannot be decoded.
    """
    import simplejpeg

    def decode(strict: bool) -> Pixels:
        return np.asarray(simplejpeg.decode_jpeg(data, space, strict=strict, **smaller), np.uint8)

    try:
        return decode(strict=True)
    except ValueError as error:
        warning = str(error)
    if _IN_HEADER.search(warning) and (plain := _without_extras(data)) != data:
        return _pixels(plain, space, smaller)  # this warning would hide a later one
    if warning.startswith(_FLAWS):
        _refuse(damage_of_warning(warning, data))
    elif not warning.startswith(_HARMLESS):  # an error, which the decoder would pass over too
        raise ValueError(warning)
    return decode(strict=False)


def _without_extras(data: bytes) -> bytes:
    """A JPEG without metadata and without the bytes between the segments of its header."""
    kept, place = [data[:2]], 2
    while (place := data.find(b"\xff", place)) >= 0 and place + 4 <= len(data):
        marker = data[place + 1]
        if marker == 0xDA:
            return b"".join([*kept, data[place:]])
        if marker in (0, 1, 0xFF) or 0xD0 <= marker <= 0xD9:
            place += 1 if marker == 0xFF else 2
            continue
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if marker in _KEPT_SEGMENTS:
            kept.append(data[place:end])
        place = end
    return data


def damaged(how: str) -> PhotoError:
    """The error for a picture that is damaged inside."""
    remedy = "Get an undamaged copy, or use `faces: {damaged: keep}` if the photos look right"
    return PhotoError("damaged", "the picture is damaged inside", value=how, remedy=remedy)


def _refuse(how: str) -> None:
    if how:
        raise damaged(how)


def damage_of_warning(warning: str, data: bytes) -> str:
    """What a warning or error of the JPEG decoder means: the damage, or nothing.

    Repeated bytes before the end are padding; some programs write it. More pictures may follow the end.

    Args:
        warning: libjpeg's text.
        data: the file's bytes.
    """
    if warning.startswith(_HARMLESS) or not warning.startswith((*_FLAWS, *_FATAL)):
        return ""
    if found := _EXTRA.search(warning):
        count = int(found[1])
        for end in re.finditer(b"\xff\xd9", data):
            extra = data[max(0, end.start() - count) : end.start()]
            if len(extra) == count and extra.count(extra[-1:]) == count:
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
    if row := _grey_below(grey, step):
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


def _grey_below(grey: Grey, step: int) -> int:
    """The first of the rows that a decoder filled with mid-grey down to the end; 0 if there are few, or in a frame.

    The fill begins inside a row of blocks. Bars of a padded picture do not: they are as high on the right as elsewhere.
    """
    last = grey[-1]
    if abs(int(last[0]) - _FILL) > _FILL_RANGE or np.ptp(last) > _FILL_RANGE:
        return 0
    filled = np.abs(grey.astype(np.int16) - _FILL) <= _FILL_RANGE
    first, right = _begin(np.all(filled, axis=1)), _begin(filled[:, -1])
    enough = len(grey) - first >= _FEWEST_ROWS
    framed = filled[0].all()
    return first if enough and not framed and first % step == 0 and right == first - step else 0


def _begin(filled: npt.NDArray[np.bool_]) -> int:
    """Where the values begin that are true up to the last one."""
    return 0 if filled.all() else len(filled) - int(np.argmin(filled[::-1]))


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
