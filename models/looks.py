"""Looks: pictures of masks taken off the faces that they were seen on, to be put on others.

A look is float (4, S, S): RGB times coverage, and coverage, 0..1, in the crop of the face that wore it. Coordinates run
from -1 to 1 between the edges of a picture.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional as F

from faceloom.models.pairs import Pairs

MIDDLE = (0.0, 0.55)
"""About where a mask lies in an aligned crop, x and y: looks are turned and scaled around it."""
BENDS = 4
"""Control points across the random bending of looks in training."""


def take_looks(pairs: Pairs) -> Tensor:
    """The look of each masked face, float (N, 4, S, S).

    A truth of 0 and 1 has steps along its edge that bending would show, so the coverage is smoothed over a pixel; the
    colour there comes from the mask inside, never from the skin.
    """
    cover, inside = _smoothed(pairs.mask), pairs.masked * pairs.mask
    spread = _smoothed(inside) / cover.clamp(min=1e-3)
    colour = torch.lerp(spread, pairs.masked, pairs.mask)
    return torch.cat([(colour * cover).minimum(cover), cover], 1)


def _smoothed(picture: Tensor) -> Tensor:
    """Binomial smoothing over 3x3 pixels."""
    line = torch.tensor([0.25, 0.5, 0.25], device=picture.device)
    kernel = (line[:, None] * line).expand(picture.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(picture, (1, 1, 1, 1), mode="replicate"), kernel, groups=picture.shape[1])


def disturbed_looks(pairs: Pairs, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    """Looks as from other faces: shifted, scaled, turned, sheared, bent and lit at random.

    Args:
        pairs: the batch.
        chance: a generator on the CPU.

    Returns:
        The looks, float (N, 4, S, S), and the flow that puts each back on its face, float (N, S, S, 2).
    """
    with torch.autocast(pairs.face.device.type, enabled=False):  # bfloat16 cannot tell an eighth of a pixel
        return _disturb(pairs, chance)


def _disturb(pairs: Pairs, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    count, device = len(pairs), pairs.face.device

    def drawn(reach: float, *shape: int) -> Tensor:
        return (reach * (2 * torch.rand(count, *shape, generator=chance) - 1)).to(device)

    turn, shift, bend = torch.eye(2, device=device) + drawn(0.16, 2, 2), drawn(0.16, 2), drawn(0.14, 2, BENDS, BENDS)
    height, width = pairs.face.shape[2:]
    here = F.affine_grid(torch.eye(2, 3, device=device).expand(count, 2, 3), [count, 1, height, width], False)
    middle = torch.tensor(MIDDLE, device=device)

    def bent(points: Tensor) -> Tensor:
        return F.grid_sample(bend, points, padding_mode="border", align_corners=True).permute(0, 2, 3, 1)

    # Point p of the disturbed look shows the point `turn (p + bend(p) - middle) + middle + shift` of the crop.
    offset = (middle + shift)[:, None, None]
    shown = torch.einsum("nij,nhwj->nhwi", turn, here + bent(here) - middle) + offset
    looks = F.grid_sample(take_looks(pairs), shown, mode="bicubic", align_corners=False).clamp(0, 1)
    straight = torch.einsum("nij,nhwj->nhwi", torch.linalg.inv(turn), here - offset) + middle
    back = straight
    for _ in range(8):  # the bending is gentle, so this converges
        back = straight - bent(back)
    side = drawn(0.25, 1, 1, 1) * torch.linspace(-1, 1, width, device=device)
    light = torch.exp(drawn(0.4, 1, 1, 1) + drawn(0.06, 3, 1, 1) + side)
    cover = looks[:, 3:]
    return torch.cat([(looks[:, :3] * light).minimum(cover), cover], 1), back


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
