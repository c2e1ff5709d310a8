"""The recognition network: published size, maps of attention per block, and the angular margin."""

from __future__ import annotations

import math
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from faceloom.models.askd.networks import ArcFace, AttentionResNet  # noqa: E402
from faceloom.models.networks import parameter_count  # noqa: E402


@pytest.mark.parametrize(("depths", "count"), [((3, 4, 14, 3), 43_814_000), ((2, 2, 2, 2), 24_112_784)])
def test_the_published_size(depths: tuple[int, ...], count: int) -> None:
    with torch.device("meta"):
        assert parameter_count(AttentionResNet(depths)) == count
    with torch.inference_mode():
        seen = AttentionResNet(depths, width=2)(torch.zeros(2, 3, 112, 112))
    assert seen.features.shape == (2, 512)
    sides = [56 >> level for level, depth in enumerate(depths) for _ in range(depth)]
    widths = [2 << level for level, depth in enumerate(depths) for _ in range(depth)]
    assert [tuple(one.shape[1:]) for one in seen.attention[0::2]] == [(width, 1, 1) for width in widths]
    assert [tuple(one.shape[1:]) for one in seen.attention[1::2]] == [(1, side, side) for side in sides]


def test_attention_scales_what_a_block_adds() -> None:
    torch.manual_seed(0)
    network = AttentionResNet((1,), width=4, features=8).eval()
    block: Any = network.blocks[0]
    x = torch.rand(1, 4, 8, 8)
    made, channels, places = block(x)
    changed = block.change(x)
    expected = block.shortcut(x) + changed * torch.sigmoid(channels) * torch.sigmoid(places)
    assert torch.allclose(made, expected, atol=1e-6)


def test_the_margin_counts_for_the_right_person_alone() -> None:
    head = ArcFace(2, 2)
    head.weight.data = torch.eye(2)
    angle = 0.3
    features = 5 * torch.tensor([[math.cos(angle), math.sin(angle)]])
    logits = head(features, torch.tensor([0]))[0]
    assert logits.tolist() == pytest.approx([32 * math.cos(0.8), 32 * math.sin(angle)], rel=1e-4)


def test_a_face_opposite_to_its_person_has_the_smallest_logit() -> None:
    head = ArcFace(2, 2)
    head.weight.data = torch.eye(2)
    assert float(head(torch.tensor([[-1.0, 0.0]]), torch.tensor([0]))[0, 0].detach()) == pytest.approx(-32, abs=1e-3)


def test_gradients_are_finite_under_autocast() -> None:
    head = ArcFace(2, 2)
    head.weight.data = torch.eye(2)
    features = torch.tensor([[3.0, 0.0], [0.0, 2.0]], requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        logits = head(features, torch.tensor([0, 0]))
    logits.sum().backward()
    assert logits.dtype == torch.float32 and features.grad is not None
    assert bool(features.grad.isfinite().all())
    assert head.weight.grad is not None and bool(head.weight.grad.isfinite().all())
