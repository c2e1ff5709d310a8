"""Features of faces from dlib's face recognition network, which is installed with the landmark model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from faceloom.schemas.errors import RecipeError

CHIP = 150
"""Side of the network's input, in pixels."""
_PACKAGE, _FILE = "face_recognition_models", Path("models", "dlib_face_recognition_resnet_model_v1.dat")


@dataclass(frozen=True, eq=False)
class DlibExtractor:
    """dlib's network of 128 features; two faces are the same person if these lie less than 0.6 apart."""

    network: Any

    def extract(
        self, faces: Sequence[npt.NDArray[np.uint8]], landmarks: Sequence[npt.NDArray[np.float32] | None] | None = None
    ) -> list[npt.NDArray[np.float32]]:
        """Compute the features of faces, one by one.

        Args:
            faces: uint8 (H, W, 3), RGB.
            landmarks: of each face, float32 (68, 2), pixels, by which it is turned upright; without them, or with NaN,
                the whole picture is taken as it is.

        Returns:
            float32 (128,) for each face.
        """
        found = landmarks if landmarks is not None else [None] * len(faces)
        return [self._describe(face, points) for face, points in zip(faces, found, strict=True)]

    def _describe(self, face: npt.NDArray[np.uint8], points: npt.NDArray[np.float32] | None) -> npt.NDArray[np.float32]:
        import cv2
        import dlib

        if points is None or not np.isfinite(points).all():
            chip = cv2.resize(face, (CHIP, CHIP), interpolation=cv2.INTER_AREA)
            return np.array(self.network.compute_face_descriptor(chip), np.float32)
        height, width = face.shape[:2]
        parts = [dlib.point(round(float(x)), round(float(y))) for x, y in points]
        shape = dlib.full_object_detection(dlib.rectangle(0, 0, width - 1, height - 1), parts)
        return np.array(self.network.compute_face_descriptor(np.ascontiguousarray(face), shape), np.float32)


def dlib_file() -> Path:
    """The file of the network.

    Raises:
        RecipeError: it is not installed.
    """
    spec = find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (file := Path(folder) / _FILE).is_file():
            return file
    remedy = f"Run: pip install {_PACKAGE}==0.3.0"
    raise RecipeError("dlib's face network is not installed", where="$.output.features.model", value=_FILE.name,
                      remedy=remedy)  # fmt: skip


@lru_cache(maxsize=1)
def load_dlib() -> DlibExtractor:
    """Load the network, once per process.

    Raises:
        RecipeError: it is not installed.
    """
    import dlib

    return DlibExtractor(dlib.face_recognition_model_v1(str(dlib_file())))
