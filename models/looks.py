"""Looks: pictures of masks taken off the faces that they were seen on, to be put on others.

A look is float (4, S, S): RGB times coverage, and coverage, 0..1. Its mask always lies at the same place in the same
size, so that where it goes must be told from the face. Coordinates run from -1 to 1 between the edges of a picture.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional as F

from faceloom.models.pairs import Pairs

PLACE = (0.0, 0.35)
"""Where the middle of a mask lies in a look, x and y: about where it lies in an aligned crop."""
SPREAD = 0.3
"""How large a mask is in a look: geometric mean of the standard deviations of its pixels' x and y."""
BENDS = 4
"""Control points across the random bending of looks in training."""


def spots(pairs: Pairs) -> tuple[Tensor, Tensor]:
    """Middle, float (N, 2), and size, float (N,), of each mask in its crop; those of a look where there is no mask."""
    mask = pairs.mask[:, 0].double()
    height, width = mask.shape[1:]
    rows = (torch.arange(height, device=mask.device) * 2 + 1.0) / height - 1
    columns = (torch.arange(width, device=mask.device) * 2 + 1.0) / width - 1
    total = mask.sum((1, 2))
    some = total.clamp(min=1e-6)
    x, y = (mask.sum(1) * columns).sum(1) / some, (mask.sum(2) * rows).sum(1) / some
    spread_x = ((mask.sum(1) * (columns - x[:, None]) ** 2).sum(1) / some).sqrt()
    spread_y = ((mask.sum(2) * (rows - y[:, None]) ** 2).sum(1) / some).sqrt()
    size = (spread_x * spread_y).sqrt()
    there = (total > 0) & (size > 1e-3)
    middle = torch.where(there[:, None], torch.stack([x, y], 1), torch.tensor(PLACE, device=mask.device).double())
    return middle.float(), torch.where(there, size, torch.full_like(size, SPREAD)).float()


def take_looks(pairs: Pairs) -> Tensor:
    """The look of each masked face, float (N, 4, S, S)."""
    return _lift(pairs, torch.eye(2).expand(len(pairs), 2, 2), torch.zeros(len(pairs), 2, BENDS, BENDS))[0]


def disturbed_looks(pairs: Pairs, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    """Looks as from other faces: shifted, scaled, turned, sheared, bent and lit at random.

    Args:
        pairs: the batch.
        chance: a generator on the CPU.

    Returns:
        The looks, float (N, 4, S, S), and the flow that puts each back on its face, float (N, S, S, 2).
    """
    count = len(pairs)
    turn = torch.eye(2) + 0.16 * (2 * torch.rand(count, 2, 2, generator=chance) - 1)
    bend = 0.10 * (2 * torch.rand(count, 2, BENDS, BENDS, generator=chance) - 1)
    looks, flow = _lift(pairs, turn, bend)
    light = 0.25 * torch.randn(count, 1, 1, 1, generator=chance) + 0.04 * torch.randn(count, 3, 1, 1, generator=chance)
    side = 0.15 * torch.randn(count, 1, 1, 1, generator=chance) * torch.linspace(-1, 1, looks.shape[3])
    lit = (looks[:, :3] * torch.exp(light + side).to(looks.device)).minimum(looks[:, 3:])
    return torch.cat([lit, looks[:, 3:]], 1), flow


def _lift(pairs: Pairs, turn: Tensor, bend: Tensor) -> tuple[Tensor, Tensor]:
    """Take masks off their faces through a linear map and a bending, and say how to go back.

    A point p of a look shows the point `middle + size / SPREAD * turn (p + bend(p) - PLACE)` of the crop.
    """
    device = pairs.face.device
    turn, bend = turn.to(device), bend.to(device)
    middle, size = spots(pairs)
    matrix = turn * (size / SPREAD)[:, None, None]
    height, width = pairs.face.shape[2:]
    here = F.affine_grid(torch.eye(2, 3, device=device)[None], [1, 1, height, width], align_corners=False)
    place = torch.tensor(PLACE, device=device)

    def bent(points: Tensor) -> Tensor:
        if not bend.any():
            return torch.zeros_like(points)
        return F.grid_sample(bend, points, padding_mode="border", align_corners=True).permute(0, 2, 3, 1)

    start = here.expand(len(pairs), -1, -1, -1)
    shown = torch.einsum("nij,nhwj->nhwi", matrix, start + bent(start) - place) + middle[:, None, None]
    source = torch.cat([pairs.masked * pairs.mask, pairs.mask], 1)
    looks = F.grid_sample(source, shown, mode="bicubic", align_corners=False).clamp(0, 1)
    straight = torch.einsum("nij,nhwj->nhwi", torch.linalg.inv(matrix), start - middle[:, None, None]) + place
    back = straight
    for _ in range(6):  # the bending is gentle, so this converges
        back = straight - bent(back)
    return torch.cat([looks[:, :3].minimum(looks[:, 3:]), looks[:, 3:]], 1), back


def gather_looks(batches: Iterable[Pairs], count: int) -> Tensor:
    """Looks of the first `count` pairs, uint8 (count, 4, S, S): the most typical first, in a circle if there are few.

    The most typical is the one with the smallest sum of distances to all others.
    """
    taken: list[Tensor] = []
    for pairs in batches:
        taken += take_looks(pairs)
        if len(taken) >= count:
            break
    looks = torch.stack(taken[:count])
    flat = F.avg_pool2d(looks, 4).flatten(1)
    typical = int(torch.cdist(flat, flat, 1).sum(1).argmin())
    order = [typical, *(number for number in range(len(looks)) if number != typical)]
    chosen = looks[[order[number % len(order)] for number in range(count)]]
    return (chosen * 255).round().to(torch.uint8)
