"""The editor's networks: layers and sizes as published, and pixels outside the hole that are the photo's own."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from faceloom.models.editor.networks import Editor, GatedNet, SqueezeExcitation, filled  # noqa: E402
from faceloom.models.networks import parameter_count  # noqa: E402


def test_the_published_layers() -> None:
    seen = []
    network: Any = GatedNet(2)
    for layer in network.layers[:-1]:
        layer.register_forward_hook(lambda _, __, made: seen.append((32 * made.shape[1], made.shape[2])))
    assert network(torch.zeros(1, 3, 160, 160), torch.zeros(1, 1, 160, 160)).shape == (1, 3, 160, 160)
    assert seen == [
        (64, 160), (128, 80), (256, 80), *[(256, 40)] * 9, (128, 80), (128, 80), (64, 160),
    ]  # fmt: skip
    shapes = [(c.kernel_size[0], c.stride[0], c.dilation[0]) for layer in network.layers for c in [layer.value]]
    assert shapes == [
        (7, 1, 1), (4, 2, 1), (3, 1, 1), (4, 2, 1), (3, 1, 1), (3, 1, 1), (3, 1, 2), (3, 1, 4), (3, 1, 8), (3, 1, 16),
        (3, 1, 1), (3, 1, 1), (3, 1, 1), (3, 1, 1), (3, 1, 1), (7, 1, 1),
    ]  # fmt: skip


def test_the_published_size() -> None:
    with torch.device("meta"):
        assert parameter_count(GatedNet()) == 13_468_550
        assert parameter_count(Editor()) == 2 * 13_468_550
        assert parameter_count(Editor(refine=False)) == 13_468_550
        squeezes = 2 * sum(parameter_count(SqueezeExcitation(width, 16)) for width in (64, 256, 256))
        assert parameter_count(Editor(squeeze_after=(0, 2, 3))) == 2 * 13_468_550 + squeezes


@pytest.mark.parametrize("options", [{}, {"refine": False}, {"squeeze_after": (0, 2, 3)}, {"output": "tanh"}])
def test_pixels_outside_the_hole_are_the_photo_and_those_inside_are_never_read(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    editor = Editor(4, **options).eval()
    photo = torch.rand(2, 3, 24, 32)
    hole = torch.zeros(2, 1, 24, 32)
    hole[:, :, 12:, 8:20] = 1
    with torch.inference_mode():
        edited = editor(photo, hole)
        other = editor(torch.where(hole > 0, 1 - photo, photo), hole)
    outside = (hole == 0).expand_as(photo)
    for made, again in zip(edited, other, strict=True):
        assert torch.equal(made[outside], photo[outside])
        assert not torch.equal(made[~outside], photo[~outside])
        assert torch.equal(made, again)
        assert float(made.min()) >= 0 and float(made.max()) <= 1


def test_the_second_network_refines_the_first() -> None:
    torch.manual_seed(0)
    photo, hole = torch.rand(1, 3, 16, 16), torch.ones(1, 1, 16, 16)
    edited = Editor(4)(photo, hole)
    assert not torch.equal(edited.coarse, edited.refined)
    alone = Editor(4, refine=False)(photo, hole)
    assert alone.coarse is alone.refined


def test_a_hole_is_white() -> None:
    photo, hole = torch.full((1, 3, 4, 4), 0.3), torch.zeros(1, 1, 4, 4)
    hole[..., 1] = 1
    assert filled(photo, hole)[0, 0, 0].tolist() == pytest.approx([0.3, 1, 0.3, 0.3])
