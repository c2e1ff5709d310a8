"""Quality figures of one face, by which recipes select: head pose, sharpness and light."""

from __future__ import annotations

from dataclasses import dataclass

from faceloom.transforms.align import ARCFACE_POINTS, five_points, warp_image
from faceloom.transforms.geometry import umeyama
from faceloom.transforms.head_pose import head_pose
from faceloom.transforms.types import Grey, Points

CROP_SIDE = 112
"""Side of the aligned crop on which light and sharpness are measured, so that photos of any size compare."""


@dataclass(frozen=True)
class FaceQuality:
    """Measured on the face, aligned to a 112x112 ArcFace crop.

    Attributes:
        yaw: rotation of the head in degrees, positive when the face looks towards the right edge of the picture.
        pitch: nod in degrees, positive when the face looks up.
        sharpness: variance of the Laplacian in grey levels squared; below about 50 a face looks blurred.
        brightness: mean grey level, 0..255.
        contrast: standard deviation of the grey level.
    """

    yaw: float
    pitch: float
    sharpness: float
    brightness: float
    contrast: float


def measure_face(grey: Grey, landmarks: Points) -> FaceQuality:
    """Measure one face.

    Args:
        grey: uint8 (H, W), the photo or a reduced one.
        landmarks: (68, 2) in pixels of `grey`.

    Raises:
        PhotoError: `degenerate_points` or `crop_outside`, when the landmarks cannot be those of a face in this photo.
    """
    import cv2

    five = five_points(landmarks)
    crop = warp_image(grey, umeyama(five, ARCFACE_POINTS * (CROP_SIDE / 112)), (CROP_SIDE, CROP_SIDE))
    mean, deviation = (float(values[0, 0]) for values in cv2.meanStdDev(crop))
    edges = float(cv2.meanStdDev(cv2.Laplacian(crop, cv2.CV_16S, ksize=1))[1][0, 0])
    yaw, pitch, _ = head_pose(landmarks)
    return FaceQuality(yaw, pitch, edges**2, mean, deviation)
