"""What the networks are trained to make small. All losses are means, so they do not depend on the batch's size."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from faceloom.models.networks import CompactMasker, PaperAutoencoder, compose
from faceloom.models.pairs import Pairs, degraded
from faceloom.models.presets import CompactPreset, PaperPreset


def paper_loss(network: PaperAutoencoder, pairs: Pairs) -> Tensor:
    """Mean squared error of the masked picture (Lee 2022)."""
    return F.mse_loss(network(pairs.face).float(), pairs.masked)


@dataclass(frozen=True, eq=False)
class CompactLoss:
    """The parts of the compact network's loss, each a scalar tensor.

    Attributes:
        picture: squared error of the composed picture, where the mask is and one pixel around it. Not elsewhere: a
            target also has straps and shadows, which are no part of the truth about the mask.
        coverage: cross-entropy and soft Dice of the coverage against the truth.
        colour: absolute error of the colour inside the mask.
        detail: absolute error of the colour's differences between neighbours inside the mask: folds, seams, patterns.
        code: how far codes are from a normal distribution (KL divergence per number).
    """

    picture: Tensor
    coverage: Tensor
    colour: Tensor
    detail: Tensor
    code: Tensor

    def total(self, preset: CompactPreset) -> Tensor:
        """The weighted sum."""
        return (
            self.picture
            + preset.coverage_weight * self.coverage
            + preset.colour_weight * self.colour
            + preset.detail_weight * self.detail
            + preset.code_weight * self.code
        )


def compact_loss(
    network: CompactMasker, pairs: Pairs, preset: CompactPreset, chance: torch.Generator | None = None
) -> CompactLoss:
    """Loss of the compact network when it is given the code of each target's look.

    Args:
        network: in training mode or not.
        pairs: the batch.
        preset: says how faces are degraded.
        chance: a generator on the CPU; without it codes are their means and faces stay as they are, for held-out pairs.
    """
    mean, spread = (part.float() for part in network.encoder(pairs.masked, pairs.mask))
    code = mean
    if chance is not None:
        noise = torch.randn(mean.shape, generator=chance).to(mean.device)
        code = mean + noise * torch.exp(spread / 2)
        pairs = degraded(pairs, preset, chance)
    colour, logits = (part.float() for part in network(pairs.face, code))
    alpha, mask = torch.sigmoid(logits), pairs.mask
    near = F.max_pool2d(mask, 3, 1, 1)
    composed = compose(pairs.face, colour, alpha)
    across, down = mask[..., 1:] * mask[..., :-1], mask[..., 1:, :] * mask[..., :-1, :]
    error = colour - pairs.masked
    return CompactLoss(
        picture=_mean((composed - pairs.masked) ** 2, near),
        coverage=F.binary_cross_entropy_with_logits(logits, mask) + dice_loss(alpha, mask),
        colour=_mean(error.abs(), mask),
        detail=_mean(error.diff(dim=3).abs(), across) + _mean(error.diff(dim=2).abs(), down),
        code=0.5 * (mean**2 + spread.exp() - 1 - spread).mean(),
    )


def dice_loss(alpha: Tensor, mask: Tensor) -> Tensor:
    """1 minus the soft Dice coefficient of each coverage with its truth, averaged; 0 if all are equal and binary.

    Args:
        alpha, mask: float (N, 1, H, W), 0..1.
    """
    common, both = (alpha * mask).sum((1, 2, 3)), (alpha + mask).sum((1, 2, 3))
    return (1 - (2 * common + 1) / (both + 1)).mean()


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean of `values` (N, C, H, W) where `weights` (N, 1, H, W) are; 0 where they are nowhere."""
    return (values * weights).sum() / (weights.sum() * values.shape[1]).clamp(min=1)


def loss_of(
    network: PaperAutoencoder | CompactMasker,
    pairs: Pairs,
    preset: PaperPreset | CompactPreset,
    chance: torch.Generator | None = None,
) -> Tensor:
    """The loss that a preset's network is trained with; without `chance`, that of held-out pairs."""
    if isinstance(network, PaperAutoencoder):
        return paper_loss(network, pairs)
    assert isinstance(preset, CompactPreset)
    return compact_loss(network, pairs, preset, chance).total(preset)
