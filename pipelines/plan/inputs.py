"""Digests of everything that the bytes of a sample depend on: the same digest, the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from faceloom.schemas.keys import digest
from faceloom.schemas.plan import PlannedFace, PlannedMorph
from faceloom.schemas.recipe import Recipe
from faceloom.schemas.versions import RENDERER

_LETTERS = 24


def settings_digest(recipe: Recipe, files: Sequence[str] = ()) -> str:
    """Digest of what all samples of a recipe depend on, except their faces and masks.

    A key that has its default does not count, so that a new key with a default leaves all digests as they are.

    Args:
        recipe: of the build.
        files: digests of the files that the recipe names, in a fixed order.
    """
    steps = recipe.model_dump(
        mode="json",
        include={"seed", "align", "augment", "lowres", "output"},
        exclude={"output": {"shards": True, "features": {"model"}}, "lowres": {"sizes_from"}},
        exclude_defaults=True,
    )
    if not steps.get("output"):
        steps.pop("output", None)  # nothing of it is left but the layout of shards
    recorded = {"lambda_", "texture", "texture_size", "texture_units", "background"}
    morph = recipe.morph and recipe.morph.model_dump(mode="json", include=recorded, exclude_defaults=True)
    guide = recipe.guide and recipe.guide.model_dump(mode="json", exclude={"parts"}, exclude_defaults=True)
    regions = recipe.guide and recipe.guide.regions
    return digest(RENDERER, recipe.faces.assume, steps, morph, guide, regions, files)


def sample_inputs(face: PlannedFace, settings: str, mask_digests: Sequence[str]) -> list[str]:
    """Digests of the samples of a face, in the order of their variants, as 24 hex digits each.

    Args:
        face: a planned face or morph.
        settings: from `settings_digest`.
        mask_digests: for each mask of the recipe, a digest of everything that its look depends on.
    """
    of_face = digest(
        settings,
        *(face.source, face.uri, face.photo_sha256, face.face, face.identity, face.split),
        *(face.licence, face.consent, face.attributes),
        *(face.width, face.height, face.landmarks.hex(), face.box),
        *(face.labels, None if face.morph is None else _morph_record(face.morph)),
    )
    masks: Sequence[str | None] = [mask_digests[number] for number in face.masks] or [None]
    return [digest(of_face, variant, mask)[:_LETTERS] for variant, mask in enumerate(masks)]


def _morph_record(morph: PlannedMorph) -> dict[str, Any]:
    """The fields of a morph in the digest of its samples. Any other name or field changes the names of shards."""
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
