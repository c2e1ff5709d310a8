"""Plan: from chosen faces to shards, parts and samples. Pure, and blind to pixels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from faceloom.pipelines.plan.choose import Choice
from faceloom.pipelines.plan.prefix_tree import Leaf, leaves
from faceloom.schemas.keys import POSITION_BITS, digest, prefix_name
from faceloom.schemas.plan import Part, Plan, PlannedFace, PlannedMorph, Shard
from faceloom.schemas.recipe import Recipe
from faceloom.schemas.versions import RENDERER

PART_PHOTOS = 100
PART_SAMPLES = 1000
PNG_BYTES = 1.8
"""Bytes of a pixel of a photo as PNG, about."""
FEATURES = 4096
"""Numbers that a network may say of a face, for estimates; VGG-Face says as many."""


def make_plan(recipe: Recipe, choice: Choice, mask_digests: Sequence[str], file_digests: Sequence[str] = ()) -> Plan:
    """Lay chosen faces into shards and parts.

    Args:
        recipe: what is wanted.
        choice: faces, in any order, and rejects.
        mask_digests: for each mask of the recipe, a digest of all that decides its look.
        file_digests: of what other files the recipe names, in a fixed order.

    Returns:
        The plan, the same for the same faces whatever their order.
    """
    by_split: dict[str, list[PlannedFace]] = {}
    for face in choice.faces:
        by_split.setdefault(face.split, []).append(face)
    sample_bytes = estimate_sample_bytes(recipe)
    settings = _settings_digest(recipe, file_digests)
    shards = [
        shard
        for split in sorted(by_split)
        for shard in _shards(recipe, split, by_split[split], sample_bytes, settings, mask_digests)
    ]
    rejects = sorted(choice.rejects, key=lambda reject: (reject.source, reject.uri, reject.key))
    name = digest([shard.name for shard in shards])
    return Plan(name, tuple(shards), tuple(rejects), sample_bytes, tuple(choice.recall.items()), choice.neighbours)


def estimate_sample_bytes(recipe: Recipe) -> int:
    """Rough size of one sample in a shard, tar headers included, from the recipe alone."""
    output, masked = recipe.output, bool(recipe.masks)
    width, height = recipe.align.width_height
    lossy = 0.15 + 0.004 * max(0, output.quality - 70)
    per_pixel = {"jpg": lossy, "png": PNG_BYTES, "webp": 1.3}[output.image]
    faces = 2 if masked else 1
    members = faces + 2 + (1 + output.alpha if masked else 0)
    pixels = faces * per_pixel + (0.03 + 0.12 * output.alpha) * masked
    extra = 0.0
    if output.halves:
        members, pixels = members + 3, pixels + per_pixel
    if recipe.guide:
        members, pixels = members + 1, pixels + 0.03
    if recipe.lowres:
        small = min(recipe.lowres.largest or height, height) ** 2 * PNG_BYTES
        members = members + faces * (recipe.lowres.native + recipe.lowres.upsampled) + masked
        extra += faces * recipe.lowres.native * small + faces * recipe.lowres.upsampled * width * height * PNG_BYTES
    if output.features:
        members, extra = members + 1, extra + 4 * FEATURES
    return int(width * height * pixels + extra + 700 + 1500 + 770 * members)


def _settings_digest(recipe: Recipe, files: Sequence[str]) -> str:
    """Digest of what decides the bytes of every sample, beside its face and its mask."""
    steps = recipe.model_dump(
        mode="json",
        include={"seed", "align", "augment", "lowres", "output"},
        exclude={"output": {"shards": True, "features": {"model"}}, "lowres": {"sizes_from"}},
    )
    recorded = {"lambda_", "texture", "texture_size", "texture_units", "background"}
    morph = recipe.morph and recipe.morph.model_dump(mode="json", include=recorded)
    return digest(RENDERER, recipe.faces.assume, steps, morph, recipe.guide and recipe.guide.settings, files)


def _shards(
    recipe: Recipe,
    split: str,
    faces: list[PlannedFace],
    sample_bytes: int,
    settings: str,
    mask_digests: Sequence[str],
) -> list[Shard]:
    faces.sort(key=lambda face: (face.place, face.photo_sha256, face.key))
    places = [face.place for face in faces]
    samples = [face.samples for face in faces]
    limit = max(1, min(recipe.output.shards.samples, recipe.output.shards.bytes // sample_bytes))
    # One number that passes PART_SAMPLES when either limit of a part is passed: what a face weighs, and its photo.
    begins = [True, *(one.photo_sha256 != other.photo_sha256 for one, other in pairwise(faces))]
    load = [max(PART_SAMPLES // PART_PHOTOS * first, face.samples) for face, first in zip(faces, begins, strict=True)]
    shards = []
    for leaf in leaves(places, samples, limit, bits=POSITION_BITS):
        inside = slice(leaf.start, leaf.stop)
        root = Leaf(0, leaf.stop - leaf.start, leaf.prefix, leaf.length)
        parts = tuple(
            _part(faces[leaf.start + part.start : leaf.start + part.stop], settings, mask_digests)
            for part in leaves(places[inside], load[inside], PART_SAMPLES, bits=POSITION_BITS, root=root)
        )
        shards.append(_shard(split, leaf, parts))
    return shards


def _shard(split: str, leaf: Leaf, parts: tuple[Part, ...]) -> Shard:
    return Shard(split, prefix_name(leaf.prefix, leaf.length), digest([part.digest for part in parts])[:12], parts)


def _part(faces: list[PlannedFace], settings: str, mask_digests: Sequence[str]) -> Part:
    rows = [
        [
            *(face.source, face.uri, face.photo_sha256, face.face, face.identity, face.split),
            *(face.licence, face.consent, face.attributes),
            *(face.width, face.height, face.landmarks.hex(), face.box),
            [mask_digests[number] for number in face.masks],
            face.labels,
            None if face.morph is None else _morph_record(face.morph),
        ]
        for face in faces
    ]
    return Part(digest(settings, rows)[:24], tuple(faces))


def _morph_record(morph: PlannedMorph) -> dict[str, Any]:
    """The part of a morph that enters its part's digest. Other names or fields here would rename every shard."""
    other = morph.other
    return {
        "key": other.key,
        "source": other.source,
        "uri": other.uri,
        "photo_sha256": other.photo_sha256,
        "face": other.face,
        "identity": other.identity,
        "licence": other.licence,
        "consent": other.consent,
        "width": other.width,
        "height": other.height,
        "landmarks": other.landmarks.hex(),
        "box": other.box,
        "rank": morph.rank,
        "distance": morph.distance,
        "landmark_distance": morph.landmark_distance,
        "texture_distance": morph.texture_distance,
        "shape_weight": morph.shape_weight,
        "texture_weight": morph.texture_weight,
    }
