"""Check on a sample of photos whether a source holds aligned crops, if the recipe assumes so."""

from __future__ import annotations

import heapq
from statistics import median

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.analyse.analysis import Analysis
from faceloom.pipelines.analyse.model_files import load_detector
from faceloom.pipelines.context import Context
from faceloom.pipelines.run.unforeseen import naming
from faceloom.schemas.errors import PhotoError, SourceError
from faceloom.schemas.faces import AnalysedPhoto
from faceloom.schemas.photos import Photo
from faceloom.transforms.aligned import have_crop_shape, template_distance, template_iou
from faceloom.transforms.analyse import analysis_reduction
from faceloom.transforms.decode import decode_grey

Numbers = npt.NDArray[np.integer]

SAMPLE = 20
"""Photos of each source that are checked."""
USUAL_DISTANCE = 0.045
"""Distance of predicted landmarks from the template. The median is up to 0.04 in crops, 0.055 and more elsewhere."""
SAME_PLACE = 0.7
"""A detected face is in place if it overlaps that of the template by this share or more."""

_REMEDY = "`faces: {assume: aligned}` is for ArcFace crops; for other photos write `assume: photo`, to find the faces"


def unaligned_sources(context: Context, analysed: Analysis) -> tuple[str, ...]:
    """Warn of each source that does not seem to hold ArcFace crops, if the recipe has `faces: {assume: aligned}`.

    The check uses the shape of all photos and the landmarks of twenty photos per source, chosen by their digests. If
    the landmarks are far from the template, the face detector runs on the twenty. Photos in which it finds no face,
    such as very small or covered ones, do not count.

    Args:
        analysed: the analysis of every photo.

    Raises:
        SourceError: a whole source is gone.
    """
    if context.recipe.faces.assume != "aligned":
        return ()
    placed = analysed.faces > 0
    placed[placed] = ~analysed.bare[analysed.first[placed]]
    codes, names = analysed.photos.codes("source")
    warnings = []
    for source, code in sorted((name, code) for code, name in enumerate(names)):
        found = np.flatnonzero(placed & (codes == code))
        if found.size and (faults := [*_odd_shapes(analysed, found), *_odd_places(context, analysed, found)]):
            warnings.append(f"source {source}: {', and '.join(faults)}. {_REMEDY}")
    return tuple(warnings)


def _odd_shapes(analysed: Analysis, found: Numbers) -> list[str]:
    odd = np.count_nonzero(~have_crop_shape(analysed.width[found], analysed.height[found]))
    return [f"{odd:,} of {len(found):,} photos are neither square nor 96 to 112"] if odd else []


def _odd_places(context: Context, analysed: Analysis, found: Numbers) -> list[str]:
    some = [(analysed.photos[number], analysed.row(number)) for number in _sample(analysed, found)]
    if median(_distance(row) for _, row in some) <= USUAL_DISTANCE:
        return []
    seen = [overlap for photo, row in some if (overlap := _overlap(context, photo, row)) is not None]
    odd = sum(overlap < SAME_PLACE for overlap in seen)
    if 2 * odd <= len(seen):
        return []
    return [f"in {odd} of {len(some)} checked photos the face is not where an ArcFace crop has it"]


def _sample(analysed: Analysis, found: Numbers) -> list[int]:
    """The photos with the least digests, of equal ones with the least uris: the same ones in any order of listing."""
    heads = analysed.heads[found]
    least = found[heads <= np.partition(heads, SAMPLE - 1)[SAMPLE - 1]] if len(found) > SAMPLE else found
    uris = analysed.photos.column("uri")
    return heapq.nsmallest(
        SAMPLE, least.tolist(), key=lambda number: (analysed.sha256[number].tobytes(), uris[number].as_py())
    )


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
