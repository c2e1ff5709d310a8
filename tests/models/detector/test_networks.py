"""The U-Net is that of Mask2Face, layer for layer."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from faceloom.models.detector.networks import UNet
from faceloom.models.detector.preset import DETECTOR, DetectorPreset


def test_the_paper_preset_has_the_published_layers_and_34476929_parameters() -> None:
    paper = DETECTOR.presets[0]
    assert isinstance(paper, DetectorPreset) and (paper.size, paper.batch, paper.epochs) == (160, 32, 75)
    with torch.device("meta"):
        network = UNet(paper.widths, paper.reduce)
    assert sum(parameter.numel() for parameter in network.parameters()) == 34_476_929
    shapes: list[tuple[int, ...]] = []
    for layer in (*network.down, *network.merge, network.out):
        layer.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:])))
    assert network(torch.empty(2, 3, 160, 160, device="meta")).shape == (2, 1, 160, 160)
    down = [(64, 160, 160), (128, 80, 80), (256, 40, 40), (512, 20, 20), (1024, 10, 10)]
    assert shapes == [*down, *down[-2::-1], (1, 160, 160)]
    assert all(conv.bias is not None for conv in network.modules() if isinstance(conv, torch.nn.Conv2d))


def test_a_reduced_network_gives_a_map_of_the_full_size() -> None:
    network = UNet((4, 8), reduce=2)
    assert network(torch.rand(1, 3, 16, 16)).shape == (1, 1, 16, 16)
