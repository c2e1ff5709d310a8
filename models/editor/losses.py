"""The losses of the mask editor."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from faceloom.models.editor.networks import Edited
from faceloom.models.structural import ssim

REAL, FAKE = 0.9, 0.1
"""What a discriminator is to answer: softened labels."""


def reconstruction_loss(
    made: Tensor, face: Tensor, ssim_share: float = 0.5, pixels: Literal["smooth_l1", "l1"] = "smooth_l1"
) -> Tensor:
    """Pixel error and 1 - SSIM of a composite against the bare face, weighted by `ssim_share`.

    Args:
        made, face: float (N, 3, H, W), 0..1.
        pixels: the deck names L1, its code has the smooth one.
    """
    error = F.smooth_l1_loss(made, face) if pixels == "smooth_l1" else F.l1_loss(made, face)
    return (1 - ssim_share) * error + ssim_share * (1 - ssim(made, face))


def generator_loss(
    edited: Edited,
    face: Tensor,
    judged: Tensor,
    *,
    rec_weight: float = 100.0,
    ssim_share: float = 0.5,
    pixels: Literal["smooth_l1", "l1"] = "smooth_l1",
) -> Tensor:
    """What the editor minimises: adversarial loss and the reconstruction of both composites.

    Args:
        edited: composites.
        face: the bare face.
        judged: adversarial loss of the refined composite, from `fooling_loss`.
        rec_weight: of the reconstruction of each composite.
    """
    total = judged
    for made in edited if edited.refined is not edited.coarse else edited[:1]:
        total = total + rec_weight * reconstruction_loss(made, face, ssim_share, pixels)
    return total


def fooling_loss(scores: Tensor) -> Tensor:
    """Adversarial loss of the editor: squared distance of a discriminator's scores to `REAL`."""
    return F.mse_loss(scores.float(), torch.full_like(scores, REAL, dtype=torch.float32))


def critic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Loss of a discriminator: half the squared distances of its scores to `REAL` and `FAKE`."""
    wrong = F.mse_loss(fake.float(), torch.full_like(fake, FAKE, dtype=torch.float32))
    return (fooling_loss(real) + wrong) / 2


def joined(whole: Tensor, region: Tensor | None, region_share: float = 0.7) -> Tensor:
    """Weighted losses of the two discriminators (Din et al. 2020); that of the whole before the other joins."""
    return whole if region is None else (1 - region_share) * whole + region_share * region
