"""Face parsing by an ONNX model of the user's, run by OpenCV: which part of the face each pixel shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from faceloom.schemas.parser import Parser
from faceloom.transforms.align import five_points, warp_image
from faceloom.transforms.detect import FaceBox
from faceloom.transforms.geometry import similarity
from faceloom.transforms.guide.label_map import LabelMap, bits_by_value, known_parts
from faceloom.transforms.types import Image, Matrix, Points

_BOX = 1.9
"""Side of the network's crop of a face without landmarks, in sides of its box."""


def parser_crop(landmarks: Points | None, box: FaceBox, size: int) -> Matrix:
    """Map (2, 3) from a picture to what a face parser sees: the crop of CelebA-HQ and FFHQ, on which they are trained.

    Karras et al., "Progressive Growing of GANs", ICLR 2018, appendix C: a square, upright by eyes and mouth, whose side
    is 4 eye distances or 3.6 distances from eyes to mouth. A face without landmarks gets a square around its box.

    Args:
        landmarks: (68, 2) in pixels of the picture; None without trusted ones.
        box: face box.
        size: side of the crop in pixels.
    """
    middle = (size - 1) / 2, (size - 1) / 2
    if landmarks is None:
        return similarity(size / (_BOX * max(box.width, box.height, 1.0)), np.radians(-box.turn), box.centre, middle)
    right, left, _, *mouth = five_points(landmarks.astype(np.float64))
    eyes, down = (right + left) / 2, (mouth[0] + mouth[1]) / 2 - (right + left) / 2
    across = left - right - np.array([-down[1], down[0]])
    across /= max(float(np.hypot(*across)), 1e-9)
    side = 2 * max(float(np.hypot(*(left - right))) * 2.0, float(np.hypot(*down)) * 1.8, 1.0)
    centre = (eyes + down * 0.1).tolist()
    return similarity(size / side, -float(np.arctan2(across[1], across[0])), centre, middle)


@dataclass(frozen=True, eq=False)
class FaceParser:
    """A loaded face parser.

    Attributes:
        network: `cv2.dnn.Net`.
        settings: of the recipe.
        output: name of the output with the scores.
    """

    network: Any
    settings: Parser
    output: str

    def parse(self, picture: Image, landmarks: Points | None, box: FaceBox) -> tuple[LabelMap, Matrix]:
        """Label the parts of one face.

        Args:
            picture: uint8 (H, W, 3), RGB.
            landmarks, box: of the face, in pixels of `picture`.

        Returns:
            The labels of the network's crop, and the matrix 2x3 from `picture` to them.
        """
        size = self.settings.size
        matrix = parser_crop(landmarks, box, size)
        seen = warp_image(picture, matrix, (size, size), border="replicate")
        scores = self._scores(seen)
        across = scores.shape[2] / size
        names = self.settings.label_names
        bits = bits_by_value(names)[scores.argmax(axis=0)]
        shrink = np.array([[across, 0, (across - 1) / 2], [0, across, (across - 1) / 2], [0, 0, 1]])
        to_labels: Matrix = shrink[:2] @ np.vstack([matrix, (0, 0, 1)])
        return LabelMap(bits, known_parts(names), self.settings.order_name, "parser"), to_labels

    def _scores(self, seen: Image) -> npt.NDArray[np.float32]:
        mean, std = (np.array(triple, np.float32) for triple in (self.settings.mean, self.settings.std))
        given = (seen.astype(np.float32) / 255 - mean) / std
        self.network.setInput(np.ascontiguousarray(given.transpose(2, 0, 1)[None]))
        scores: npt.NDArray[np.float32] = self.network.forward(self.output)
        if scores.ndim != 4 or scores.shape[0] != 1 or scores.shape[2] != scores.shape[3]:
            raise ValueError(f"its output has the shape {scores.shape}, not (1, classes, h, h)")
        return scores[0]


def load_parser(model: bytes, settings: Parser) -> FaceParser:
    """Load a face parser and try it on a grey picture.

    Args:
        model: content of an ONNX file.
        settings: of the recipe.

    Raises:
        ValueError: OpenCV cannot run it, or its classes are not those of the label order.
    """
    import cv2

    try:
        network = cv2.dnn.readNetFromONNX(np.frombuffer(model, np.uint8))
        parser = FaceParser(network, settings, _output(network.getUnconnectedOutLayersNames(), settings))
        scores = parser._scores(np.full((settings.size, settings.size, 3), 128, np.uint8))
    except cv2.error as error:
        raise ValueError(" ".join(str(error).split())[:200]) from None
    classes, named = len(scores), len(settings.label_names)
    if classes != named + 1:
        raise ValueError(f"it gives {classes} classes, and background and the label order are {named + 1}")
    return parser


def _output(outputs: Sequence[str], settings: Parser) -> str:
    listed = ", ".join(outputs)
    if settings.output is None and len(outputs) != 1:
        raise ValueError(f"it has several outputs ({listed}); name one as `output`")
    if settings.output is not None and settings.output not in outputs:
        raise ValueError(f"it has no output '{settings.output}', only {listed}")
    return settings.output or outputs[0]
