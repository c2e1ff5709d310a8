"""Shared layers: shapes, and results that do not depend on the rest of a batch."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from faceloom.models.layers import Block, average, places


@pytest.mark.parametrize(("stride", "dilation", "side"), [(1, 1, 8), (2, 1, 4), (1, 2, 8), (1, 4, 8)])
def test_a_block_keeps_the_size_or_halves_it(stride: int, dilation: int, side: int) -> None:
    out = Block(3, 5, stride, dilation)(torch.rand(2, 3, 8, 8))
    assert out.shape == (2, 5, side, side) and float(out.detach().min()) == 0, "ReLU"


def test_a_dilated_block_sees_farther() -> None:
    block = Block(1, 1, dilation=4).eval()
    torch.nn.init.ones_(block.conv.weight)
    dot = torch.zeros(1, 1, 16, 16)
    dot[..., 8, 8] = 1
    rows = torch.nonzero(block(dot)[0, 0].detach().sum(1)).flatten().tolist()
    assert rows == [4, 8, 12]


def test_the_average_is_the_mean_and_the_same_at_each_place_of_a_batch() -> None:
    x = torch.rand(5, 2, 7, 9)
    torch.testing.assert_close(average(x), x.mean((2, 3), keepdim=True))
    same = average(x[:1].expand(5, -1, -1, -1).contiguous())
    assert all(torch.equal(same[0], one) for one in same)


def test_places_are_pixel_centres_between_minus_one_and_one() -> None:
    found = places(torch.zeros(2, 3, 2, 4))
    assert found.shape == (2, 2, 2, 4)
    torch.testing.assert_close(found[1, 0, 0], torch.tensor([-0.75, -0.25, 0.25, 0.75]))
    torch.testing.assert_close(found[0, 1, :, 3], torch.tensor([-0.5, 0.5]))
