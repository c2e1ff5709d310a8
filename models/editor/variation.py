"""Variation of an editor's samples: light and colour."""

from __future__ import annotations

import torch
from torch import Tensor


def toned(pictures: tuple[Tensor, ...], amount: float, chance: torch.Generator) -> tuple[Tensor, ...]:
    """Vary light and colour of samples at random, alike for all pictures of a sample.

    An editor must take the tone of the skin from the face above the mask. With few people it learns a mean tone
    instead; this variation makes that tone useless.

    Args:
        pictures: float (N, 3, S, S) each, RGB, 0..1; the same N samples in each.
        amount: 0..1; light varies by this share, each colour by a third of it, and half of this share of the samples
            become grey.
        chance: a generator on the CPU.
    """
    count = len(pictures[0])
    light = 1 + amount * (2 * torch.rand(count, 1, 1, 1, generator=chance) - 1)
    tint = 1 + amount / 3 * (2 * torch.rand(count, 3, 1, 1, generator=chance) - 1)
    grey = torch.rand(count, 1, 1, 1, generator=chance) < amount / 2

    def vary(picture: Tensor) -> Tensor:
        mean = picture.mean(1, keepdim=True).expand_as(picture)
        lit = torch.where(grey.to(picture.device), mean, picture * tint.to(picture.device))
        return (lit * light.to(picture.device)).clamp(0, 1)

    return tuple(vary(picture) for picture in pictures)
