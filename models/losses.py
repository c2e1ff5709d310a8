"""What the networks are trained to make small. All losses are means, so they do not depend on the batch's size."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from faceloom.models.mask_cutouts import disturbed_cutouts
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
        coverage: squared error and soft Dice of the coverage against the truth.
        colour: absolute error of the colour inside the mask.
        flow: absolute error of the flow on the mask, in pixels of a 64x64 crop.
        soft: absolute error of the softness. It learns from this alone: to the other parts a blurred mask is
            dearer than a sharp one that lies a pixel aside.
    """

    picture: Tensor
    coverage: Tensor
    colour: Tensor
    flow: Tensor
    soft: Tensor

    def total(self, preset: CompactPreset) -> Tensor:
        """The weighted sum."""
        return (
            self.picture
            + preset.coverage_weight * self.coverage
            + preset.colour_weight * self.colour
            + preset.flow_weight * self.flow
            + preset.soft_weight * self.soft
        )


def compact_loss(network: CompactMasker, pairs: Pairs, preset: CompactPreset, chance: torch.Generator) -> CompactLoss:
    """Loss of the compact network when it puts the mask of each target, disturbed, back on its degraded face.

    Args:
        network: in training mode or not.
        pairs: the batch.
        preset: says how faces are degraded.
        chance: a generator on the CPU.
    """
    cutout, flow = disturbed_cutouts(pairs, chance)
    pairs, blurred = degraded(pairs, preset, chance)
    fit = network.find(pairs.face, cutout)
    colour, alpha = network.put(cutout, replace(fit, soft=blurred))
    mask = pairs.mask
    near = F.max_pool2d(mask, 3, 1, 1)
    composed = compose(pairs.face, colour, alpha)
    return CompactLoss(
        picture=_mean((composed - pairs.masked) ** 2, near),
        coverage=F.mse_loss(alpha, mask) + dice_loss(alpha, mask),
        colour=_mean((colour - pairs.masked).abs(), mask),
        flow=_mean((32 * (fit.flow - flow)).abs().permute(0, 3, 1, 2), near),
        soft=(fit.soft - blurred).abs().mean(),
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
    chance: torch.Generator,
) -> Tensor:
    """The loss that a preset's network is trained with, and that its best epoch is chosen by."""
    if isinstance(network, PaperAutoencoder):
        return paper_loss(network, pairs)
    assert isinstance(preset, CompactPreset)
    return compact_loss(network, pairs, preset, chance).total(preset)
