"""Features of faces from a network, computed once so that training does not run the network."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from faceloom.models.torchscript import cause_of
from faceloom.pipelines.render.dlib_features import DlibExtractor, dlib_file, load_dlib
from faceloom.pipelines.store.fetched import fetched
from faceloom.schemas.errors import RecipeError
from faceloom.schemas.recipe import Features, Recipe
from faceloom.schemas.regular_files import UnfitFileError, check_regular
from faceloom.transforms.memory import is_memory_fault

BATCH = 16
"""Batch size of the network; it is constant, because sums depend on it in their last bits."""
MOST_BYTES = 16 * 2**30
"""Length of the file of a network."""
WHERE = "$.output.features.model"
_REMEDY = "Save the network with `torch.jit.script` or `torch.jit.trace`"


@dataclass(frozen=True, eq=False)
class Extractor:
    """A loaded TorchScript network; it runs on one CPU thread."""

    network: Any
    size: int | None

    def extract(
        self, faces: Sequence[npt.NDArray[np.uint8]], landmarks: Sequence[npt.NDArray[np.float32] | None] | None = None
    ) -> list[npt.NDArray[np.float32]]:
        """Compute the features of faces.

        Args:
            faces: uint8 (H, W, 3), RGB, all of one size. The network gets float32 (16, 3, H, W), 0..1.
            landmarks: not used.

        Returns:
            float32 (D,) for each face.

        Raises:
            RecipeError: the network fails, or does not return one vector per face.
        """
        import cv2
        import torch

        from faceloom.models.threads import one_thread

        rows: list[npt.NDArray[np.float32]] = []
        for start in range(0, len(faces), BATCH):
            some = list(faces[start : start + BATCH])
            if self.size is not None:
                some = [cv2.resize(face, (self.size, self.size), interpolation=cv2.INTER_AREA) for face in some]
            pictures = np.zeros((BATCH, *some[0].shape), np.uint8)
            pictures[: len(some)] = some
            try:
                with one_thread(), torch.inference_mode():
                    given = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
                    found = self.network(given).float().cpu().numpy()
            except (RuntimeError, AttributeError, TypeError) as error:
                if is_memory_fault(error):
                    raise MemoryError(str(error)) from None
                text = (str(error).strip().splitlines() or [type(error).__name__])[-1][:200]
                raise RecipeError("the network fails on the faces", where=WHERE, value=text, remedy=_REMEDY) from None
            if found.ndim != 2 or len(found) != BATCH:
                what = "the network must return (N, D) for N faces"
                raise RecipeError(what, where=WHERE, value=found.shape, remedy=_REMEDY)
            rows += [np.ascontiguousarray(row) for row in found[: len(some)]]
        return rows


FeatureExtractor = Extractor | DlibExtractor


def features_digest(features: Features) -> str:
    """sha256 of the network's file, recomputed when its size or modification time changes.

    The network is code, so its author is trusted as the author of the recipe that names it.

    Raises:
        RecipeError: it cannot be read.
        StorageError: its object store cannot be used.
    """
    try:
        path = dlib_file() if features.file is None else fetched(features.file, MOST_BYTES)
        status = path.stat()
        check_regular(status, MOST_BYTES)
        return _file_digest(str(path), status.st_size, status.st_mtime_ns)
    except (OSError, UnfitFileError) as error:
        why, remedy = getattr(error, "strerror", None) or error, "Correct the path"
        raise RecipeError(f"cannot be read ({why})", where=WHERE, value=features.model, remedy=remedy) from None


@lru_cache(maxsize=2)
def _file_digest(path: str, size: int, time: int) -> str:
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_features(recipe: Recipe) -> None:
    """Run a recipe's network on a black crop, so that an unusable network fails before any work.

    Raises:
        RecipeError: it is missing, not a TorchScript file, or fails on the crop.
    """
    features = recipe.output.features
    assert features is not None
    width, height = recipe.align.width_height
    load_extractor(features, features_digest(features)).extract([np.zeros((height, width, 3), np.uint8)])


@lru_cache(maxsize=1)
def load_extractor(features: Features, sha256: str) -> FeatureExtractor:
    """Load the network, once per process and digest.

    Raises:
        RecipeError: the file is not a TorchScript file, or PyTorch is not installed; dlib's network is not installed.
    """
    if features.file is None:
        return load_dlib()
    try:
        import torch
    except ImportError as error:
        remedy = "Run: pip install 'faceloom[torch]'"
        raise RecipeError("features need PyTorch", where="$.output.features", value=error, remedy=remedy) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of what makes such files; they are read all the same
            file = str(fetched(features.file, MOST_BYTES))
            network = torch.jit.load(file, map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, OSError) as error:
        value = cause_of(error)
        raise RecipeError("not a TorchScript file", where=WHERE, value=value, remedy=_REMEDY) from None
    return Extractor(network, features.size)
