"""Figures about one face that later choices rest on: sharpness, light, size and the turn of the head."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.align import ARCFACE_POINTS, five_points, warp_image
from faceloom.transforms.detect import Grey
from faceloom.transforms.geometry import Points, umeyama

CROP_SIDE = 112
"""Side of the aligned crop on which light and sharpness are measured, so that photos of any size compare."""

# A head seen from the front: landmark -> x, y (down), z (away from the camera), in millimetres from between the eyes.
# Round figures of an average adult; only their proportions count.
_HEAD = {
    36: (-45, 0, 12), 39: (-17, 1, 0), 42: (17, 1, 0), 45: (45, 0, 12),
    27: (0, -6, -10), 30: (0, 33, -30), 33: (0, 44, -17),
    48: (-26, 68, -6), 54: (26, 68, -6), 8: (0, 112, -6),
}  # fmt: skip
_HEAD_POINTS = np.array(list(_HEAD))
_HEAD_SHAPE = np.array(list(_HEAD.values()), np.float64)
_HEAD_INVERSE = np.linalg.pinv(_HEAD_SHAPE - _HEAD_SHAPE.mean(axis=0))


@dataclass(frozen=True)
class FaceQuality:
    """Measured on the face, aligned to a 112x112 ArcFace crop.

    Attributes:
        sharpness: variance of the Laplacian in grey levels squared; below about 50 a face looks blurred.
        brightness: mean grey level, 0..255.
        contrast: standard deviation of the grey level.
        eye_distance: between the eye centres, in pixels of the photo.
        yaw: turn of the head in degrees, positive when the face looks towards the right edge of the picture.
        pitch: nod in degrees, positive when the face looks up.
        roll: tilt in degrees, positive when it is clockwise to the eye.
    """

    sharpness: float
    brightness: float
    contrast: float
    eye_distance: float
    yaw: float
    pitch: float
    roll: float


def measure_face(grey: Grey, landmarks: Points, *, reduction: int = 1) -> FaceQuality:
    """Measure one face.

    Args:
        grey: uint8 (H, W), the photo or a reduced one.
        landmarks: (68, 2) in pixels of `grey`.
        reduction: by which `grey` is smaller than the photo.

    Raises:
        PhotoError: `degenerate_points` or `crop_outside`, when the landmarks cannot be those of a face in this photo.
    """
    import cv2

    five = five_points(landmarks)
    crop = warp_image(grey, umeyama(five, ARCFACE_POINTS * (CROP_SIDE / 112)), (CROP_SIDE, CROP_SIDE))
    mean, deviation = (float(values[0, 0]) for values in cv2.meanStdDev(crop))
    edges = float(cv2.meanStdDev(cv2.Laplacian(crop, cv2.CV_16S, ksize=1))[1][0, 0])
    yaw, pitch, roll = head_pose(landmarks)
    return FaceQuality(edges**2, mean, deviation, reduction * math.dist(*five[:2].tolist()), yaw, pitch, roll)


def head_pose(landmarks: Points) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees (signs as in `FaceQuality`), good to some five degrees on average.

    The affine camera that best takes an average head to the landmarks, made orthonormal: the scaled orthographic pose,
    in closed form. The head nods, then turns, then tilts, so that roll is the angle of the line through the eyes.
    """
    (a, b, c), (d, e, f) = (_HEAD_INVERSE @ landmarks[_HEAD_POINTS]).T.tolist()
    # The nearest orthonormal pair of rows is (M M^T)^-1/2 M, which has a closed form for two rows.
    aa, ad, dd = a * a + b * b + c * c, a * d + b * e + c * f, d * d + e * e + f * f
    root = math.sqrt(max(aa * dd - ad * ad, 0))
    norm = root * math.sqrt(aa + dd + 2 * root)
    if not norm > 0:
        raise PhotoError("degenerate_points", "landmarks on one line make no face")
    p, q, r = (dd + root) / norm, -ad / norm, (aa + root) / norm
    right = p * a + q * d, p * b + q * e, p * c + q * f
    down = q * a + r * d, q * b + r * e, q * c + r * f
    depth = [right[i - 2] * down[i - 1] - right[i - 1] * down[i - 2] for i in range(3)]
    yaw, pitch = math.asin(max(-1.0, min(1.0, depth[0]))), -math.atan2(depth[1], depth[2])
    return math.degrees(yaw), math.degrees(pitch), math.degrees(math.atan2(down[0], right[0]))
