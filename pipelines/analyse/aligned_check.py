"""Check on a sample of photos whether a source holds aligned crops, if the recipe assumes so."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from statistics import median

import numpy as np

from faceloom.pipelines.analyse.model_files import load_detector
from faceloom.pipelines.context import Context
from faceloom.pipelines.run.unforeseen import naming
from faceloom.schemas.errors import PhotoError, SourceError
from faceloom.schemas.faces import AnalysedPhoto
from faceloom.schemas.photos import Photo
from faceloom.transforms.aligned import has_crop_shape, template_distance, template_iou
from faceloom.transforms.analyse import analysis_reduction
from faceloom.transforms.decode import decode_grey

SAMPLE = 20
"""Photos of each source that are checked."""
USUAL_DISTANCE = 0.045
"""Distance of predicted landmarks from the template. The median is up to 0.04 in crops, 0.055 and more elsewhere."""
SAME_PLACE = 0.7
"""A detected face is in place if it overlaps that of the template by this share or more."""

_REMEDY = "`faces: {assume: aligned}` is for ArcFace crops; for other photos write `assume: photo`, to find the faces"


def unaligned_sources(
    context: Context, photos: Iterable[Photo], analysed: Mapping[str, AnalysedPhoto]
) -> tuple[str, ...]:
    """Warn of each source that does not seem to hold ArcFace crops, if the recipe has `faces: {assume: aligned}`.

    The check uses the shape of all photos and the landmarks of twenty photos per source, chosen by their digests. If
    the landmarks are far from the template, the face detector runs on the twenty. Photos in which it finds no face,
    such as very small or covered ones, do not count.

    Args:
        photos: as scanned.
        analysed: the analysis of every photo, by photo id.

    Raises:
        SourceError: a whole source is gone.
    """
    if context.recipe.faces.assume != "aligned":
        return ()
    by_source: dict[str, list[tuple[Photo, AnalysedPhoto]]] = {}
    for photo in photos:
        if (row := analysed[photo.photo_id]).faces and row.faces[0].landmarks:
            by_source.setdefault(photo.source, []).append((photo, row))
    warnings = []
    for source, found in sorted(by_source.items()):
        faults = [*_odd_shapes([row for _, row in found]), *_odd_places(context, found)]
        if faults:
            warnings.append(f"source {source}: {', and '.join(faults)}. {_REMEDY}")
    return tuple(warnings)


def _odd_shapes(rows: list[AnalysedPhoto]) -> list[str]:
    odd = sum(not has_crop_shape(row.width, row.height) for row in rows)
    return [f"{odd:,} of {len(rows):,} photos are neither square nor 96 to 112"] if odd else []


def _odd_places(context: Context, found: list[tuple[Photo, AnalysedPhoto]]) -> list[str]:
    some = heapq.nsmallest(SAMPLE, found, key=lambda pair: (pair[1].sha256, pair[0].uri))
    if median(_distance(row) for _, row in some) <= USUAL_DISTANCE:
        return []
    seen = [overlap for photo, row in some if (overlap := _overlap(context, photo, row)) is not None]
    odd = sum(overlap < SAME_PLACE for overlap in seen)
    if 2 * odd <= len(seen):
        return []
    return [f"in {odd} of {len(some)} checked photos the face is not where an ArcFace crop has it"]


def _distance(row: AnalysedPhoto) -> float:
    points = np.frombuffer(row.faces[0].landmarks, np.float32).reshape(68, 2)
    return template_distance(points, row.width, row.height)


def _overlap(context: Context, photo: Photo, row: AnalysedPhoto) -> float | None:
    """None also for a photo that vanished; rendering reports it."""
    limit = context.recipe.faces.max_pixels
    try:
        with naming(photo.photo_id):
            data = context.source(photo.source).read(photo.uri)
            reduction, check = analysis_reduction(row.width, row.height), context.recipe.faces.damaged == "reject"
            grey = decode_grey(data, reduction=reduction, max_pixels=limit, check=check)
            return template_iou(grey, load_detector())
    except (PhotoError, SourceError):
        return None
