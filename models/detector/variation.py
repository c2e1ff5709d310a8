"""Variation of training pictures: place, light, sharpness, noise and colour."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F


class Variation(Protocol):
    """How much pictures vary; see the fields of `DetectorPreset`."""

    @property
    def flip(self) -> bool: ...
    @property
    def shift(self) -> float: ...
    @property
    def zoom(self) -> float: ...
    @property
    def turn(self) -> float: ...
    @property
    def degrade(self) -> float: ...


def moved(picture: Tensor, truth: Tensor, preset: Variation, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mirror, shift, zoom and rotate each picture and its map at random; edges are mirrored.

    Args:
        picture: float (N, 3, S, S).
        truth: float (N, 1, S, S).
        chance: a generator on the CPU.
    """
    count = len(picture)
    shift_x, shift_y, zoom, turn = torch.rand(4, count, generator=chance) * 2 - 1
    mirror = (torch.rand(count, generator=chance) < 0.5) & preset.flip
    sign = torch.where(mirror, -1.0, 1.0)
    scale, turn = torch.exp(zoom * math.log(preset.zoom)), turn * preset.turn
    cos, sin = scale * torch.cos(turn), scale * torch.sin(turn)
    reach = 2 * preset.shift
    rows = torch.stack([sign * cos, -sign * sin, reach * shift_x, sin, cos, reach * shift_y], 1)
    both = torch.cat([picture, truth], 1)
    grid = F.affine_grid(rows.reshape(count, 2, 3).to(picture.device), list(both.shape), align_corners=False)
    both = F.grid_sample(both, grid, padding_mode="reflection", align_corners=False)
    return both[:, :3], both[:, 3:]


def degraded(picture: Tensor, preset: Variation, chance: torch.Generator) -> Tensor:
    """Vary light and colour of all pictures, and blur, add noise to, or remove the colour of a share of each.

    Args:
        picture: float (N, 3, S, S), 0..1.
        chance: a generator on the CPU.
    """
    if not preset.degrade:
        return picture
    count, device = len(picture), picture.device
    small, noisy, grey = (torch.rand(3, count, 1, 1, 1, generator=chance) < preset.degrade).to(device)
    drawn = (torch.rand(5, count, 1, 1, 1, generator=chance) * 2 - 1).to(device)
    factor = 2 + int(torch.rand(1, generator=chance) < 0.5)
    noise = torch.randn(picture.shape, generator=chance).to(device) * 0.05 * drawn[4].abs()
    low = F.avg_pool2d(picture, factor)
    low = F.interpolate(low, picture.shape[2:], mode="bilinear", align_corners=False)
    picture = torch.where(small, low, picture)
    picture = torch.where(grey, picture.mean(1, keepdim=True), picture)
    tint = torch.cat([drawn[2], torch.zeros_like(drawn[2]), drawn[3]], 1) * 0.06 * ~grey
    picture = (picture - 0.5) * (1 + 0.35 * drawn[0]) + 0.5 + 0.18 * drawn[1] + tint
    return (picture + noise * noisy).clamp(0, 1)
