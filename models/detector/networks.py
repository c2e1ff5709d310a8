"""The U-Net of the detector: a picture in, a logit for each pixel out."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _block(before: int, after: int) -> nn.Sequential:
    """A 3x3 convolution with bias, instance normalisation without parameters, and a leaky ReLU."""
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.InstanceNorm2d(after), nn.LeakyReLU(0.2))


class UNet(nn.Module):
    """The U-Net of Mask2Face, layer for layer; with its widths it has 34,476,929 parameters.

    Down: one convolution at full resolution, then at each level maximum pooling and two convolutions. Up: a transposed
    convolution, the features of the same size from the way down, two convolutions. Out: a 3x3 convolution.

    Args:
        widths: feature maps at full resolution, a half, a quarter …
        reduce: factor by which pictures are reduced before the first layer, and logits enlarged after the last.
    """

    def __init__(self, widths: tuple[int, ...], reduce: int = 1) -> None:
        super().__init__()
        self.reduce = reduce
        self.down = nn.ModuleList([_block(3, widths[0])])
        self.up, self.merge = nn.ModuleList(), nn.ModuleList()
        for before, after in pairwise(widths):
            self.down.append(nn.Sequential(nn.MaxPool2d(2), _block(before, after), _block(after, after)))
        for before, after in pairwise(widths[::-1]):
            self.up.append(
                nn.Sequential(
                    nn.ConvTranspose2d(before, after, 3, 2, 1, 1), nn.InstanceNorm2d(after), nn.LeakyReLU(0.2)
                )
            )
            self.merge.append(nn.Sequential(_block(2 * after, after), _block(after, after)))
        self.out = nn.Conv2d(widths[0], 1, 3, padding=1)

    def forward(self, picture: Tensor) -> Tensor:
        """Logits of the mask's map, float (N, 1, S, S).

        Args:
            picture: float (N, 3, S, S), RGB, 0..1.
        """
        kept: list[Tensor] = []
        x = F.avg_pool2d(picture, self.reduce) if self.reduce > 1 else picture
        for down in self.down:
            x = down(x)
            kept.append(x)
        kept.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([up(x), kept.pop()], 1))
        logits: Tensor = self.out(x)
        if self.reduce > 1:
            logits = F.interpolate(logits, picture.shape[2:], mode="bilinear", align_corners=False)
        return logits
