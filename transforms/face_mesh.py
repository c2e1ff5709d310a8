"""Landmarks by MediaPipe's face mesh: 468 points of a face, turned far or not, and the 68 of iBUG among them.

The network has its own licence (Apache-2.0) and was trained on other photos than dlib's predictor, whose training set
excludes commercial use. It follows turned heads further; on frontal faces dlib's predictor is closer to iBUG's points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.detect import FaceBox
from faceloom.transforms.geometry import apply_affine, compose, invert, rotate, scale_of, similarity
from faceloom.transforms.types import Grey, Image, Landmarks, Matrix, Point, Points

SIDE = 192
"""Width and height of the picture that the network sees, in pixels."""
POINTS = 468
MARGIN = 1.5
"""Side of that picture in widths of the face box."""
MOST_LOOKS = 4
"""Predictions for a face at most: each but the first starts from the place and the tilt that the one before found."""
UPRIGHT = 0.1
"""Tilt, in radians, of a face that the network sees as well as an upright one."""
MESH_TO_68 = (
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),  # jaw
    *(71, 63, 105, 66, 107, 336, 296, 334, 293, 301),  # brows
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),  # nose
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),  # eyes
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87),  # mouth
)
"""Point of the mesh for each of the 68 iBUG points. MediaPipe numbers the points in its canonical face model; the
correspondence was read from that model and the iBUG figure, and has no other source."""
_SHAPELESS = "landmarks that coincide or are not finite make no face"
_RIGHT_EYE, _LEFT_EYE = slice(36, 42), slice(42, 48)


LEAST_SURE = 0.5
"""Presence, 0 to 1, from which points are trusted."""


class Network(Protocol):
    """Runs the face mesh on one picture."""

    def __call__(self, picture: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], float]:
        """Points and presence for float32 (192, 192, 3), RGB, 0 to 1.

        Returns:
            float32 (468, 2), x and y in pixels of the picture, and the logit that it shows a face.
        """
        ...


def mesh_landmarks(picture: Image | Grey, box: FaceBox, network: Network) -> tuple[Landmarks, float]:
    """The 68 landmarks of the face in a box.

    Args:
        picture: uint8 (H, W, 3), RGB, or (H, W).
        box: the face, in pixels of `picture`.
        network: the face mesh.

    Returns:
        float32 (68, 2) in iBUG order, x and y in pixels of `picture`, which may lie outside; and how sure the network
        is that it saw a face, 0 to 1.
    """
    centre: Point = box.centre
    side, angle = MARGIN * max(box.width, box.height), 0.0
    for _ in range(MOST_LOOKS):
        matrix, before = mesh_crop(centre, side, angle), angle
        points, logit = network(_look(picture, matrix))
        found = apply_affine(invert(matrix), points[list(MESH_TO_68)].astype(np.float64))
        centre, side, angle = next_crop(found)
        if abs(math.remainder(angle - before, math.tau)) < UPRIGHT:
            break
    return found.astype(np.float32), 1 / (1 + math.exp(-max(-50.0, min(50.0, logit))))


@dataclass(frozen=True, eq=False)
class FaceMesh:
    """The face mesh in place of dlib's predictor.

    Attributes:
        network: runs it.
    """

    network: Network


def mesh_crop(centre: Point, side: float, angle: float) -> Matrix:
    """Map (2, 3) from a picture to what the network sees: the square with this centre, side and tilt in radians."""
    return similarity(SIDE / side, -angle, centre, ((SIDE - 1) / 2, (SIDE - 1) / 2))


def next_crop(landmarks: Points) -> tuple[Point, float, float]:
    """Centre, side and tilt of the square around 68 landmarks, upright by the line of the eyes.

    Raises:
        PhotoError: `degenerate_points`, when the landmarks coincide or are not finite.
    """
    if not np.isfinite(landmarks).all():
        raise PhotoError("degenerate_points", _SHAPELESS)
    along_x, along_y = landmarks[_LEFT_EYE].mean(axis=0) - landmarks[_RIGHT_EYE].mean(axis=0)
    angle = math.atan2(along_y, along_x)
    upright = apply_affine(rotate(-angle), landmarks)
    low, high = upright.min(axis=0), upright.max(axis=0)
    side = MARGIN * float((high - low).max())
    if not side > 0:
        raise PhotoError("degenerate_points", _SHAPELESS)
    x, y = apply_affine(rotate(angle), ((low + high) / 2)[None])[0].tolist()
    return (x, y), side, angle


def _look(picture: Image | Grey, matrix: Matrix) -> npt.NDArray[np.float32]:
    """What the network sees, float32 (192, 192, 3), RGB, 0 to 1. Large faces are reduced without aliasing first."""
    import cv2

    scale = scale_of(matrix)
    if scale < 0.5:
        height, width = picture.shape[:2]
        size = max(1, round(2 * width * scale)), max(1, round(2 * height * scale))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
        x, y = width / size[0], height / size[1]
        matrix = compose(matrix, np.array([[x, 0, x / 2 - 0.5], [0, y, y / 2 - 0.5]]))
    seen = cv2.warpAffine(picture, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    colour = seen if seen.ndim == 3 else np.repeat(seen[:, :, None], 3, axis=2)
    return (colour / np.float32(255)).astype(np.float32)


def load_network(data: bytes) -> Network:
    """Load the face mesh from a `.tflite` file, for one thread.

    Raises:
        ImportError: `ai-edge-litert`, of the extra `mesh`, is not installed.
        ValueError: the file is not a face mesh of 192 × 192 pixels and 468 points.
    """
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_content=data, num_threads=1)
        interpreter.allocate_tensors()
    except RuntimeError as error:
        raise ValueError(" ".join(str(error).split())[:200]) from None
    [given, *others] = interpreter.get_input_details()
    outputs = {int(np.prod(each["shape"])): each["index"] for each in interpreter.get_output_details()}
    if others or tuple(given["shape"]) != (1, SIDE, SIDE, 3) or not {3 * POINTS, 1} <= set(outputs):
        raise ValueError(f"it takes {list(given['shape'])} and gives {sorted(outputs)} values")
    return _Mesh(interpreter, given["index"], outputs[3 * POINTS], outputs[1])


class _Mesh:
    def __init__(self, interpreter: Any, given: int, points: int, presence: int) -> None:
        self._interpreter, self._given, self._points, self._presence = interpreter, given, points, presence

    def __call__(self, picture: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], float]:
        self._interpreter.set_tensor(self._given, picture[None])
        self._interpreter.invoke()
        points = self._interpreter.get_tensor(self._points).reshape(POINTS, 3)[:, :2]
        return points, float(self._interpreter.get_tensor(self._presence).ravel()[0])
