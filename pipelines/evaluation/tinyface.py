"""TinyFace's identification protocol: probes in a gallery of matches and distractors, at native resolution.

Cheng, Zhu and Gong, "Low-resolution face recognition", ACCV 2018. A probe is found at rank k if a picture of the same
person is among the k most alike ones of the gallery, which holds `Gallery_Match` and `Gallery_Distractor`. All three
folders of `Testing_Set` hold `{person}_*.jpg`; the number of a distractor names no person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from faceloom.models.askd.preset import SIDE
from faceloom.pipelines.evaluation.recognition import Floats, Numbers
from faceloom.pipelines.sources.registry import open_source
from faceloom.pipelines.sources.source import Source
from faceloom.schemas.errors import FaceloomError, PhotoError
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.source_spec import SourceSpec
from faceloom.transforms.decode import decode_rgb
from faceloom.transforms.lowres.sampling import resize
from faceloom.transforms.types import Image

RANKS = (1, 5, 20)
"""The published ranks."""
_BATCH = 256
"""Pictures in memory at a time."""

Describe = Callable[[list[Image]], Floats]
"""Vectors of length 1 of pictures, (N, D)."""


@dataclass(frozen=True, eq=False)
class TinyFaceTest:
    """The testing set.

    Attributes:
        probes, gallery, distractors: photos of its three folders.
        left_out: why a file of them is no photo, by its path.
    """

    source: Source
    probes: tuple[Photo, ...]
    gallery: tuple[Photo, ...]
    distractors: tuple[Photo, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def pictures(self) -> int:
        """Number of all pictures."""
        return len(self.probes) + len(self.gallery) + len(self.distractors)


@dataclass(frozen=True, eq=False)
class Ranks:
    """The ranks of the probes.

    Attributes:
        probes: those that have a rank, P of them.
        ranks: of the first right picture of each probe, int (P,), by network.
        gallery, distractors: numbers of pictures among which they were sought.
        left_out: why a file was left out, by its path; of the scan too.
    """

    probes: tuple[Photo, ...]
    ranks: Mapping[str, Numbers]
    gallery: int
    distractors: int
    left_out: Mapping[str, str]


def open_tinyface(folder: Path) -> TinyFaceTest:
    """List the testing set below a folder that holds `Testing_Set`, or below the folder that holds that one.

    Raises:
        FaceloomError: there is none, or it lacks probes or matches, or a probe has no match.
    """
    source = open_source(SourceSpec(kind="tinyface", path=str(folder)))
    by_role: dict[str, list[Photo]] = {"probe": [], "gallery": [], "distractor": []}
    left_out: dict[str, str] = {}
    for row in source.scan():
        if isinstance(row, Reject):
            left_out |= {row.uri: row.message} if row.uri.startswith("Testing_Set/") else {}
        elif (role := str(dict(row.attributes)["role"])) in by_role:
            by_role[role].append(row)
    remedy = "Give the folder of TinyFace that holds Testing_Set/{Probe,Gallery_Match,Gallery_Distractor}"
    for role, name in (("probe", "Probe"), ("gallery", "Gallery_Match")):
        if not by_role[role]:
            raise FaceloomError(f"Testing_Set/{name} has no pictures", where=str(folder), remedy=remedy)
    known = {photo.identity for photo in by_role["gallery"]}
    if alone := [photo for photo in by_role["probe"] if photo.identity not in known]:
        raise FaceloomError("a probe has no match in the gallery", where=str(folder), value=alone[0].uri, remedy=remedy)
    probes, gallery, distractors = map(tuple, by_role.values())
    return TinyFaceTest(source, probes, gallery, distractors, left_out)


def rank_probes(
    test: TinyFaceTest, networks: Mapping[str, Describe], on_count: Callable[[int], object] = lambda done: None
) -> Ranks:
    """The rank of the first right picture for each probe, by network; ties count against it.

    Pictures that cannot be read are left out, and so are probes of people without a readable match. Distractors are
    read in batches, and only counts are kept of them.

    Args:
        test: the testing set.
        networks: describe pictures, uint8 (112, 112, 3), RGB, which a bicubic filter has enlarged.
        on_count: called with the number of pictures that were described so far.

    Raises:
        FaceloomError: no probe is left.
    """
    done, left_out = 0, dict(test.left_out)

    def described(photos: Iterable[Photo]) -> Iterator[tuple[list[Photo], dict[str, Floats]]]:
        nonlocal done
        waiting = iter(photos)
        while some := list(islice(waiting, _BATCH)):
            pictures = {}
            for number, photo in enumerate(some):
                try:
                    pictures[number] = _picture(test.source, photo)
                except PhotoError as error:
                    left_out[photo.uri] = error.what
            if pictures:
                batch = {name: describe([*pictures.values()]).astype(np.float32) for name, describe in networks.items()}
                yield [some[number] for number in pictures], batch
            done += len(some)
            on_count(done)

    gallery, matches = _joined(described(test.gallery))
    people = {photo.identity for photo in gallery}
    wanted = [photo for photo in test.probes if photo.identity in people]
    left_out |= {photo.uri: "no match can be read" for photo in test.probes if photo.identity not in people}
    done += len(test.probes) - len(wanted)
    probes, vectors = _joined(described(wanted))
    if not probes:
        first = next(iter(left_out.items()), ("", ""))
        raise FaceloomError("no probe of TinyFace and its match can be read", where=first[0], value=first[1])
    best: dict[str, Floats] = {}
    ranks: dict[str, Numbers] = {}
    same = np.array([photo.identity for photo in probes])[:, None] == np.array([photo.identity for photo in gallery])
    for name in networks:
        alike = vectors[name] @ matches[name].T
        best[name] = np.where(same, alike, -np.inf).max(axis=1)
        ranks[name] = 1 + (~(alike < best[name][:, None]) & ~same).sum(axis=1)  # NaN counts against a picture
    distractors = 0
    for photos, batch in described(test.distractors):
        distractors += len(photos)
        for name, others in batch.items():
            ranks[name] += (~(vectors[name] @ others.T < best[name][:, None])).sum(axis=1)
    return Ranks(tuple(probes), ranks, len(gallery), distractors, left_out)


def _joined(batches: Iterable[tuple[list[Photo], dict[str, Floats]]]) -> tuple[list[Photo], dict[str, Floats]]:
    photos: list[Photo] = []
    parts: dict[str, list[Floats]] = {}
    for some, batch in batches:
        photos += some
        for name, vectors in batch.items():
            parts.setdefault(name, []).append(vectors)
    return photos, {name: np.concatenate(vectors) for name, vectors in parts.items()}


def _picture(source: Source, photo: Photo) -> Image:
    picture = decode_rgb(source.read(photo.uri))
    return np.asarray(resize(picture, (SIDE, SIDE), "cubic"), np.uint8)
