"""The photos that a network or transform is applied to, and the faces in them."""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from faceloom.pipelines.analyse.detectors import load_detectors
from faceloom.pipelines.analyse.landmark_models import load_landmarks
from faceloom.pipelines.analyse.model_files import load_detector
from faceloom.pipelines.sources.walk import Found, walk
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, PhotoError, StorageError
from faceloom.schemas.face_options import Faces
from faceloom.schemas.regular_files import UnfitFileError, read_regular_file
from faceloom.transforms.analyse import PhotoAnalysis, analyse_photo

MOST_BYTES = 2**28
"""Bytes of a photo; a longer file is left out."""
_OF_THE_PHOTO = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO}
)
"""Errors of the file itself. All others are faults of the machine, such as a damaged disk or too many open files."""


@dataclass(frozen=True)
class PhotoResults:
    """What became of the photos that a network was applied to.

    Attributes:
        written: paths of the results below the target folder.
        faces: number of faces that were found, or changed.
        left_out: reason of each photo without a result.
        removed: paths of results that an earlier run wrote of such photos; they are deleted.
    """

    written: tuple[str, ...]
    faces: int
    left_out: dict[str, str]
    removed: tuple[str, ...]


def read_photo(path: Path) -> bytes:
    """The bytes of a photo.

    Raises:
        PhotoError: `unreadable`, the file is gone, too long, no regular file, or must not be read.
        StorageError: the machine cannot read it.
    """
    try:
        return read_regular_file(path, MOST_BYTES)
    except (OSError, UnfitFileError) as error:
        if isinstance(error, OSError) and error.errno not in _OF_THE_PHOTO:
            remedy = "Results are kept. Run the same command again when the file can be read"
            value = error.strerror or error
            raise StorageError("the photo cannot be read", where=str(path), value=value, remedy=remedy) from error
        raise PhotoError("unreadable", "the file cannot be read", value=error) from None


def face_finder(faces: Faces) -> Callable[[bytes], PhotoAnalysis]:
    """What finds the faces of a photo, given its bytes; it raises a `PhotoError` if there are none.

    Args:
        faces: which faces, and what looks for them.

    Raises:
        ModelFileError: the landmark model or a detector is missing.
    """
    detectors, predictor, hog = load_detectors(faces), load_landmarks(faces), load_detector()

    def find(data: bytes) -> PhotoAnalysis:
        return analyse_photo(
            data,
            predictor=predictor,
            detector=hog,
            network=detectors.network,
            hog_first=detectors.hog_first,
            select=faces.select,
        )

    return find


def photos_below(photos: Path, to: str) -> list[tuple[str, Path]]:
    """Names and paths of the photos, after a check of the folder of the results.

    Args:
        photos: a folder, or one photo.
        to: folder of the results.

    Raises:
        FaceloomError: there are no photos, or the target is among them.
        StorageError: the target is a file.
    """
    Storage(to).check_folder()
    if photos.is_dir() and Path(to).resolve().is_relative_to(photos.resolve()):
        remedy = "Choose a folder outside"
        raise FaceloomError("the results would lie among the photos", where=to, value=str(photos), remedy=remedy)
    names = list(_pictures(photos))
    if not names:
        raise FaceloomError("there are no photos", where=str(photos), remedy="Give a folder of photos, or a photo")
    return names


def refuse_other_results(target: Storage, photos: Collection[str], also: Collection[str] = ()) -> None:
    """Refuse a folder that holds more than results of these photos, so that no folder mixes those of two runs.

    Args:
        target: folder of the results; it need not exist.
        photos: names of the photos; the result of one is its name and `.png`.
        also: other files that belong to the results.

    Raises:
        FaceloomError: it holds other files; nothing was written.
        StorageError: it cannot be listed.
    """
    own = {*(f"{name}.png" for name in photos), *also}
    tops = {path.partition("/")[0] for path in own}
    # A folder of another kind, which may be large, is not searched.
    others = [name for name in target.names() if name not in tops and ".partial-" not in name]
    if others := others or [path for path in target.list() if path not in own]:
        remedy = "Choose a new or an empty folder, or delete that one"
        what = "the target holds files that are no results of these photos"
        raise FaceloomError(what, where=target.root, value=", ".join(others[:3]), remedy=remedy)


def remove_older_results(target: Storage, left_out: Collection[str]) -> tuple[str, ...]:
    """Delete the results that an earlier run wrote of photos that have none now.

    Args:
        target: folder of the results, which `refuse_other_results` accepted.
        left_out: names of the photos without a result.

    Returns:
        Paths of the deleted files.

    Raises:
        StorageError: one cannot be deleted, or a link lies in its place.
    """
    older = tuple(path for path in (f"{name}.png" for name in left_out) if target.exists(path))
    for path in older:
        target.remove(path)
    return older


def _pictures(photos: Path) -> Iterator[tuple[str, Path]]:
    if not photos.is_dir():
        yield photos.name, photos
        return
    for file in walk(photos, "photos"):
        if isinstance(file, Found):
            yield file.uri, photos / file.uri
