"""Landmarks of an average head in a known pose: shared by the tests of pose and quality."""

from __future__ import annotations

import math

import numpy as np

from faceloom.transforms import head_pose
from faceloom.transforms.types import Landmarks


def head(yaw: float = 0, pitch: float = 0, roll: float = 0, size: float = 2.0) -> Landmarks:
    """68 landmarks of the average head that nods, turns and tilts; those that the model lacks lie on the eyes."""
    a, b, c = (math.radians(angle) for angle in (yaw, pitch, roll))
    about_y = np.array([[math.cos(a), 0, -math.sin(a)], [0, 1, 0], [math.sin(a), 0, math.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(b), math.sin(b)], [0, -math.sin(b), math.cos(b)]])
    about_z = np.array([[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]])
    seen = head_pose._HEAD_SHAPE @ (about_z @ about_y @ about_x).T
    points = np.zeros((68, 2), np.float32)
    points[36:42], points[42:48] = seen[:2, :2].mean(axis=0), seen[2:4, :2].mean(axis=0)
    points[head_pose._HEAD_POINTS] = seen[:, :2]
    return (points * size + (300, 250)).astype(np.float32)
