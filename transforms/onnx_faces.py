"""Face detection by an ONNX model of the user's, run by OpenCV: a model for `cv2.FaceDetectorYN`, or CenterFace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from faceloom.transforms.detect import FaceBox, suppress_duplicates
from faceloom.transforms.face_search import Network
from faceloom.transforms.types import Image
from faceloom.transforms.yunet import dlib_box

LEAST_SCORE = 0.2
"""Faces with a lower score are not returned."""
CENTERFACE_OUTPUTS = 4
"""Heat map, size, offset and five points. Models for `cv2.FaceDetectorYN` have twelve outputs."""
_STRIDE, _BLOCK = 4, 32
_SAME = 0.3
"""Overlap from which `cv2.FaceDetectorYN` takes two boxes for one face."""

CENTERFACE_LIMITS, YUNET_LIMITS = (0.5, 0.7), (0.8, 0.85)
"""Scores from which faces count in an upright picture, and in a turned one."""


def load_network(model: bytes) -> Network:
    """Load a model.

    Args:
        model: content of an ONNX file.

    Raises:
        ValueError: it is none of the supported models.
    """
    import cv2

    data = np.frombuffer(model, np.uint8)
    try:
        network = cv2.dnn.readNetFromONNX(data)
        outputs = network.getUnconnectedOutLayersNames()
        if len(outputs) == CENTERFACE_OUTPUTS:
            found = Network(_CenterFace(network, outputs), *CENTERFACE_LIMITS)
        else:
            found = Network(_FaceYN(data), *YUNET_LIMITS)
        found.find(np.zeros((_BLOCK * 2, _BLOCK * 3, 3), np.uint8))
    except (cv2.error, IndexError) as error:
        why = " ".join(str(error).split())[:200]
        raise ValueError(f"neither a model for `cv2.FaceDetectorYN` nor CenterFace: {why}") from None
    return found


class _CenterFace:
    """CenterFace: a heat map of face centres at a quarter of the picture's size, with height, width and offset."""

    def __init__(self, network: Any, outputs: Sequence[str]) -> None:
        self._network, self._outputs = network, sorted(outputs)

    def __call__(self, picture: Image) -> tuple[FaceBox, ...]:
        import cv2

        height, width = picture.shape[:2]
        across, down = (-(-length // _BLOCK) * _BLOCK for length in (width, height))
        self._network.setInput(cv2.dnn.blobFromImage(picture, size=(across, down)))
        heat, size, offset = (one[0] for one in self._network.forward(self._outputs)[:3])
        return _centre_boxes(heat, size, offset, width / across, height / down)


def _centre_boxes(
    heat: npt.NDArray[np.float32], size: npt.NDArray[np.float32], offset: npt.NDArray[np.float32], x: float, y: float
) -> tuple[FaceBox, ...]:
    """Boxes from the outputs of CenterFace.

    Args:
        heat: (1, h, w). size: logarithms of height and width in cells, (2, h, w). offset: of the centre in its cell,
            down and across, (2, h, w).
        x, y: pixels of the picture per pixel of the network's input.
    """
    if (
        heat.shape[0] != 1
        or {len(size), len(offset)} != {2}
        or {one.shape[1:] for one in (heat, size, offset)} != {heat.shape[1:]}
    ):
        raise IndexError("the outputs are not a heat map, sizes and offsets")
    rows, columns = np.nonzero(heat[0] >= LEAST_SCORE)
    high, wide = np.exp(np.minimum(size[:, rows, columns], 10)) * _STRIDE
    down, across = offset[:, rows, columns]
    left = (columns + across + 0.5) * _STRIDE - wide / 2
    top = (rows + down + 0.5) * _STRIDE - high / 2
    scores = heat[0][rows, columns]
    boxes = np.stack([left * x, top * y, wide * x, high * y, 100 * scores], axis=1).astype(np.float64)
    return suppress_duplicates(_named(row) for row in boxes.tolist())


class _FaceYN:
    """A model for `cv2.FaceDetectorYN`, such as `face_detection_yunet_2023mar.onnx`."""

    def __init__(self, model: npt.NDArray[np.uint8]) -> None:
        import cv2

        nothing = np.zeros(0, np.uint8)
        self._detector = cv2.FaceDetectorYN.create("onnx", model, nothing, (_BLOCK, _BLOCK), LEAST_SCORE, _SAME)

    def __call__(self, picture: Image) -> tuple[FaceBox, ...]:
        self._detector.setInputSize(picture.shape[1::-1])
        _, found = self._detector.detect(np.ascontiguousarray(picture[:, :, ::-1]))
        if found is None:
            return ()
        return tuple(_named([*row[:4], 100 * row[-1]]) for row in found.astype(np.float64).tolist())


def _named(row: list[float]) -> FaceBox:
    return replace(dlib_box(*row), detector="onnx")
