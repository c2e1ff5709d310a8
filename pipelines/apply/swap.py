"""Put the user's bare face on every photo of a folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from faceloom.pipelines.analyse.detectors import load_detectors
from faceloom.pipelines.analyse.landmark_models import load_landmarks
from faceloom.pipelines.analyse.model_files import load_detector
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.sources.walk import Found, walk
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, PhotoError
from faceloom.schemas.face_options import Faces
from faceloom.schemas.regular_files import UnfitFileError, read_regular_file
from faceloom.transforms.analyse import analyse_photo
from faceloom.transforms.decode import decode_rgb
from faceloom.transforms.morph.swap import swap_face
from faceloom.transforms.sample.encode import encode
from faceloom.transforms.types import Image, Landmarks

MOST_BYTES = 2**28
"""Bytes of a photo; a longer file is left out."""


@dataclass(frozen=True)
class Swapped:
    """What became of the photos: paths of the results below the target folder, and the reason of each other photo."""

    written: tuple[str, ...]
    left_out: dict[str, str]


def find_face(path: Path) -> tuple[Image, Landmarks]:
    """The pixels of a photo, uint8 (H, W, 3), RGB, and the 68 landmarks of its largest face.

    Raises:
        PhotoError: it cannot be read, or shows no face with trusted landmarks.
        ModelFileError: the landmark model or a detector is missing.
    """
    faces = Faces()
    detectors = load_detectors(faces)
    try:
        data = read_regular_file(path, MOST_BYTES)
    except (OSError, UnfitFileError) as error:
        raise PhotoError("unreadable", "the file cannot be read", value=error) from None
    found = analyse_photo(
        data,
        predictor=load_landmarks(faces),
        detector=load_detector(),
        network=detectors.network,
        hog_first=detectors.hog_first,
    ).faces[0]
    return decode_rgb(data), found.landmarks


def swap_folder(face: Path, photos: Path, to: str, watcher: Watcher) -> Swapped:
    """Put a face on each photo below a folder; results are PNG files under the same names.

    Args:
        face: photo of the same person without a mask.
        photos: folder of photos with a mask, or one photo.
        to: folder of the results; it is created, and existing results are replaced.
        watcher: gets the progress.

    Raises:
        FaceloomError: the face cannot be used, there are no photos, or the target is the folder of the photos.
    """
    target = Storage(to)
    target.check_folder()
    if photos.is_dir() and Path(to).resolve().is_relative_to(photos.resolve()):
        remedy = "Choose a folder outside"
        raise FaceloomError("the results would lie among the photos", where=to, value=str(photos), remedy=remedy)
    try:
        own, own_landmarks = find_face(face)
    except PhotoError as error:
        remedy = "Give a frontal photo without a mask"
        raise FaceloomError("the face cannot be used", where=str(face), value=error, remedy=remedy) from None
    names = list(_pictures(photos))
    if not names:
        raise FaceloomError("there are no photos", where=str(photos), remedy="Give a folder of photos, or a photo")
    written, left_out = [], {}
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
    return Swapped(tuple(written), left_out)


def _pictures(photos: Path) -> Iterator[tuple[str, Path]]:
    if not photos.is_dir():
        yield photos.name, photos
        return
    for file in walk(photos, "photos"):
        if isinstance(file, Found):
            yield file.uri, photos / file.uri
