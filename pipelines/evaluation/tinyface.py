"""TinyFace's identification protocol: probes in a gallery of matches and distractors, at native resolution.

Cheng, Zhu and Gong, "Low-resolution face recognition", ACCV 2018. A probe is found at rank k if a picture of the same
person is among the k most alike ones of the gallery, which holds `Gallery_Match` and `Gallery_Distractor`. All three
folders of `Testing_Set` hold `{person}_*.jpg`; the number of a distractor names no person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from faceloom.pipelines.evaluation.recognition import Floats, Numbers
from faceloom.pipelines.sources.registry import open_source
from faceloom.pipelines.sources.source import Source
from faceloom.schemas.errors import FaceloomError
from faceloom.schemas.photos import Photo
from faceloom.schemas.source_spec import SourceSpec
from faceloom.transforms.decode import decode_rgb
from faceloom.transforms.lowres.sampling import resize
from faceloom.transforms.types import Image

RANKS = (1, 5, 20)
"""The published ranks."""
SIDE = 112
"""Side in pixels to which pictures are enlarged, by a bicubic filter."""
_BATCH = 256
"""Pictures in memory at a time."""

Describe = Callable[[list[Image]], Floats]
"""Vectors of length 1 of pictures, (N, D)."""


@dataclass(frozen=True, eq=False)
class TinyFaceTest:
    """The testing set.

    Attributes:
        probes, gallery, distractors: photos of its three folders.
    """

    source: Source
    probes: tuple[Photo, ...]
    gallery: tuple[Photo, ...]
    distractors: tuple[Photo, ...]

    @property
    def pictures(self) -> int:
        """Number of all pictures."""
        return len(self.probes) + len(self.gallery) + len(self.distractors)


def open_tinyface(folder: Path) -> TinyFaceTest:
    """List the testing set below a folder that holds `Testing_Set`, or below the folder that holds that one.

    Raises:
        FaceloomError: there is none, or it lacks probes or matches, or a probe has no match.
    """
    source = open_source(SourceSpec(kind="tinyface", path=str(folder)))
    by_role: dict[str, list[Photo]] = {"probe": [], "gallery": [], "distractor": []}
    for row in source.scan():
        if isinstance(row, Photo) and (role := str(dict(row.attributes)["role"])) in by_role:
            by_role[role].append(row)
    remedy = "Give the folder of TinyFace that holds Testing_Set/{Probe,Gallery_Match,Gallery_Distractor}"
    for role, name in (("probe", "Probe"), ("gallery", "Gallery_Match")):
        if not by_role[role]:
            raise FaceloomError(f"Testing_Set/{name} has no pictures", where=str(folder), remedy=remedy)
    known = {photo.identity for photo in by_role["gallery"]}
    if alone := [photo for photo in by_role["probe"] if photo.identity not in known]:
        raise FaceloomError("a probe has no match in the gallery", where=str(folder), value=alone[0].uri, remedy=remedy)
    return TinyFaceTest(source, *map(tuple, by_role.values()))


def rank_probes(
    test: TinyFaceTest, networks: Mapping[str, Describe], on_count: Callable[[int], object] = lambda done: None
) -> dict[str, Numbers]:
    """The rank of the first right picture for each probe, by network; ties count against it.

    Distractors are read in batches, and only counts are kept of them.

    Args:
        test: the testing set.
        networks: describe pictures, uint8 (112, 112, 3), RGB.
        on_count: called with the number of pictures that were described so far.

    Raises:
        PhotoError: a picture cannot be read.
    """
    done = 0

    def described(photos: Iterable[Photo]) -> Iterator[dict[str, Floats]]:
        nonlocal done
        waiting = iter(photos)
        while some := list(islice(waiting, _BATCH)):
            pictures = [_picture(test.source, photo) for photo in some]
            yield {name: describe(pictures).astype(np.float32) for name, describe in networks.items()}
            done += len(some)
            on_count(done)

    probes = _joined(described(test.probes), networks)
    best: dict[str, Floats] = {}
    people = np.array([photo.identity for photo in test.probes])
    matches = np.array([photo.identity for photo in test.gallery])
    gallery = _joined(described(test.gallery), networks)
    ranks: dict[str, Numbers] = {}
    same = people[:, None] == matches
    for name in networks:
        alike = probes[name] @ gallery[name].T
        best[name] = np.where(same, alike, -np.inf).max(axis=1)
        ranks[name] = 1 + (~(alike < best[name][:, None]) & ~same).sum(axis=1)  # NaN counts against a picture
    for batch in described(test.distractors):
        for name, vectors in batch.items():
            ranks[name] += (~(probes[name] @ vectors.T < best[name][:, None])).sum(axis=1)
    return ranks


def _joined(batches: Iterable[dict[str, Floats]], names: Iterable[str]) -> dict[str, Floats]:
    kept = list(batches)
    return {name: np.concatenate([batch[name] for batch in kept]) for name in names}


def _picture(source: Source, photo: Photo) -> Image:
    picture = decode_rgb(source.read(photo.uri))
    return np.asarray(resize(picture, (SIDE, SIDE), "cubic"), np.uint8)
