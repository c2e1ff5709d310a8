"""Head pose from the 68 landmarks.

`head_pose` is the estimate that the face table stores. `jaw_yaw` only decides what a painted mask hides; samples store
it, so replacing it by the other would change them.
"""

from __future__ import annotations

import math

import numpy as np

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.types import Points

# A head seen from the front: landmark -> x, y (down), z (away from the camera), in millimetres from
# between the eyes. Rounded figures of an average adult; only their proportions matter.
_HEAD = {
    36: (-45, 0, 12), 39: (-17, 1, 0), 42: (17, 1, 0), 45: (45, 0, 12),
    27: (0, -6, -10), 30: (0, 33, -30), 33: (0, 44, -17),
    48: (-26, 68, -6), 54: (26, 68, -6), 8: (0, 112, -6),
}  # fmt: skip
_HEAD_POINTS = np.array(list(_HEAD))
_HEAD_SHAPE = np.array(list(_HEAD.values()), np.float64)
_HEAD_INVERSE = np.linalg.pinv(_HEAD_SHAPE - _HEAD_SHAPE.mean(axis=0))

_JAW_ENDS = (slice(0, 3), slice(14, 17))


def head_pose(landmarks: Points) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees, with an average error of about five degrees.

    Fits an affine camera that projects an average head onto the landmarks (least squares), then makes it orthonormal:
    scaled orthographic pose in closed form. The head is rotated by pitch, then yaw, then roll, so roll is the angle of
    the line through the eyes.

    Args:
        landmarks: (68, 2).

    Returns:
        Yaw, positive when the face looks towards the right edge of the picture; pitch, positive when it looks up; roll,
        positive when it is clockwise on screen.

    Raises:
        PhotoError: `degenerate_points`, when the landmarks lie on one line.
    """
    (a, b, c), (d, e, f) = (_HEAD_INVERSE @ landmarks[_HEAD_POINTS]).T.tolist()
    # The nearest orthonormal pair of rows is (M M^T)^-1/2 M, which has a closed form for two rows.
    aa, ad, dd = a * a + b * b + c * c, a * d + b * e + c * f, d * d + e * e + f * f
    root = math.sqrt(max(aa * dd - ad * ad, 0))
    norm = root * math.sqrt(aa + dd + 2 * root)
    if not norm > 0:
        raise PhotoError("degenerate_points", "the landmarks lie on one line, so no head pose can be computed")
    p, q, r = (dd + root) / norm, -ad / norm, (aa + root) / norm
    right = p * a + q * d, p * b + q * e, p * c + q * f
    down = q * a + r * d, q * b + r * e, q * c + r * f
    depth = [right[i - 2] * down[i - 1] - right[i - 1] * down[i - 2] for i in range(3)]
    yaw, pitch = math.asin(max(-1.0, min(1.0, depth[0]))), -math.atan2(depth[1], depth[2])
    return math.degrees(yaw), math.degrees(pitch), math.degrees(math.atan2(down[0], right[0]))


def jaw_yaw(landmarks: Points) -> float:
    """Yaw in radians from jaw and nose tip, positive towards the right edge of the picture; 0 for a frontal face.

    The nose tip lies about half a face width in front of the line between the sides of the jaw. Its offset along that
    line gives the tangent of the angle. The error is about 10 degrees, small enough to decide what a head hides.

    Args:
        landmarks: (68, 2).
    """
    (left_x, left_y), (right_x, right_y) = (landmarks[rows].sum(axis=0).tolist() for rows in _JAW_ENDS)
    left_x, left_y, right_x, right_y = left_x / 3, left_y / 3, right_x / 3, right_y / 3
    x, y = landmarks[30].tolist()
    across, down = right_x - left_x, right_y - left_y
    square = across * across + down * down
    if square < 4e-12:
        return 0.0
    offset = ((x - (left_x + right_x) / 2) * across + (y - (left_y + right_y) / 2) * down) * 2 / square
    return math.atan(1.1 * offset)
