"""Structural similarity (SSIM) as a differentiable figure."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def ssim(one: Tensor, other: Tensor, window: int = 11, sigma: float = 1.5) -> Tensor:
    """Mean structural similarity of two batches of pictures, a scalar; 1 for equal pictures.

    Wang et al. 2004 with K1 = 0.01, K2 = 0.03, per channel, over all places where the Gaussian window lies inside.
    It is computed in float32 under autocast too: a variance as a difference of two means is lost in bfloat16.

    Args:
        one, other: float (N, C, H, W), 0..1, sides of at least `window` pixels.
    """
    with torch.autocast(one.device.type, enabled=False):
        return _ssim(one.float(), other.float(), window, sigma)


def _ssim(one: Tensor, other: Tensor, window: int, sigma: float) -> Tensor:
    channels = one.shape[1]
    at = torch.arange(window, device=one.device, dtype=torch.float32) - (window - 1) / 2
    bell = torch.exp(-(at**2) / (2 * sigma**2))
    bell = bell / bell.sum()

    def blurred(x: Tensor) -> Tensor:
        rows = F.conv2d(x, bell.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
        return F.conv2d(rows, bell.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)

    mean_one, mean_other = blurred(one), blurred(other)
    spread_one = blurred(one * one) - mean_one**2
    spread_other = blurred(other * other) - mean_other**2
    common = blurred(one * other) - mean_one * mean_other
    c1, c2 = 0.01**2, 0.03**2
    likeness = (2 * mean_one * mean_other + c1) * (2 * common + c2)
    return (likeness / ((mean_one**2 + mean_other**2 + c1) * (spread_one + spread_other + c2))).mean()
