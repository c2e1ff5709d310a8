"""Training losses of the networks. All losses are means, so they do not depend on the batch size."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from faceloom.models.mask_cutouts import cut_out_masks, disturbed_cutouts, find_straps
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
        outline: cross-entropy and soft Dice of the outline that the face alone suggests, against the truth.
        picture: squared error of the composed picture, on mask and straps and one pixel around them. The rest of the
            picture does not count: shadows of the target are not part of the ground truth.
        coverage: squared error and soft Dice of the bent cutout's coverage against the truth that it is to fill, with
            the face's own cutout and with that of another face, which has another shape and place, as after training.
        colour: absolute error of the colour inside the mask.
        flow: absolute error of the flow on mask and straps, in pixels of a 64x64 crop.
        soft: absolute error of the softness. Only this loss trains it: the other parts prefer a blurred mask to
            a sharp one that is a pixel off.
    """

    outline: Tensor
    picture: Tensor
    coverage: Tensor
    colour: Tensor
    flow: Tensor
    soft: Tensor

    def total(self, preset: CompactPreset) -> Tensor:
        """The weighted sum."""
        return (
            self.outline
            + self.picture
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
    mask, straps = seen.mask, find_straps(seen)
    pairs, blurred = degraded(seen, preset, chance)
    fit = network.find(pairs.face, cutout, mask)
    own = network.put(cutout, replace(fit, soft=blurred))
    other = network.put(foreign, replace(network.find(pairs.face, foreign, mask), soft=blurred))
    near = F.max_pool2d(mask.maximum(straps), 3, 1, 1)
    composed = compose(pairs.face, own.colour, own.painted)
    return CompactLoss(
        outline=_outline_error(network.outline(pairs.face), mask),
        picture=_mean((composed - pairs.masked) ** 2, near),
        coverage=_coverage_error(own.cover, mask) + _coverage_error(other.cover, mask),
        colour=_mean((own.colour - pairs.masked).abs(), mask),
        flow=_mean((32 * (fit.flow - flow)).abs().permute(0, 3, 1, 2), near),
        soft=(fit.soft - blurred).abs().mean(),
    )


def _outline_error(level: Tensor, mask: Tensor) -> Tensor:
    with torch.autocast(level.device.type, enabled=False):
        return F.binary_cross_entropy_with_logits(level, mask) + dice_loss(level.sigmoid(), mask)


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
