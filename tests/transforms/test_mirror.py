"""Left and right stay the person's own in every step that moves a sample: landmarks, guide parts and masks agree."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from faceloom.schemas.augment import Augment
from faceloom.schemas.guide import LANDMARK_REGIONS, Guide, Region
from faceloom.schemas.recipe import parse_recipe
from faceloom.transforms.augment import Layers, apply, draw, is_mirrored
from faceloom.transforms.geometry import apply_affine, similarity
from faceloom.transforms.guide.guide_mask import iou, make_guide, needed_parts
from faceloom.transforms.guide.outlines import landmark_mask
from faceloom.transforms.mirror import MIRRORED_LANDMARKS, MIRRORED_REGIONS, mirrored, mirrors_parts
from faceloom.transforms.sample.crops import BareCrop, Crops, augmented
from tests.pipelines.conftest import FRONTAL

SIZE = (160, 160)
FLIP: dict[str, Any] = {"kind": "HorizontalFlip", "p": 1.0}
MOVES: list[dict[str, Any]] = [
    FLIP,
    {"kind": "Affine", "p": 1.0, "rotate": (-40, 40), "scale": (0.8, 1.2), "translate_percent": (-0.1, 0.1)},
    {"kind": "Affine", "p": 1.0, "rotate": (0, 0), "scale": (1, 1), "translate_percent": (0, 0), "shear": (-12, 12)},
    {"kind": "Perspective", "p": 1.0, "scale": (0.02, 0.06)},
]
STEPS: TypeAdapter[tuple[Augment, ...]] = TypeAdapter(tuple[Augment, ...])
faces = st.builds(
    lambda angle, x, y: apply_affine(similarity(34, angle, dst=(80 + x, 70 + y)), FRONTAL).astype(np.float32),
    st.floats(-0.5, 0.5), st.floats(-9, 9), st.floats(-9, 9),
)  # fmt: skip
moves = st.lists(st.sampled_from(MOVES), min_size=1, max_size=4)
seeds = st.integers(0, 2**32 - 1)


def sample_of(points: np.ndarray, seed: int) -> Layers:
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (*SIZE[::-1], 3), dtype=np.uint8)
    alpha = landmark_mask(points, "lower_face", SIZE).astype(np.float32)
    return Layers({"face": picture}, {"mask": (alpha > 0.5).astype(np.uint8)}, {"alpha": alpha}, {"landmarks": points})


@given(faces, seeds)
def test_flipping_twice_is_nothing(points: np.ndarray, seed: int) -> None:
    before = sample_of(points, seed)
    after = apply([FLIP, FLIP], before)
    for name in ("pictures", "masks", "alphas"):
        assert all(np.array_equal(getattr(after, name)[key], value) for key, value in getattr(before, name).items())
    assert np.allclose(after.landmarks["landmarks"], points, atol=1e-4)


def test_mirroring_twice_is_nothing() -> None:
    assert np.array_equal(MIRRORED_LANDMARKS[MIRRORED_LANDMARKS], np.arange(68))
    regions = get_args(Region)
    assert mirrored(mirrored(regions)) == regions
    assert sorted(mirrored(regions)) == sorted(regions)


def test_all_parts_of_a_side_have_a_partner_and_others_do_not() -> None:
    sided = {region for region in get_args(Region) if {f"l_{region[2:]}", f"r_{region[2:]}"} <= set(get_args(Region))}
    assert set(MIRRORED_REGIONS) == sided == {"l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear"}


@pytest.mark.parametrize("region", LANDMARK_REGIONS)
def test_the_outline_of_a_part_is_that_of_its_partner_in_the_flipped_face(region: Region) -> None:
    points = apply_affine(similarity(34, 0.3, dst=(80, 70)), FRONTAL).astype(np.float32)
    (partner,) = mirrored([region])
    flipped = apply([FLIP], Layers({"face": np.zeros((*SIZE, 3), np.uint8)}, landmarks={"p": points})).landmarks["p"]
    assert iou(landmark_mask(points, partner, SIZE)[:, ::-1], landmark_mask(flipped, region, SIZE)) > 0.93


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(faces, moves, seeds, st.sampled_from(LANDMARK_REGIONS))
def test_parts_landmarks_and_masks_agree_after_any_geometric_step(
    points: np.ndarray, chosen: list[dict[str, Any]], seed: int, region: Region
) -> None:
    recipe = parse_recipe({"name": "x", "align": {"size": SIZE[0], "mode": "face_box"}, "augment": chosen,
                           "guide": {"parts": [region], "missing": "landmarks"}})  # fmt: skip
    assert recipe.guide is not None
    layers = sample_of(points, seed)
    guide, other = (make_guide(recipe.guide, points, SIZE, None, flipped=flipped) for flipped in (False, True))
    crops = Crops(layers.pictures["face"], points, layers.pictures["face"], layers.alphas["alpha"], guide.mask)
    bare = BareCrop(crops, None, guide.origin, other if mirrors_parts(recipe) else None)
    done = augmented(crops, bare, recipe, np.random.default_rng(seed))
    assert done.crops.landmarks is not None and done.crops.guide is not None
    expected = landmark_mask(done.crops.landmarks, region, SIZE)
    if expected.sum() > 60:  # not moved out of the picture
        found = done.crops.guide >= 128
        shared = (found & expected).sum() / max(1, min(found.sum(), expected.sum()))
        assert shared > 0.6, "the same side"
    mask = landmark_mask(done.crops.landmarks, "lower_face", SIZE)
    if mask.sum() > 300:
        assert iou(done.crops.mask, mask) > 0.8
    assert done.guide_origin is not None and done.guide_origin["regions"] == [region]
    assert done.guide_origin["landmark_regions"] == [region]


def test_two_flips_are_no_flip() -> None:
    rng = np.random.default_rng(0)
    for times in range(4):
        assert is_mirrored(draw(STEPS.validate_python([FLIP] * times), rng, SIZE)) == (times % 2 == 1)


def test_only_guides_of_one_side_in_recipes_that_flip_need_another() -> None:
    def needs(parts: list[str], *steps: dict[str, Any]) -> bool:
        return mirrors_parts(parse_recipe({"name": "x", "augment": list(steps), "guide": {"parts": parts}}))

    assert needs(["l_eye"], FLIP) and needs(["l_eye", "r_brow"], MOVES[1], FLIP)
    assert not needs(["l_eye"], MOVES[1]) and not needs(["l_eye", "r_eye", "l_lip"], FLIP)
    assert not mirrors_parts(parse_recipe({"name": "x", "augment": [FLIP]}))


def test_label_files_of_both_sides_are_needed() -> None:
    guide = Guide(parts=("l_eye", "nose", "lower_face"))
    assert list(needed_parts(guide)) == ["l_eye", "nose"]
    assert list(needed_parts(guide, both_sides=True)) == ["l_eye", "nose", "r_eye"]
