"""Training pairs of a masking network as tensors, and their augmentation during training."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from faceloom.models.presets import PairPreset

TILT = 45
"""Largest turn of a face in training to either side, in degrees."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """A batch of pairs.

    Attributes:
        face: float32 (N, 3, S, S), RGB, 0..1.
        masked: the same faces with a mask.
        mask: coverage of the mask, float32 (N, 1, S, S), 0..1.
    """

    face: Tensor
    masked: Tensor
    mask: Tensor

    @property
    def members(self) -> dict[str, Tensor]:
        """The tensors by name."""
        return {"face": self.face, "masked": self.masked, "mask": self.mask}

    def __len__(self) -> int:
        return len(self.face)


def moved(pairs: Pairs, preset: PairPreset, chance: torch.Generator) -> Pairs:
    """Mirror, shift, scale and rotate each pair at random, within the limits of the preset; edges are mirrored.

    Args:
        chance: a generator on the CPU.
    """
    if not preset.flip and not preset.jitter:
        return pairs
    count = len(pairs)
    shift_x, shift_y, scale, turn = (torch.rand(4, count, generator=chance) * 2 - 1) * preset.jitter
    mirror = torch.rand(count, generator=chance) < 0.5
    sign = torch.where(mirror & preset.flip, -1.0, 1.0)
    cos, sin = (1 + scale) * torch.cos(turn), (1 + scale) * torch.sin(turn)
    rows = torch.stack([sign * cos, -sign * sin, 2 * shift_x, sin, cos, 2 * shift_y], 1)
    matrix = rows.reshape(count, 2, 3).to(pairs.face.device)
    parts = torch.cat([pairs.face, pairs.masked, pairs.mask], 1)
    if preset.jitter:
        grid = F.affine_grid(matrix, list(parts.shape), align_corners=False)
        parts = F.grid_sample(parts, grid, padding_mode="reflection", align_corners=False)
    else:  # no resampling: pixels keep their values
        parts = torch.where(mirror.to(parts.device)[:, None, None, None], parts.flip(3), parts)
    return Pairs(parts[:, :3], parts[:, 3:6], parts[:, 6:])


def tilted(pairs: Pairs, preset: PairPreset, chance: torch.Generator) -> tuple[Pairs, Tensor | None]:
    """Turn each pair at random by up to `TILT`, small angles more often; edges are mirrored.

    Cutouts are stored upright, as in the build, and a network must turn them with the head.

    Args:
        preset: without `jitter`, pairs stay as they are.
        chance: a generator on the CPU.

    Returns:
        The pairs, and the matrices that map points of a tilted picture into the upright one, float (N, 2, 2); None if
        nothing is tilted.
    """
    if not preset.jitter:
        return pairs, None
    draws = 2 * torch.rand(len(pairs), generator=chance) - 1
    turn = math.radians(TILT) * draws * draws.abs()
    cos, sin = torch.cos(turn), torch.sin(turn)
    upright = torch.stack([cos, -sin, sin, cos], 1).reshape(-1, 2, 2).to(pairs.face.device)
    parts = torch.cat([pairs.face, pairs.masked, pairs.mask], 1)
    with torch.autocast(parts.device.type, enabled=False):  # bfloat16 cannot resolve an eighth of a pixel
        grid = F.affine_grid(F.pad(upright, (0, 1)), list(parts.shape), align_corners=False)
        parts = F.grid_sample(parts, grid, padding_mode="reflection", align_corners=False)
    return Pairs(parts[:, :3], parts[:, 3:6], parts[:, 6:]), upright


def degraded(pairs: Pairs, preset: PairPreset, chance: torch.Generator) -> tuple[Pairs, Tensor]:
    """Blur a share of the pairs like small photos, remove the colour of another share, darken or brighten all.

    A network without landmarks is meant for small, grey and dim photos, and the training pairs hold few. A mask is as
    grey and as blurred as its face.

    Args:
        chance: a generator on the CPU.

    Returns:
        The pairs, and 1 for each that was blurred, else 0, float (N, 1, 1, 1).
    """
    count, device = len(pairs), pairs.face.device
    if not preset.degrade:
        return pairs, torch.zeros(count, 1, 1, 1, device=device)
    draws = torch.rand(3, count, generator=chance)
    factor = 2 + 2 * int(torch.rand(1, generator=chance) < 0.5)
    small, grey = (draws[:2] < preset.degrade).to(device)[..., None, None, None]
    light = (0.45 + 0.7 * draws[2]).to(device)[:, None, None, None]

    def smaller(picture: Tensor) -> Tensor:
        low = F.avg_pool2d(picture, factor)
        return torch.where(small, F.interpolate(low, picture.shape[2:], mode="bilinear", align_corners=False), picture)

    def colourless(picture: Tensor) -> Tensor:
        return torch.where(grey, picture.mean(1, keepdim=True).expand_as(picture), picture)

    seen = [smaller(colourless(picture) * light).clamp(0, 1) for picture in (pairs.face, pairs.masked)]
    return replace(pairs, face=seen[0], masked=seen[1]), small.float()
