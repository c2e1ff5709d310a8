"""Search for faces with a network, such as YuNet: upright first, then with the picture turned.

A network sees turned, small, dark and masked faces, which HOG misses. Where HOG finds its face, its box is kept: it is
cheaper, and the landmark predictor was trained on such boxes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from faceloom.transforms.detect import SAME_FACE, FaceBox, Select, select_faces
from faceloom.transforms.geometry import apply_affine, compose, invert, rotate, translate
from faceloom.transforms.types import Image, Matrix

SIDES = (640, 1280)
"""Longest sides at which a picture is searched, one after the other until a face is found."""
SIDE_FOR_ALL = 960
"""Longest side at which a picture is searched for all of its faces."""
LARGEST_ENLARGEMENT = 2.0
"""Limit on the enlargement of a small picture."""
TURNS = (-30, 30, -90, 90, 180)
"""Degrees by which a head may be turned in a picture without an upright face, as in scans and without EXIF."""
TURNED_SIDE = 480
"""Longest side at which a picture is searched for turned heads; it is searched five times."""


@dataclass(frozen=True)
class Network:
    """A network that finds faces, and how far it is trusted.

    Attributes:
        find: takes a picture, uint8 (H, W, 3), RGB; gives boxes as dlib draws them, in its pixels.
        sure: score from which a face counts.
        sure_turned: score from which a face counts in a turned picture. There are more pictures to see a face in by
            mistake: a dog lying on its side has 0.81. HOG is no help, since it sees faces in the same places.
    """

    find: Callable[[Image], tuple[FaceBox, ...]]
    sure: float
    sure_turned: float


def search_sides(width: int, height: int, select: Select) -> tuple[int, ...]:
    """Longest sides at which a picture of this size is searched, in this order; at least one."""
    largest = round(LARGEST_ENLARGEMENT * max(width, height))
    if select == "all":
        return tuple(dict.fromkeys((min(SIDE_FOR_ALL, max(width, height)), min(SIDE_FOR_ALL, largest))))
    return tuple(dict.fromkeys(min(side, max(SIDES[0], max(width, height)), largest) for side in SIDES))


def find_by_network(
    look: Callable[[int], Image], network: Network, width: int, height: int, select: Select, *, thorough: bool = True
) -> tuple[FaceBox, ...]:
    """Search a photo with a network.

    Args:
        look: gives the picture with a longest side, uint8 (h, w, 3), RGB.
        network: the detector.
        width, height: of the photo.
        select: which faces to return, see `detect.coarse_to_fine`.
        thorough: whether to search at several sizes and turned until a face is found.

    Returns:
        Boxes in pixels of the photo, the largest first; none if there is no face.
    """
    sides = search_sides(width, height, select)
    for side in sides if thorough else sides[:1]:
        picture = look(side)
        found = tuple(face for face in network.find(picture) if face.score >= network.sure)
        if found:
            chosen = select_faces(found, select, *picture.shape[1::-1])
            if thorough:
                chosen = righted(chosen, find_turned(picture, 180, network))
            return _in_photo(chosen, picture, width, height)
    if not thorough:
        return ()
    picture = look(min(sides[-1], TURNED_SIDE))
    attempts = [find_turned(picture, turn, network) for turn in TURNS]
    best = max(attempts, key=lambda found: max((face.score for face in found), default=0.0))
    if not best:
        return ()
    return _in_photo(select_faces(best, select, *picture.shape[1::-1]), picture, width, height)


def _in_photo(faces: tuple[FaceBox, ...], picture: Image, width: int, height: int) -> tuple[FaceBox, ...]:
    factor = math.sqrt(width * height / (picture.shape[0] * picture.shape[1]))
    return tuple(face.scaled(factor) for face in faces)


def merged(first: tuple[FaceBox, ...], others: tuple[FaceBox, ...]) -> tuple[FaceBox, ...]:
    """All faces of two detectors. Those of the first keep their places; others that are not among them follow."""
    return (*first, *(face for face in others if all(face.iou(known) <= SAME_FACE for known in first)))


def righted(upright: tuple[FaceBox, ...], turned: tuple[FaceBox, ...]) -> tuple[FaceBox, ...]:
    """The upright faces; those that are seen better upside down are replaced, since networks see many either way.

    Of 67 faces that YuNet saw upright in photos turned by 180 degrees, this rights 66; of 140 upright ones it turns 1.
    """
    better = (
        max((face, *(one for one in turned if one.iou(face) > SAME_FACE)), key=lambda one: one.score)
        for face in upright
    )
    return tuple(dict.fromkeys(better))  # two may be replaced by the same one


def find_turned(picture: Image, turn: int, network: Network) -> tuple[FaceBox, ...]:
    """Find heads that are turned by an angle.

    Args:
        picture: uint8 (H, W, 3), RGB.
        turn: degrees clockwise by which the heads are turned.
        network: the detector.

    Returns:
        Boxes in pixels of `picture`: upright squares around the middle of the face.
    """
    upright, matrix = turned_back(picture, turn)
    back, found = invert(matrix), network.find(upright)
    return tuple(moved_by(face, back, turn) for face in found if face.score >= network.sure_turned)


def turned_back(picture: Image, turn: int) -> tuple[Image, Matrix]:
    """Turn a picture so that heads turned by an angle are upright. No corner is cut off; edge pixels fill the rest.

    Args:
        picture: uint8 (H, W, 3).
        turn: degrees clockwise by which the heads are turned.

    Returns:
        The turned picture, and the 2x3 matrix from `picture` to it.
    """
    import cv2

    height, width = picture.shape[:2]
    angle = math.radians(-turn)
    cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
    size = round(width * cos + height * sin), round(width * sin + height * cos)
    middle = (width - 1) / 2, (height - 1) / 2
    shift = translate((size[0] - width) / 2, (size[1] - height) / 2)
    matrix = compose(shift, rotate(angle, middle))
    turned = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, np.uint8), matrix


def moved_by(face: FaceBox, matrix: Matrix, turn: int) -> FaceBox:
    """The upright box, of the same size, around the face's middle in another frame. The matrix must not scale."""
    (x, y), half = apply_affine(matrix, np.array([face.centre]))[0].tolist(), face.width / 2
    return replace(face, left=x - half, top=y - half, right=x + half, bottom=y + half, turn=turn)
