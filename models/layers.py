"""Parts that the networks of the compact autoencoder share. Their bits do not depend on the place in a batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """A 3x3 convolution, batch normalisation, ReLU.

    Args:
        before, after: feature maps.
        stride: of the convolution.
        dilation: of the convolution.
    """

    def __init__(self, before: int, after: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, stride, dilation, dilation, bias=False)
        self.norm = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        """Returns float (N, after, H / stride, W / stride)."""
        return F.relu(self.norm(self.conv(x)))


def average(x: Tensor) -> Tensor:
    """Mean over all pixels, (N, C, 1, 1). `x.mean` sums in an order that depends on the place in the batch."""
    return F.avg_pool2d(x, x.shape[2:])


def places(face: Tensor) -> Tensor:
    """x and y of each pixel centre, float (N, 2, H, W); the edges of the crop are at -1 and 1."""
    count, _, height, width = face.shape
    rows = (torch.arange(height, device=face.device, dtype=torch.float32) * 2 + 1) / height - 1
    columns = (torch.arange(width, device=face.device, dtype=torch.float32) * 2 + 1) / width - 1
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy")).expand(count, 2, height, width)
