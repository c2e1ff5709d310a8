"""Mask cutouts: pictures of masks, cut out of the masked faces of a build and put on other faces.

A cutout is float (5, S, S), 0..1, in the crop of the face that wore the mask: RGB, multiplied by the larger of both
coverages; coverage of the mask; coverage of its straps.
Coordinates run from -1 to 1 between the edges of a picture. Checkpoints call the cutouts `looks`.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional as F

from faceloom.models.pairs import Pairs

CHANNELS = 5
"""Of a cutout."""
UNCHANGED, STRAP = 0.08, 0.2
"""Change of a pixel beside the mask, 0..1, up to which it is shadow or noise, and from which it is a strap."""
MOST_STRAPS = 0.05
"""Largest share of a picture that straps cover; those of our masks cover less than 0.02."""
MIDDLE = (0.0, 0.55)
"""Typical centre of a mask in an aligned crop, x and y. Cutouts are rotated and scaled around it."""
POOL = 4
"""Cutouts that are looked at for each one that is stored."""
BENDS = 4
"""Control points per axis of the random bending in training."""


def cut_out_masks(pairs: Pairs) -> Tensor:
    """Cut the masks and their straps out of a batch of pairs; returns float (N, 5, S, S).

    Bending would show the steps along the edge of a binary mask, so the coverage is smoothed over one pixel. The colour
    of the edge comes from the inside of the mask, never from the skin.
    """
    with torch.autocast(pairs.face.device.type, enabled=False):
        cover, inside, straps = _smoothed(pairs.mask), pairs.masked * pairs.mask, find_straps(pairs)
        spread = _smoothed(inside) / cover.clamp(min=1e-3)
        colour = torch.lerp(spread, pairs.masked, pairs.mask.maximum(straps))
        return _bounded(torch.cat([colour * cover.maximum(straps), cover, straps], 1))


def find_straps(pairs: Pairs) -> Tensor:
    """Coverage of the straps, float (N, 1, S, S), 0..1: where the picture changed much beside the mask.

    The truth of a build leaves them out, unless the recipe has `output: {straps: true}`. Two photos of a person, as in
    a source of `kind: pairs`, differ in more than straps: if more than `MOST_STRAPS` of a picture changed, none are
    found.
    """
    change = (pairs.masked - pairs.face).abs().amax(1, keepdim=True)
    changed = ((change - UNCHANGED) / (STRAP - UNCHANGED)).clamp(0, 1)
    touched = F.max_pool2d(pairs.mask, 3, 1, 1) >= 0.5
    straps = changed * ~touched
    # Within a pixel of the mask its own edge changed the picture too; only straps that end there reach the mask.
    edge = touched & (pairs.mask < 0.5)
    straps = torch.where(edge, changed.minimum(F.max_pool2d(straps, 3, 1, 1)), straps)
    return straps * (straps.mean((1, 2, 3), keepdim=True) <= MOST_STRAPS)


def whole_of(cutout: Tensor) -> Tensor:
    """Coverage of mask and straps together, float (N, 1, H, W)."""
    return cutout[:, 3:].amax(1, keepdim=True)


def _bounded(cutout: Tensor) -> Tensor:
    """No colour is larger than its coverage."""
    return torch.cat([cutout[:, :3].minimum(whole_of(cutout)), cutout[:, 3:]], 1)


def _smoothed(picture: Tensor) -> Tensor:
    """Binomial smoothing over 3x3 pixels."""
    line = torch.tensor([0.25, 0.5, 0.25], device=picture.device)
    kernel = (line[:, None] * line).expand(picture.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(picture, (1, 1, 1, 1), mode="replicate"), kernel, groups=picture.shape[1])


def disturbed_cutouts(pairs: Pairs, chance: torch.Generator, upright: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Cut masks out and disturb them, as if they came from other faces: shift, scale, rotate, shear, bend and relight.

    Args:
        pairs: the batch, before it is tilted.
        chance: a generator on the CPU.
        upright: from `models.pairs.tilted`, if the flow is for the tilted faces.

    Returns:
        The cutouts, float (N, 5, S, S), and the flow that maps each back onto its face, float (N, S, S, 2).
    """
    with torch.autocast(pairs.face.device.type, enabled=False):  # bfloat16 cannot resolve an eighth of a pixel
        return _disturb(pairs, chance, upright)


def _disturb(pairs: Pairs, chance: torch.Generator, upright: Tensor | None) -> tuple[Tensor, Tensor]:
    count, device = len(pairs), pairs.face.device

    def drawn(reach: float, *shape: int) -> Tensor:
        return (reach * (2 * torch.rand(count, *shape, generator=chance) - 1)).to(device)

    turn, shift, bend = torch.eye(2, device=device) + drawn(0.16, 2, 2), drawn(0.16, 2), drawn(0.14, 2, BENDS, BENDS)
    height, width = pairs.face.shape[2:]
    here = F.affine_grid(torch.eye(2, 3, device=device).expand(count, 2, 3), [count, 1, height, width], False)
    middle = torch.tensor(MIDDLE, device=device)

    def bent(points: Tensor) -> Tensor:
        return F.grid_sample(bend, points, padding_mode="border", align_corners=True).permute(0, 2, 3, 1)

    # Point p of the disturbed cutout shows the point `turn (p + bend(p) - middle) + middle + shift` of the crop.
    offset = (middle + shift)[:, None, None]
    shown = torch.einsum("nij,nhwj->nhwi", turn, here + bent(here) - middle) + offset
    cutouts = F.grid_sample(cut_out_masks(pairs), shown, mode="bicubic", align_corners=False).clamp(0, 1)
    face = here if upright is None else torch.einsum("nij,nhwj->nhwi", upright, here)
    straight = torch.einsum("nij,nhwj->nhwi", torch.linalg.inv(turn), face - offset) + middle
    back = straight
    for _ in range(8):  # the bending is gentle, so this converges
        back = straight - bent(back)
    side = drawn(0.25, 1, 1, 1) * torch.linspace(-1, 1, width, device=device)
    light = torch.exp(drawn(0.4, 1, 1, 1) + drawn(0.06, 3, 1, 1) + side)
    return _bounded(torch.cat([cutouts[:, :3] * light, cutouts[:, 3:]], 1)), back


def gather_cutouts(batches: Iterable[Pairs], count: int) -> Tensor:
    """Collect cutouts, uint8 (count, 5, S, S); with fewer pairs they repeat.

    Of the first `POOL * count` pairs, those whose coverage differs least from that of all others are kept, so masks of
    turned and cropped faces are left out. The most typical cutout comes first: the one with the smallest sum of
    distances to all others.
    """
    taken: list[Tensor] = []
    for pairs in batches:
        taken += cut_out_masks(pairs)
        if len(taken) >= POOL * count:
            break
    cutouts = torch.stack(taken[: POOL * count])
    cover = F.avg_pool2d(cutouts[:, 3:4], 4).flatten(1)
    usual = torch.cdist(cover, cover, 1).sum(1).argsort(stable=True)[:count]
    cutouts = cutouts[usual.sort().values]
    flat = F.avg_pool2d(cutouts, 4).flatten(1)
    typical = int(torch.cdist(flat, flat, 1).sum(1).argmin())
    order = [typical, *(number for number in range(len(cutouts)) if number != typical)]
    chosen = cutouts[[order[number % len(order)] for number in range(count)]]
    return (chosen * 255).round().to(torch.uint8)
