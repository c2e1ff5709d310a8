"""Landmarks of a face, and whether they can be trusted.

dlib's predictor answers nonsense for heads turned far away. It then answers differently for a slightly different box,
so a face that is not certainly frontal is predicted again from boxes beside the first one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.aligned import template_distance
from faceloom.transforms.detect import ALIGNED_BOX, LANDMARK_WIDTH, FaceBox, predict_landmarks
from faceloom.transforms.face_mesh import LEAST_SURE, FaceMesh, mesh_landmarks
from faceloom.transforms.geometry import apply_affine, invert, similarity
from faceloom.transforms.head_pose import head_pose
from faceloom.transforms.types import Grey, Landmarks, Points

SURE_SCORE, SURE_YAW = 0.8, 12.0
"""A face with at least this score of HOG, whose landmarks look less far aside, is frontal: 2 of 156 such faces had
landmarks that were wrong by more than 0.1 of the face."""
FRONTAL_YAW = 30.0
"""A face that HOG sees by its frontal view is frontal if its landmarks look less far aside: 1 of 86 were wrong."""
NEAR_TEMPLATE = 0.03
"""So is a face in an ArcFace crop whose landmarks lie this near the template, in heights of the crop. A larger limit
saves predictions, and misses more wrong landmarks of covered faces; see `benchmarks/crop_trust.py`."""
JITTER = (-0.03, 0.03)
"""Shift of the other boxes, downwards and in widths of the first one. Of shifts and sizes that were tried, these
separate wrong landmarks from right ones best. On boxes of HOG the first alone is as good as both."""
MOST_SPREAD, MOST_SPREAD_HOG = 0.018, 0.012
"""Mean distance of the predictions from their mean, in widths of the box: of three, and of two on boxes of HOG; see
`benchmarks/landmark_trust.py`."""
AGREED = 0.01
"""Mean distance of the first two predictions, in widths of the box, below which a third would change nothing."""
EYE_DISTANCE = (0.25, 0.6)
"""Distance of the eye centres that is possible, in widths of the box."""
MOST_YAW = 60.0
"""Landmarks on both sides of a face that looks further aside are impossible."""
_TOP_TO_CHIN = (slice(17, 27), slice(36, 48), slice(30, 36), slice(48, 60), slice(8, 9))
"""Brows, eyes, nose, mouth, chin."""
_PATCH = 2.0
"""Side of the turned part around a face, in widths of its box."""


@dataclass(frozen=True, eq=False)
class FaceLandmarks:
    """Landmarks of one face.

    Attributes:
        points: float32 (68, 2), iBUG order, in pixels of the picture.
        unsure: whether they are probably wrong.
    """

    points: Landmarks
    unsure: bool


def find_landmarks(grey: Grey, box: FaceBox, predictor: Any) -> FaceLandmarks:
    """Predict the landmarks of a face, and judge them.

    Args:
        grey: uint8 (H, W).
        box: the face, in pixels of `grey`. A turned head is turned back for the predictor.
        predictor: dlib's 68-point shape predictor, or the face mesh, which judges itself.
    """
    if box.turn:
        return _of_turned(grey, box, predictor)
    if isinstance(predictor, FaceMesh):
        points, sure = mesh_landmarks(grey, box, predictor.network)
        return FaceLandmarks(points, unsure=sure < LEAST_SURE)
    points = predict_landmarks(grey, box, predictor)
    if is_frontal(box, points):
        return FaceLandmarks(points, unsure=False)
    if is_impossible(points, box):
        return FaceLandmarks(points, unsure=True)
    by_hog = box.detector == "hog"
    predictions = [points]
    for shift in JITTER[:1] if by_hog else JITTER:
        predictions.append(predict_landmarks(grey, box.moved(0, shift * box.width), predictor))
        if 2 * spread(predictions, box) < AGREED:  # of two, each is half their distance from the mean
            break
    return FaceLandmarks(points, spread(predictions, box) > (MOST_SPREAD_HOG if by_hog else MOST_SPREAD))


def predict(grey: Grey, box: FaceBox, predictor: Any) -> Landmarks:
    """Landmarks float32 (68, 2) of the face in a box, without a judgement. Arguments as `find_landmarks`."""
    if isinstance(predictor, FaceMesh):
        return mesh_landmarks(grey, box, predictor.network)[0]
    return predict_landmarks(grey, box, predictor)


def _of_turned(grey: Grey, box: FaceBox, predictor: Any) -> FaceLandmarks:
    import cv2

    side = round(_PATCH * LANDMARK_WIDTH)
    middle = (side - 1) / 2
    matrix = similarity(LANDMARK_WIDTH / box.width, math.radians(-box.turn), box.centre, (middle, middle))
    patch = cv2.warpAffine(grey, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    half = LANDMARK_WIDTH / 2
    upright = replace(box, left=middle - half, top=middle - half, right=middle + half, bottom=middle + half, turn=0)
    found = find_landmarks(np.asarray(patch, np.uint8), upright, predictor)
    return replace(found, points=apply_affine(invert(matrix), found.points).astype(np.float32))


def is_frontal(box: FaceBox, points: Points) -> bool:
    """Whether a face is so certainly frontal that its landmarks need no second prediction.

    Args:
        box: the face. One from the ArcFace template has no score; its landmarks and the template decide.
        points: its landmarks (68, 2).
    """
    if box.detector not in ("hog", "aligned", ""):
        return False
    try:
        yaw = abs(head_pose(points)[0])
    except PhotoError:
        return False
    if yaw < SURE_YAW and (box.detector != "hog" or box.score >= SURE_SCORE):
        return True
    return yaw < FRONTAL_YAW and (box.frontal or (box.detector == "aligned" and _near_template(points, box)))


def _near_template(points: Points, aligned: FaceBox) -> bool:
    """Whether landmarks lie where an ArcFace crop has them; the size of the crop follows from its face box."""
    left, top, right, bottom = ALIGNED_BOX
    width, height = round(aligned.width / (right - left)), round(aligned.height / (bottom - top))
    return template_distance(points, width, height) < NEAR_TEMPLATE


def spread(predictions: list[Landmarks], box: FaceBox) -> float:
    """Mean distance of predictions from their mean, in widths of the box."""
    points = np.stack(predictions).astype(np.float64)
    return float(np.linalg.norm(points - points.mean(axis=0), axis=2).mean() / box.width)


def is_impossible(points: Points, box: FaceBox) -> bool:
    """Whether landmarks make no face: features out of order from brows to chin, wrong in size, or turned too far.

    Args:
        points: (68, 2).
        box: the face, in the same pixels.
    """
    eyes = points[36:48].reshape(2, 6, 2).mean(axis=1)
    across = eyes[1] - eyes[0]
    distance = float(np.hypot(*across))
    if not EYE_DISTANCE[0] <= distance / box.width <= EYE_DISTANCE[1]:
        return True
    down = np.array([-across[1], across[0]]) / distance
    levels = [float((part - eyes.mean(axis=0)).mean(axis=0) @ down) for part in (points[rows] for rows in _TOP_TO_CHIN)]
    try:
        yaw = abs(head_pose(points)[0])
    except PhotoError:
        return True
    return levels != sorted(levels) or yaw > MOST_YAW
