"""Put the user's bare face on every photo of a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from faceloom.pipelines.apply.photos import (
    face_finder,
    photos_below,
    read_photo,
    refuse_other_results,
    remove_older_results,
)
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, PhotoError
from faceloom.schemas.face_options import Faces
from faceloom.transforms.decode import decode_rgb
from faceloom.transforms.morph.swap import swap_face
from faceloom.transforms.sample.encode import encode
from faceloom.transforms.types import Image, Landmarks


@dataclass(frozen=True)
class Swapped:
    """What became of the photos.

    Attributes:
        written: paths of the results below the target folder.
        left_out: reason of each photo without a result.
        removed: paths of results that an earlier run wrote of such photos; they are deleted.
    """

    written: tuple[str, ...]
    left_out: dict[str, str]
    removed: tuple[str, ...]


def find_face(path: Path) -> tuple[Image, Landmarks]:
    """The pixels of a photo, uint8 (H, W, 3), RGB, and the 68 landmarks of its largest face.

    Raises:
        PhotoError: it cannot be read, or shows no face with trusted landmarks.
        ModelFileError: the landmark model or a detector is missing.
    """
    find = face_finder(Faces())
    data = read_photo(path)
    found = find(data).faces[0]
    if found.unsure:
        raise PhotoError("landmarks_unsure", "the landmarks are probably wrong")
    return decode_rgb(data), found.landmarks


def find_own_face(face: Path) -> tuple[Image, Landmarks]:
    """The user's own face, as `find_face` gives it.

    Raises:
        FaceloomError: it cannot be used.
        ModelFileError: the landmark model or a detector is missing.
    """
    try:
        return find_face(face)
    except PhotoError as error:
        remedy = "Give a frontal photo without a mask"
        raise FaceloomError("the face cannot be used", where=str(face), value=error, remedy=remedy) from None


def swap_folder(face: Path, photos: Path, to: str, watcher: Watcher) -> Swapped:
    """Put a face on each photo below a folder; results are PNG files under the same names.

    Args:
        face: photo of the same person without a mask.
        photos: folder of photos with a mask, or one photo.
        to: folder of the results; it is created, and existing results of these photos are replaced or deleted.
        watcher: gets the progress.

    Raises:
        FaceloomError: the face cannot be used, there are no photos, or the target is the folder of the photos or holds
            other files.
        StorageError: the machine cannot read a photo, or not write a result; no result is deleted.
    """
    names, target = photos_below(photos, to), Storage(to)
    refuse_other_results(target, [name for name, _ in names])
    own, own_landmarks = find_own_face(face)
    written: list[str] = []
    left_out: dict[str, str] = {}
    watcher.stage("swap", len(names), "photos")
    for number, (name, path) in enumerate(names, 1):
        try:
            photo, landmarks = find_face(path)
            made = swap_face(photo, landmarks, own, own_landmarks)
        except PhotoError as error:
            left_out[name] = str(error)
        else:
            with target.write(f"{name}.png") as stream:
                stream.write(encode(made, "png"))
            written.append(f"{name}.png")
        watcher.done(number)
    return Swapped(tuple(written), left_out, remove_older_results(target, left_out))
