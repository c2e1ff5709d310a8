"""The outline of a mask on a face, predicted from the face alone."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceloom.models.layers import Block, average, places

BLURRED_EDGE = 4
"""Width of the edge on a blurred face, in pixels; on a sharp one it is one pixel."""
LEAST_SLOPE = 1e-3
"""Slope of the level below which a pixel is far from the outline."""


class MaskOutline(nn.Module):
    """A U-Net that predicts where masks cover a face.

    Size, height and tilt of a mask differ on the same face. Trained with cross-entropy, the network finds the outline
    that half of the masks reach. It agrees better with each of them than two of them do with each other.

    Fully convolutional: takes any height and width that are multiples of `2 ** len(widths)`.

    Args:
        widths: feature maps at half, a quarter … of the resolution.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = Block(5, widths[0], 2)
        self.down = nn.ModuleList(nn.Sequential(Block(a, b, 2), Block(b, b)) for a, b in pairwise(widths))
        self.context = nn.Conv2d(widths[-1], widths[-1], 1)
        self.bottom = nn.Sequential(*(Block(widths[-1], widths[-1], dilation=reach) for reach in (1, 2, 4, 1)))
        self.up = nn.ModuleList(Block(b + a, a) for a, b in reversed(list(pairwise(widths))))
        self.level = nn.Conv2d(widths[0], 1, 3, 1, 1)

    def forward(self, face: Tensor) -> Tensor:
        """The level of each pixel, float (N, 1, H, W): a logit, above 0 where more than half of the masks cover it.

        Args:
            face: float (N, 3, H, W), RGB, 0..1.
        """
        seen = [self.stem(torch.cat([face - 0.5, places(face)], 1))]
        for down in self.down:
            seen.append(down(seen[-1]))
        x = seen.pop()
        x = self.bottom(x + self.context(average(x)))
        for up in self.up:
            x = up(torch.cat([_twice(x), seen.pop()], 1))
        return _twice(self.level(x)).float()


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def coverage_of(level: Tensor, soft: Tensor) -> Tensor:
    """Coverage with an edge of one pixel along the outline, where `level` is 0; a blurred face gets a wider one.

    Args:
        level: float (N, 1, H, W).
        soft: share of blur, float (N, 1, 1, 1), 0..1.

    Returns:
        float (N, 1, H, W), 0..1; exactly 0 and 1 farther from the outline, unless the level is nearly flat around 0.
    """
    # The level divided by its slope is the distance to the outline. No sigmoid: see `CompactMasker.find`.
    wide = F.pad(level, (1, 1, 1, 1), mode="replicate")
    across = (wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2]) / 2
    down = (wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]) / 2
    slope = (across * across + down * down).sqrt().clamp(min=LEAST_SLOPE)
    return (level / slope / (1 + (BLURRED_EDGE - 1) * soft) + 0.5).clamp(0, 1)
