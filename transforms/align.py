"""Alignment: matrices from photo to crop, and the warp that applies them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.geometry import (
    apply_affine,
    compose,
    invert,
    scale_about_corner,
    scale_of,
    similarity,
    translate,
    umeyama,
)
from faceloom.transforms.types import BoolMask, Border, Coverage, Image, Matrix, Points, Region, Size

if TYPE_CHECKING:
    from faceloom.transforms.detect import FaceBox


ARCFACE_POINTS = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
"""Left eye, right eye, nose tip, left and right mouth corner in a 112x112 crop (ArcFace, InsightFace)."""

_NOSE_AND_MOUTH = np.array([30, 48, 54])
MAX_OUTSIDE = 16
"""Limit on the area that a crop may read, in areas of the photo (plus 1 MP). A larger area means wrong landmarks."""


def five_points(landmarks: Points) -> Points:
    """Eye centres, nose tip and mouth corners (5, 2) from 68 landmarks; left and right as in the picture.

    Five points are returned as they are.
    """
    if len(landmarks) == 5:
        return landmarks
    eyes = np.add.reduce(landmarks[36:48].reshape(2, 6, 2), axis=1) / 6  # as the method `mean`, in half the time
    return np.concatenate([eyes, landmarks[_NOSE_AND_MOUTH]])


def arcface_matrix(landmarks: Points, size: int, *, width: int | None = None) -> Matrix:
    """Five-point alignment of ArcFace, photo to crop.

    Args:
        landmarks: (68, 2) or (5, 2) in the photo.
        size: height of the crop; the 112 template is scaled by size / 112.
        width: width of the crop; `size` by default. The template stays centred, so width 96 at size 112 gives the
            published 96-wide variant (x - 8).

    Returns:
        Matrix 2x3 for a crop of (width, size).
    """
    shift = 0.0 if width is None else (width - size) / 2
    return umeyama(five_points(landmarks), ARCFACE_POINTS * (size / 112) + (shift, 0))


def eye_level_matrix(
    landmarks: Points,
    size: int | Size,
    *,
    eye_distance: float = 0.315,
    eye_midpoint: tuple[float, float] = (0.499, 0.461),
) -> Matrix:
    """Crop with both eye centres on one level (after Lee, JKIICE 26(8) 2022, who gives no crop geometry).

    Args:
        landmarks: (68, 2) or (5, 2) in the photo.
        size: side of a square crop, or (width, height).
        eye_distance: distance of the eye centres in crop widths.
        eye_midpoint: position of the point between the eyes, in crop widths and heights.

    Returns:
        Matrix 2x3, photo to crop.
    """
    width, height = (size, size) if isinstance(size, int) else size
    middle = np.array([eye_midpoint[0] * width, eye_midpoint[1] * height])
    half = np.array([eye_distance * width / 2, 0])
    return umeyama(five_points(landmarks)[:2], np.stack([middle - half, middle + half]))


def box_side(box: FaceBox) -> float:
    """The longer side of a box.

    Raises:
        PhotoError: `degenerate_points`, when the box has no size or is not finite.
    """
    side = max(box.right - box.left, box.bottom - box.top)
    if not 0 < side < math.inf:
        raise PhotoError("degenerate_points", "the box of the face has no size", value=side)
    return side


def face_box_matrix(
    box: FaceBox, landmarks: Points | None, size: int, *, margin: float = 0.0, level: bool = False
) -> Matrix:
    """Cut the face box out and scale it to a square (Anti-Mask, JATIT 2022, cuts the dlib box to 224x224).

    Args:
        box: face box in the photo; if it is not square, its longer side is used. A head that was found turned is turned
            back by that angle.
        landmarks: (68, 2) in the photo; only used to `level`.
        size: side of the crop.
        margin: added on every side, in box sides.
        level: rotate the box so that the eyes are horizontal.

    Returns:
        Matrix 2x3, photo to crop.

    Raises:
        PhotoError: `degenerate_points`, when the box has no size or is not finite.
    """
    side = box_side(box) * (1 + 2 * margin)
    angle = math.radians(-box.turn)
    if level and landmarks is not None:
        x, y = np.subtract(*five_points(landmarks)[1::-1])
        angle = -math.atan2(y, x)
    centre = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    return similarity(size / side, angle, centre, ((size - 1) / 2, (size - 1) / 2))


def whole_photo_matrix(photo: Size, size: Size) -> Matrix:
    """Centre crop: the largest central part of a photo with the crop's aspect ratio, scaled to the crop.

    Args:
        photo: (width, height) of the photo.
        size: (width, height) of the crop.

    Returns:
        Matrix 2x3, photo to crop.
    """
    scale = max(size[0] / photo[0], size[1] / photo[1])
    (x, y), (to_x, to_y) = ((extent - 1) / 2 for extent in photo), ((extent - 1) / 2 for extent in size)
    return np.array([[scale, 0, to_x - scale * x], [0, scale, to_y - scale * y]], np.float64)


def crop_reduction(matrix: Matrix) -> int:
    """Largest decode reduction (1, 2, 4 or 8) that keeps two source pixels per crop pixel."""
    reduction = 1
    while reduction < 8 and scale_of(matrix) * reduction * 4 <= 1:
        reduction *= 2
    return reduction


def from_reduced(matrix: Matrix, reduction: int) -> Matrix:
    """Adapt `matrix`, defined for the full photo, to a photo decoded `reduction` times smaller."""
    # Pixel centres of the reduced photo lie at (x + 0.5) * reduction - 0.5 of the full one.
    half = (reduction - 1) / 2
    return compose(matrix, np.array([[reduction, 0, half], [0, reduction, half]], np.float64))


NEARLY_ONE = 1.2
"""Up to this shrink factor a crop is sampled in one step: aliasing is so low that averaging would only blur."""


def warp_image(image: Image, matrix: Matrix, size: Size, *, border: Border = "reflect") -> Image:
    """Cut an aligned crop from a photo, with area averaging when it shrinks and cubic interpolation when it enlarges.

    Args:
        image: uint8, (H, W, 3) or (H, W).
        matrix: photo to crop, 2x3.
        size: (width, height) of the crop.
        border: what lies outside the photo: its mirror image (also for `blur`, see `blur_beyond`), its edge pixels
            repeated, or black (`constant`).

    Returns:
        uint8 crop with the channels of `image`.

    Raises:
        PhotoError: `crop_outside`, when the crop lies outside the photo or reads far more area than the photo has.
    """
    import cv2

    return np.asarray(_warp(image, matrix, size, border_flag(border), cv2.INTER_CUBIC), np.uint8)


def warp_alpha(alpha: Coverage, matrix: Matrix, size: Size) -> Coverage:
    """Cut the crop of a coverage map as `warp_image` cuts the photo; coverage is 0 outside the photo."""
    import cv2

    return np.asarray(_warp(alpha, matrix, size, cv2.BORDER_CONSTANT, cv2.INTER_LINEAR), np.float32)


def cut_crop(image: Image, matrix: Matrix, size: Size, border: Border) -> tuple[Image, BoolMask | None]:
    """Cut an aligned crop and fill what lies outside the photo, also by `blur`.

    Args:
        image, matrix, size, border: as in `warp_image`.

    Returns:
        The crop, and which of its pixels lie outside the photo, (height, width); None if there are none.

    Raises:
        PhotoError: as `warp_image`.
    """
    crop = warp_image(image, matrix, size, border=border)
    outside = _outside(image, matrix, size)
    if border == "blur" and outside is not None:
        crop = blur_beyond(crop, matrix, (image.shape[1], image.shape[0]), outside)
    return crop, outside


def _outside(image: Image, matrix: Matrix, size: Size) -> BoolMask | None:
    """Pixels of a crop that read outside the picture; None if there are none."""
    right, bottom = size[0] - 0.5, size[1] - 0.5
    corners = apply_affine(invert(matrix), np.array([(-0.5, -0.5), (right, -0.5), (right, bottom), (-0.5, bottom)]))
    limits = np.array([image.shape[1], image.shape[0]]) - 0.5
    if (corners >= -0.5 - 1e-6).all() and (corners <= limits + 1e-6).all():
        return None
    inside = warp_alpha(np.ones(image.shape[:2], np.float32), matrix, size)
    return inside < 1 - 1e-4


_BLUR_GROWTH = 0.35
"""Sigma of the blur per pixel outside."""


def blur_beyond(crop: Image, matrix: Matrix, photo: Size, outside: BoolMask) -> Image:
    """Blur the pixels of a crop that lie outside the photo: not at all at its edge, and more the further out.

    Args:
        crop: uint8 (H, W, 3), filled with the mirror image.
        matrix: photo to crop, 2x3.
        photo: (width, height) of the photo.
        outside: which pixels to change, (H, W).

    Returns:
        uint8 like `crop`.
    """
    import cv2

    height, width = crop.shape[:2]
    (a, b, x), (c, d, y) = invert(matrix).tolist()
    u, v = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    across, down = (
        np.maximum(np.maximum(-at, at - (limit - 1)), 0)
        for at, limit in ((a * u + b * v + x, photo[0]), (c * u + d * v + y, photo[1]))
    )
    # Of 1 + sigma: each level has twice the blur of the one before.
    level = np.log2(1 + np.hypot(across, down) * np.float32(_BLUR_GROWTH * scale_of(matrix)))
    out = crop.astype(np.float32)
    for number in range(1, math.ceil(float(level[outside].max())) + 1):
        step = max(1, 2 ** (number - 1))  # a wide blur has no detail, so a small picture suffices
        small = (max(1, width // step), max(1, height // step))
        few = cv2.GaussianBlur(cv2.resize(crop, small, interpolation=cv2.INTER_AREA), (0, 0), (2**number - 1) / step)
        blurred = cv2.resize(few, (width, height), interpolation=cv2.INTER_LINEAR)
        share = np.clip(level - np.float32(number - 1), 0, 1)[..., None]
        out += (blurred - out) * share
    return np.where(outside[..., None], np.rint(out).astype(np.uint8), crop)


def source_region(image_size: Size, matrix: Matrix, size: Size) -> Region:
    """The part of a photo that a crop reads: a crop warped from this part equals one warped from the whole photo.

    Args:
        image_size: width and height of the photo.
        matrix: photo to crop, 2x3.
        size: (width, height) of the crop.

    Returns:
        The part. A larger one gives the same crop.

    Raises:
        PhotoError: `crop_outside`, as `warp_image`.
    """
    left, top, right, bottom = _region(image_size[::-1], matrix, size, 2 ** _halvings(matrix))
    x0, x1 = _mirrored(left, right, image_size[0])
    y0, y1 = _mirrored(top, bottom, image_size[1])
    return Region(x0, y0, x1, y1)


def border_flag(border: Border) -> int:
    """OpenCV's number of a border mode."""
    import cv2

    flags = {
        "reflect": cv2.BORDER_REFLECT_101,
        "blur": cv2.BORDER_REFLECT_101,
        "replicate": cv2.BORDER_REPLICATE,
        "constant": cv2.BORDER_CONSTANT,
    }
    return int(flags[border])


def _warp(picture: npt.NDArray[Any], matrix: Matrix, size: Size, border: int, enlarging: int) -> npt.NDArray[Any]:
    """Halve the region while three pixels per crop pixel remain, warp to twice the crop's size, average 2x2.

    warpAffine reads only the pixels next to a sample, so it would alias. Compared with exact area averages, portraits
    differ by less than 1 grey level RMS, and noise has 0.86 to 1.2 times its strength.
    """
    import cv2

    if (same := _same_pixels(picture, matrix, size)) is not None:
        return same
    shrink = 1 / scale_of(matrix)
    halvings = _halvings(matrix)
    region = _region(picture.shape, matrix, size, 2**halvings)
    part = _cut(picture, region, border)
    for _ in range(halvings):
        part = cv2.resize(part, (part.shape[1] // 2, part.shape[0] // 2), interpolation=cv2.INTER_AREA)
    to_crop = compose(compose(matrix, translate(region.left, region.top)), scale_about_corner(2**halvings))
    if shrink <= NEARLY_ONE:
        flags = enlarging if shrink < 0.999 else cv2.INTER_LINEAR
        return cv2.warpAffine(part, to_crop, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    doubled = compose(scale_about_corner(2), to_crop)
    twice = (2 * size[0], 2 * size[1])
    fine = cv2.warpAffine(part, doubled, twice, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cv2.resize(fine, size, interpolation=cv2.INTER_AREA)


def _halvings(matrix: Matrix) -> int:
    scale = scale_of(matrix)
    if not 0 < scale < math.inf:
        raise PhotoError("degenerate_points", "an alignment that flattens the picture cannot be used", value=scale)
    return max(0, math.floor(-math.log2(1.5 * scale)))


def _same_pixels(picture: npt.NDArray[Any], matrix: Matrix, size: Size) -> npt.NDArray[Any] | None:
    """The crop as a view, if the matrix only moves whole pixels and the crop lies inside the picture."""
    (a, b, x), (c, d, y) = matrix.tolist()
    if (a, b, c, d) != (1, 0, 0, 1) or x > 0 or y > 0 or x != round(x) or y != round(y):
        return None
    left, top = -round(x), -round(y)
    crop = picture[top : top + size[1], left : left + size[0]]
    return crop if crop.shape[1::-1] == size else None


def _region(shape: tuple[int, ...], matrix: Matrix, size: Size, block: int) -> Region:
    """What the crop reads, in whole blocks; may reach outside the photo."""
    right, bottom = size[0] - 0.5, size[1] - 0.5
    (a, b, x), (c, d, y) = invert(matrix).tolist()
    crop = (-0.5, -0.5), (right, -0.5), (right, bottom), (-0.5, bottom)
    corners = [(a * u + b * v + x, c * u + d * v + y) for u, v in crop]
    xs, ys = zip(*corners, strict=True)
    low_x, low_y, high_x, high_y = min(xs) - 2 * block, min(ys) - 2 * block, max(xs) + 2 * block, max(ys) + 2 * block
    height, width = shape[:2]
    inside = high_x > 0 and high_y > 0 and low_x < width and low_y < height
    if not inside or (high_x - low_x) * (high_y - low_y) > MAX_OUTSIDE * width * height + 1e6:
        raise PhotoError(
            "crop_outside",
            "the aligned crop lies outside the photo",
            value=[(round(u, 1), round(v, 1)) for u, v in corners],
        )
    left, top = math.floor(low_x), math.floor(low_y)
    return Region(left, top, left + _blocks(high_x - left, block), top + _blocks(high_y - top, block))


def _blocks(length: float, block: int) -> int:
    return math.ceil((length + 1) / block) * block


def _cut(picture: npt.NDArray[Any], region: Region, border: int) -> npt.NDArray[Any]:
    """The region as a view, or as a padded copy if it reaches outside the picture."""
    import cv2

    rows, columns = picture.shape[:2]
    left, top, right, bottom = region
    if left >= 0 and top >= 0 and right <= columns and bottom <= rows:
        return picture[region.slices]
    outside = max(0, -top), max(0, bottom - rows), max(0, -left), max(0, right - columns)
    if border == cv2.BORDER_CONSTANT:
        picture = picture[max(0, top) : bottom, max(0, left) : right]
        return cv2.copyMakeBorder(picture, *outside, border, value=0)
    (x0, x1), (y0, y1) = _mirrored(left, right, columns), _mirrored(top, bottom, rows)
    padded = cv2.copyMakeBorder(picture[y0:y1, x0:x1], *outside, border)
    offset_x, offset_y = left - (x0 - outside[2]), top - (y0 - outside[0])
    height, width = region.shape
    return padded[offset_y : offset_y + height, offset_x : offset_x + width]


def _mirrored(start: int, stop: int, length: int) -> tuple[int, int]:
    """The part of 0..length that start..stop reads if the picture is mirrored at its ends."""
    return (
        min(max(0, start), max(0, length - 1 - max(0, stop - length))),
        max(min(stop, length), min(length, 1 - min(0, start))),
    )
