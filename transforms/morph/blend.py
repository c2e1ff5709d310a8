"""Blending two faces of one shape inside a soft hull; hair, ears and background come from one of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.align import five_points
from faceloom.transforms.memory import is_memory_fault
from faceloom.transforms.morph.mesh import Mesh
from faceloom.transforms.types import Coverage, Image, Size

FEATHER = 0.24
"""Width of the soft edge, in eye distances, all of it inside the jaw: beyond it lie the ears and hair of two people."""
FOREHEAD = 0.28
"""How far above the brows the hull reaches, in eye distances: past the soft edge, so that brows are mixed whole."""
CLONED = 96
"""Longest side of the pictures on which the membrane of a paste is found."""
TONE = 0.3
"""Standard deviation, in eye distances, of the blur that separates light and skin colour from features."""


def face_hull(landmarks: Mesh, size: Size) -> NDArray[np.uint8]:
    """The face from the jaw to above the brows: uint8 (H, W), 255 inside.

    Args:
        landmarks: (68, 2) in pixels.
        size: of the picture.
    """
    import cv2

    left, right = five_points(landmarks)[:2]
    across = right - left
    up = np.array([across[1], -across[0]]) * FOREHEAD
    brows = landmarks[17:27][::-1] + up
    # Temples rise with the brows, or brow tails would lie on the soft edge.
    sides = landmarks[[16, 0]] + up * 0.5
    outline = np.concatenate([landmarks[:17], sides[:1], brows, sides[1:]]).astype(np.float32)
    inside = np.zeros(size[::-1], np.uint8)
    corners = np.rint(cv2.convexHull(outline) * 16).astype(np.int32)
    cv2.fillConvexPoly(inside, corners, 255, cv2.LINE_8, 4)
    return inside


def feathered(inside: NDArray[np.uint8], feather: float) -> Coverage:
    """Coverage 0..1 that rises smoothly over `feather` pixels inwards from the edge, float32 (H, W).

    The border of the picture is not an edge: a face that reaches beyond it is covered up to the border.
    """
    import cv2

    padded = cv2.copyMakeBorder(inside, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1]
    ramp = np.minimum(depth / np.float32(max(feather, 1)), 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)


def mix(target: Image, other: Image, alpha: Coverage, weight: float, spread: float) -> Image:
    """Mix features of the other face into the target; light and skin colour stay the target's.

    The difference of the two pictures, less its own average over some `spread` pixels, is taken off the target: so the
    mixed face meets what is around it without a jump, whatever the two photos' light.

    Args:
        target, other: uint8 (H, W, 3) of one shape.
        alpha: where to mix, 0..1.
        weight: of the other face, 0..1.
        spread: standard deviation of the average in pixels.
    """
    import cv2

    difference = cv2.subtract(target, other, dtype=cv2.CV_32F)
    step = max(1, round(spread / 3))
    size = max(1, alpha.shape[1] // step), max(1, alpha.shape[0] // step)
    share = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(difference * alpha[..., None], size, interpolation=cv2.INTER_AREA)
    sigma = max(spread / step, 0.01)  # OpenCV refuses none, which a face of no width asks for
    weights = cv2.GaussianBlur(share, (0, 0), sigma)
    tone = cv2.GaussianBlur(coarse, (0, 0), sigma) / np.maximum(weights, 1e-4)[..., None]
    difference -= cv2.resize(tone, alpha.shape[::-1], interpolation=cv2.INTER_LINEAR)
    difference *= (alpha * np.float32(-weight))[..., None]
    return np.asarray(cv2.add(target, difference, dtype=cv2.CV_8U), np.uint8)


def paste(target: Image, other: Image, inside: NDArray[np.uint8], alpha: Coverage, weight: float) -> Image:
    """Mix two faces inside the hull and paste that into the target in the gradient domain (Cole et al. 2017).

    Such a paste is the mixed face plus a membrane, spanned by what it lacks to the target along the hull. The membrane
    is as smooth as can be, so it is found on a reduced picture.

    Args:
        target, other: uint8 (H, W, 3) of one shape.
        inside: the hull, 255 inside.
        alpha: the hull softened; it fades the paste out towards its edge.
        weight: of the other face, 0..1.

    Raises:
        PhotoError: `degenerate_points`, when the hull is too thin.
    """
    import cv2

    mixed = cv2.addWeighted(target, 1 - weight, other, weight, 0)
    step = -(-max(inside.shape) // CLONED)
    size = max(1, inside.shape[1] // step), max(1, inside.shape[0] // step)
    under, over = (cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in (target, mixed))
    mask = cv2.resize(inside, size, interpolation=cv2.INTER_NEAREST)
    left, top, width, height = cv2.boundingRect(mask)
    if not width:
        return target.copy()
    # The clone wants its mask well inside the picture, and the middle of the mask's box where it is.
    under, over = (cv2.copyMakeBorder(picture, 3, 3, 3, 3, cv2.BORDER_REPLICATE) for picture in (under, over))
    mask = cv2.copyMakeBorder(mask, 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=0)
    middle = left + 3 + width // 2, top + 3 + height // 2
    try:
        cloned = cv2.seamlessClone(over, under, mask, middle, cv2.NORMAL_CLONE)
    except cv2.error as error:
        if is_memory_fault(error):
            raise MemoryError(str(error)) from None
        raise PhotoError("degenerate_points", "the face is too thin to be mixed", value=[width, height]) from None
    membrane = cv2.resize(cv2.subtract(cloned, over, dtype=cv2.CV_32F)[3:-3, 3:-3], inside.shape[::-1])
    membrane += cv2.subtract(mixed, target, dtype=cv2.CV_32F)
    membrane *= alpha[..., None]
    return np.asarray(cv2.add(target, membrane, dtype=cv2.CV_8U), np.uint8)
