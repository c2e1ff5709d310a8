"""Cutouts: taken off a face to one place and size, disturbed in training, and found back by the flow."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch
from torch.nn import functional as F

from faceloom.models.mask_cutouts import cut_out_masks, disturbed_cutouts, find_straps, gather_cutouts, whole_of
from faceloom.models.pairs import Pairs, tilted
from faceloom.models.presets import PRESETS

SIZE = 64


def ellipses(*boxes: tuple[float, float, float, float]) -> Pairs:
    """A mask each: an ellipse of (middle x, middle y, radius x, radius y), coloured by a gradient; -1..1."""
    rows = (torch.arange(SIZE) * 2 + 1) / SIZE - 1
    y, x = rows[:, None], rows[None]
    masks = torch.stack([(((x - mx) / rx) ** 2 + ((y - my) / ry) ** 2 < 1).float()[None] for mx, my, rx, ry in boxes])
    colour = torch.stack([0.5 + 0.3 * (x + 0 * y), 0.5 - 0.3 * (y + 0 * x), 0.4 + 0 * (x + y)]).expand(
        len(boxes), -1, -1, -1
    )
    face = torch.full_like(colour, 0.9)
    return Pairs(face, face * (1 - masks) + colour * masks, masks)


places = st.tuples(st.floats(-0.3, 0.3), st.floats(0.2, 0.5), st.floats(0.3, 0.6), st.floats(0.25, 0.45))


@given(places)
def test_a_cutout_is_the_mask_where_it_was(box: tuple[float, float, float, float]) -> None:
    pairs = ellipses(box)
    cutout = cut_out_masks(pairs)
    assert float(((cutout[:, 3:4] > 0.5) != (pairs.mask > 0)).float().mean()) < 0.01
    deep = cutout[:, 3:4] == 1
    assert int(deep.sum()) > 100
    assert torch.equal(cutout[:, :3] * deep, pairs.masked * deep)
    assert float((cutout * (F.max_pool2d(pairs.mask, 3, 1, 1) == 0)).max()) == 0


@given(places)
def test_no_skin_is_in_a_cutout(box: tuple[float, float, float, float]) -> None:
    pairs = ellipses(box)  # the skin is brighter than any part of the mask
    cutout = cut_out_masks(pairs)
    cover = cutout[:, 3:4]
    colour = cutout[:, :3] / cover.clamp(min=1e-3)
    assert float((colour * (cover > 0.05)).max()) <= float((pairs.masked * pairs.mask).max()) + 1e-5


def strapped(*boxes: tuple[float, float, float, float]) -> Pairs:
    """The pairs of `ellipses` with a dark strap of three pixels from the mask's sides to the edges of the picture."""
    pairs = ellipses(*boxes)
    masked = pairs.masked.clone()
    band = torch.zeros_like(pairs.mask)
    band[:, :, 44:47] = 1
    return dataclasses.replace(pairs, masked=torch.where((band > 0) & (pairs.mask == 0), 0.1, masked))


def test_straps_are_found_beside_the_mask_and_shadows_are_not() -> None:
    pairs = strapped((0, 0.4, 0.5, 0.3))
    shaded = pairs.masked.clone()
    shaded[:, :, :10] -= 0.06
    straps = find_straps(dataclasses.replace(pairs, masked=shaded))[0, 0]
    assert bool((straps[44:47, :14] == 1).all()) and bool((straps[44:47, -14:] == 1).all())
    assert float(straps[:44].max()) == float(straps[47:].max()) == 0
    assert float((straps * pairs.mask[0, 0]).max()) == 0
    assert bool((straps[45].maximum(pairs.mask[0, 0, 45]) == 1).all()), "no gap where a strap meets the mask"


def test_another_photo_of_the_person_has_no_straps() -> None:
    pairs = strapped((0, 0.4, 0.5, 0.3))
    moved = dataclasses.replace(pairs, masked=torch.where(pairs.mask > 0, pairs.masked, 0.8 * pairs.masked))
    assert float(find_straps(moved).max()) == 0
    assert float(cut_out_masks(moved)[:, 4].max()) == 0


def test_straps_are_cut_out_in_their_own_colour() -> None:
    pairs = strapped((0, 0.4, 0.5, 0.3))
    cutout = cut_out_masks(pairs)
    strap = cutout[:, 4:] == 1
    assert float((cutout[:, :3] * strap).sum() / (3 * strap.sum())) == pytest.approx(0.1, abs=1e-4)
    torch.testing.assert_close(cutout[:, 3:4], cut_out_masks(ellipses((0, 0.4, 0.5, 0.3)))[:, 3:4])


@settings(max_examples=30)
@given(places, st.integers(0, 1000))
def test_the_flow_puts_straps_back_too(box: tuple[float, float, float, float], seed: int) -> None:
    pairs = strapped(box)
    cutouts, flow = disturbed_cutouts(pairs, torch.Generator().manual_seed(seed))
    back = F.grid_sample(cutouts[:, 4:], flow, align_corners=False)
    true = find_straps(pairs)
    seen = F.grid_sample(torch.ones_like(true), flow, align_corners=False) > 0.99  # the rest left the picture
    assert float(((back - true).abs() * seen).sum()) < 0.6 * float((true * seen).sum())


def test_a_face_without_a_mask_gives_an_empty_cutout() -> None:
    pairs = ellipses((0, 0.4, 0.5, 0.3))
    pairs = dataclasses.replace(pairs, masked=pairs.face, mask=torch.zeros(1, 1, SIZE, SIZE))
    assert float(cut_out_masks(pairs).max()) == 0
    assert float(disturbed_cutouts(pairs, torch.Generator().manual_seed(0))[0].max()) == 0


@settings(max_examples=30)
@given(places, st.integers(0, 1000))
def test_the_flow_puts_a_disturbed_cutout_back_on_its_face(box: tuple[float, float, float, float], seed: int) -> None:
    pairs = ellipses(box)
    cutouts, flow = disturbed_cutouts(pairs, torch.Generator().manual_seed(seed))
    cover = cutouts[0, 3]
    if float(cover[[0, -1]].sum() + cover[:, [0, -1]].sum()):
        return  # a part of it was pushed out of the picture
    back = F.grid_sample(cutouts[:, 3:4], flow, align_corners=False)
    assert float((back - pairs.mask).abs().mean()) < 0.03
    assert float((cutouts[:, 3:4] - pairs.mask).abs().mean()) > 0.005, "it was somewhere else"


def test_the_flow_turns_a_disturbed_cutout_with_a_tilted_face() -> None:
    pairs = ellipses(*[(0.0, 0.2, 0.4, 0.25)] * 6)
    seen, upright = tilted(pairs, PRESETS["compact"], torch.Generator().manual_seed(3))
    cutouts, flow = disturbed_cutouts(pairs, torch.Generator().manual_seed(5), upright)
    back = F.grid_sample(cutouts[:, 3:4], flow, align_corners=False)
    assert float((back - seen.mask).abs().mean()) < 0.03 < float((back - pairs.mask).abs().mean())


def test_disturbed_cutouts_are_still_cutouts() -> None:
    two = ellipses((0, 0.4, 0.5, 0.3), (0.1, 0.3, 0.4, 0.3))
    cutouts, flow = disturbed_cutouts(two, torch.Generator().manual_seed(1))
    assert cutouts.shape == (2, 5, SIZE, SIZE) and flow.shape == (2, SIZE, SIZE, 2)
    assert float(cutouts.min()) >= 0 and float(cutouts.max()) <= 1
    assert bool((cutouts[:, :3] <= whole_of(cutouts)).all()), "multiplied by their coverage"


def test_coordinates_are_exact_where_products_are_not() -> None:
    pairs = ellipses((0, 0.4, 0.5, 0.3))
    cutouts, flow = disturbed_cutouts(pairs, torch.Generator().manual_seed(1))
    with torch.autocast("cpu", torch.bfloat16):
        again = disturbed_cutouts(pairs, torch.Generator().manual_seed(1))
    assert torch.equal(again[0], cutouts) and torch.equal(again[1], flow)


def test_cutouts_are_disturbed_by_the_seed_and_lit_anew() -> None:
    pairs = ellipses((0, 0.4, 0.5, 0.3), (0.1, 0.3, 0.4, 0.3))
    first, _ = disturbed_cutouts(pairs, torch.Generator().manual_seed(1))
    again, _ = disturbed_cutouts(pairs, torch.Generator().manual_seed(1))
    other, _ = disturbed_cutouts(pairs, torch.Generator().manual_seed(2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    means = [(cutouts[:, :3].sum((2, 3)) / cutouts[:, 3:4].sum((2, 3))) for cutouts in (first, cut_out_masks(pairs))]
    assert float((means[0] / means[1] - 1).abs().max()) > 0.05


def test_gathered_cutouts_start_with_the_most_typical_and_go_round() -> None:
    pairs = ellipses(*[(0.0, 0.4, 0.5, 0.3)] * 3, (0.0, 0.4, 0.3, 0.45))
    level = torch.tensor([0.2, 0.4, 0.6, 0.4])[:, None, None, None]
    pairs = Pairs(pairs.face, pairs.mask * level + pairs.face * (1 - pairs.mask), pairs.mask)
    cutouts = gather_cutouts([pairs], 6)
    assert cutouts.shape == (6, 5, SIZE, SIZE) and cutouts.dtype == torch.uint8
    taken = (cut_out_masks(pairs) * 255).round().to(torch.uint8)
    assert torch.equal(cutouts[0], taken[1]), "of middle brightness and the usual shape"
    assert [next(n for n in range(4) if torch.equal(cutout, taken[n])) for cutout in cutouts] == [1, 0, 2, 3, 1, 0]


def test_cutouts_of_unusual_shape_are_left_out() -> None:
    pairs = ellipses((0.0, 0.4, 0.2, 0.3), *[(0.0, 0.4, 0.5, 0.3)] * 3)
    kept = gather_cutouts([pairs], 2)
    wide = (cut_out_masks(pairs)[1] * 255).round().to(torch.uint8)
    assert all(torch.equal(cutout, wide) for cutout in kept)


def test_few_more_cutouts_are_gathered_than_are_kept(tiny: SimpleNamespace) -> None:
    asked = []

    def batches() -> Iterator[Pairs]:
        for number in range(9):
            asked.append(number)
            yield tiny.make_pairs(2, 16, number)

    assert len(gather_cutouts(batches(), 3)) == 3
    assert asked == list(range(6)), "twelve for three"
