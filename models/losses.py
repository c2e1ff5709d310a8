"""Training losses of the networks. All losses are means, so they do not depend on the batch size."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from faceloom.models.mask_cutouts import cut_out_masks, disturbed_cutouts
from faceloom.models.networks import CompactMasker, PaperAutoencoder, compose
from faceloom.models.pairs import Pairs, degraded, tilted
from faceloom.models.presets import CompactPreset, PaperPreset


def paper_loss(network: PaperAutoencoder, pairs: Pairs) -> Tensor:
    """Mean squared error of the masked picture (Lee 2022)."""
    return F.mse_loss(network(pairs.face).float(), pairs.masked)


@dataclass(frozen=True, eq=False)
class CompactLoss:
    """The parts of the compact network's loss, each a scalar tensor.

    Attributes:
        picture: squared error of the composed picture, on the mask and one pixel around it. Straps and shadows of the
            target are not part of the ground truth, so the rest of the picture does not count.
        coverage: squared error and soft Dice of the coverage against the truth, with the face's own cutout and with
            that of another face, which has another shape and place, as after training.
        colour: absolute error of the colour inside the mask.
        flow: absolute error of the flow on the mask, in pixels of a 64x64 crop.
        soft: absolute error of the softness. Only this loss trains it: the other parts prefer a blurred mask to
            a sharp one that is a pixel off.
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
    """Loss of the compact network for putting the disturbed mask of each target back on its tilted, degraded face.

    Args:
        network: in training mode or not.
        pairs: the batch.
        preset: its `degrade` is the share of degraded faces; with `jitter` above 0 they are tilted.
        chance: a generator on the CPU.
    """
    seen, upright = tilted(pairs, preset, chance)
    cutout, flow = disturbed_cutouts(pairs, chance, upright)
    foreign = cut_out_masks(pairs).roll(1, 0)
    pairs, blurred = degraded(seen, preset, chance)
    fit = network.find(pairs.face, cutout)
    colour, alpha = network.put(cutout, replace(fit, soft=blurred))
    _, other = network.put(foreign, replace(network.find(pairs.face, foreign), soft=blurred))
    mask = pairs.mask
    near = F.max_pool2d(mask, 3, 1, 1)
    composed = compose(pairs.face, colour, alpha)
    return CompactLoss(
        picture=_mean((composed - pairs.masked) ** 2, near),
        coverage=_coverage_error(alpha, mask) + _coverage_error(other, mask),
        colour=_mean((colour - pairs.masked).abs(), mask),
        flow=_mean((32 * (fit.flow - flow)).abs().permute(0, 3, 1, 2), near),
        soft=(fit.soft - blurred).abs().mean(),
    )


def _coverage_error(alpha: Tensor, mask: Tensor) -> Tensor:
    return F.mse_loss(alpha, mask) + dice_loss(alpha, mask)


def dice_loss(alpha: Tensor, mask: Tensor) -> Tensor:
    """1 minus the soft Dice coefficient of each coverage with its truth, averaged; 0 if all are equal and binary.

    Args:
        alpha, mask: float (N, 1, H, W), 0..1.
    """
    common, both = (alpha * mask).sum((1, 2, 3)), (alpha + mask).sum((1, 2, 3))
    return (1 - (2 * common + 1) / (both + 1)).mean()


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean of `values` (N, C, H, W) weighted by `weights` (N, 1, H, W); 0 if all weights are 0."""
    return (values * weights).sum() / (weights.sum() * values.shape[1]).clamp(min=1)


def loss_of(
    network: PaperAutoencoder | CompactMasker,
    pairs: Pairs,
    preset: PaperPreset | CompactPreset,
    chance: torch.Generator,
) -> Tensor:
    """Return the loss of a preset, which trains its network and chooses its best epoch."""
    if isinstance(network, PaperAutoencoder):
        return paper_loss(network, pairs)
    assert isinstance(preset, CompactPreset)
    return compact_loss(network, pairs, preset, chance).total(preset)
