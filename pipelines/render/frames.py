"""Render frames: the samples that show whole photos. Reads and writes no files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial

from pydantic import JsonValue

from faceloom.pipelines.render.mask_painter import MaskRequest
from faceloom.pipelines.render.pairs import decode_partner, with_partner
from faceloom.pipelines.render.resources import RenderResources
from faceloom.pipelines.render.sample import Sample, SampleContent, encode_sample
from faceloom.pipelines.run.stopwatch import Stopwatch
from faceloom.schemas.errors import PhotoError
from faceloom.schemas.keys import face_key, hex_seed, seed_of, variant_key
from faceloom.schemas.labels import LabelFiles
from faceloom.schemas.photos import Reject
from faceloom.schemas.plan import FrameFace, PlannedFace
from faceloom.transforms.align import crop_reduction
from faceloom.transforms.decode import decode_rgb
from faceloom.transforms.masks.painted import PaintedMask
from faceloom.transforms.sample.frames import compose_frame, cut_frame, frame_matrix
from faceloom.transforms.sample.products import face_files
from faceloom.transforms.sample.working import Working

SEVERAL = "several"
"""Label of a sample whose faces wear different masks."""


def render_frames(
    data: bytes,
    face: PlannedFace,
    files: LabelFiles | None,
    skip: Collection[str],
    resources: RenderResources,
    watch: Stopwatch,
    prepare: Callable[[Working], Working],
) -> Iterator[Sample | Reject]:
    """Make the samples of one frame.

    Args:
        data: the photo.
        face: its plan, with a `frame`.
        files: beside the photo.
        skip: keys of samples that are not made.
        resources: of the recipe.
        watch: adds up the time of each stage.
        prepare: finds what stays in front of the mask of a face.

    Yields:
        For each variant a sample, or a reject.
    """
    assert face.frame is not None
    recipe = resources.recipe
    keys = [key for key in face.sample_keys if key not in skip]
    try:
        reduction = crop_reduction(frame_matrix((face.width, face.height), recipe.align.max_side))
        with watch.time("decode"):
            picture = decode_rgb(data, reduction=reduction, max_pixels=recipe.faces.max_pixels)
        with watch.time("align"):
            image = cut_frame(picture, face, reduction, recipe)
        pair = decode_partner(files, [face], picture, reduction, recipe)
    except PhotoError as error:
        yield from (Reject("render", face.source, face.uri, error.code, str(error), key) for key in keys)
        return
    shared = None
    for variant, key in enumerate(face.sample_keys):
        if key in skip:
            continue
        with watch.time("paint"):
            masked = partial(with_partner, pair=pair, reduction=reduction, others=face.frame.faces)
            paint = partial(_paint, resources=resources, planned=face, variant=variant, prepare=prepare, masked=masked)
            frame = compose_frame(image, face, variant, recipe, paint)
        if shared is None:
            with watch.time("encode"):
                shared = face_files(frame.crops, recipe)
        height, width = image.shape[:2]
        rows: JsonValue = [[round(value, 6) for value in row] for row in _matrix(face, recipe.align.max_side)]
        aligned: JsonValue = {"name": "align", "mode": "frame", "size": [width, height], "matrix": rows}
        label = frame.labels[0] if len(frame.labels) == 1 else SEVERAL if frame.labels else ""
        content = SampleContent(key, face, frame.crops, label, [aligned, *frame.operations], frame)
        yield encode_sample(content, shared, None, resources, watch)


def _matrix(face: PlannedFace, max_side: int) -> list[list[float]]:
    rows: list[list[float]] = frame_matrix((face.width, face.height), max_side).tolist()
    return rows


def _paint(
    working: Working,
    face: FrameFace,
    mask: int,
    *,
    resources: RenderResources,
    planned: PlannedFace,
    variant: int,
    prepare: Callable[[Working], Working],
    masked: Callable[..., Working],
) -> PaintedMask:
    own = variant_key(face_key(planned.photo_sha256, face.face), variant)
    seed = seed_of(resources.recipe.seed, own, "paint")
    request = MaskRequest(masked(prepare(working), face=face), resources.recipe.masks[mask], seed)
    (request,) = resources.painter.predict([request])
    painted = resources.painter.paint(request)
    parameters: dict[str, JsonValue] = {"seed": hex_seed(seed), **painted.parameters}
    return PaintedMask(painted.image, painted.alpha, painted.straps, parameters)
