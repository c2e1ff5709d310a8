"""The outline network: its shapes, what it can learn, and an edge of one pixel."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch
from torch.nn import functional as F

from faceloom.models.mask_outline import BLURRED_EDGE, MaskOutline, coverage_of


@pytest.mark.parametrize(("widths", "height", "width"), [((4,), 6, 10), ((4, 6, 8), 64, 64), ((4, 6, 8), 40, 72)])
def test_it_takes_any_multiple_of_its_stride(widths: tuple[int, ...], height: int, width: int) -> None:
    with torch.inference_mode():
        assert MaskOutline(widths).eval()(torch.rand(2, 3, height, width)).shape == (2, 1, height, width)


def test_a_face_in_a_batch_does_not_change_another() -> None:
    network, faces = MaskOutline((4, 6)).eval(), torch.rand(3, 3, 16, 16)
    with torch.inference_mode():
        before, after = network(faces), network(torch.cat([faces[:2], faces[2:] / 2]))
    assert torch.equal(before[:2], after[:2]) and not torch.equal(before[2], after[2])


@pytest.mark.parametrize(("tall", "reached"), [(4, True), (2, False)])
def test_it_finds_the_outline_that_half_of_the_masks_reach(tall: int, reached: bool) -> None:
    torch.manual_seed(0)
    network = MaskOutline((6, 8))
    adam = torch.optim.Adam(network.parameters(), 0.01)
    mask = torch.zeros(6, 1, 16, 16)
    mask[:, :, 4:8, 4:12] = 1
    mask[:tall, :, 8:14, 4:12] = 1
    for _ in range(150):
        face = 0.5 + 0.1 * torch.rand(6, 3, 16, 16)  # nothing in it tells the masks apart
        adam.zero_grad()
        F.binary_cross_entropy_with_logits(network(face), mask).backward()  # type: ignore[no-untyped-call]
        adam.step()
    with torch.inference_mode():
        found = (network.eval()(0.5 + 0.1 * torch.rand(6, 3, 16, 16)) > 0).float()
    assert float(found[:, :, 5:7, 5:11].mean()) > 0.9, "all masks cover it"
    assert (float(found[:, :, 9:13, 5:11].mean()) > 0.9) == reached
    assert float(found[:, :, 9:13, 5:11].mean()) < 0.1 or reached
    assert float(found[..., :3].mean()) < 0.1, "no mask covers it"


angles = st.floats(0, 2 * math.pi)


@given(angle=angles, steep=st.floats(0.05, 50), distance=st.floats(-3, 3))
def test_the_edge_is_one_pixel_wide_whatever_the_slope(angle: float, steep: float, distance: float) -> None:
    rows = torch.arange(17.0) - 8
    away = math.cos(angle) * rows[None] + math.sin(angle) * rows[:, None] + distance
    cover = coverage_of(steep * away[None, None], torch.zeros(1, 1, 1, 1))[0, 0, 1:-1, 1:-1]
    torch.testing.assert_close(cover, (away[1:-1, 1:-1] + 0.5).clamp(0, 1), rtol=0, atol=1e-4)


def test_the_edge_of_a_blurred_face_is_wider_and_in_the_same_place() -> None:
    level = (torch.arange(16.0) - 7.5).expand(1, 1, 16, 16)
    sharp, soft = (coverage_of(level, torch.full((1, 1, 1, 1), blur))[0, 0, 8] for blur in (0.0, 1.0))
    assert int(((sharp > 0) & (sharp < 1)).sum()) == 0
    assert int(((soft > 0) & (soft < 1)).sum()) == BLURRED_EDGE
    assert torch.equal(sharp >= 0.5, soft >= 0.5)


def test_far_from_the_outline_coverage_is_exactly_nothing_or_all() -> None:
    level = torch.full((1, 1, 8, 8), -9.0)
    level[..., 4:] = 9
    cover = coverage_of(level, torch.zeros(1, 1, 1, 1))
    assert float(cover[..., :3].max()) == 0 and float(cover[..., 5:].min()) == 1
