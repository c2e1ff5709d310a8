"""The detector of face masks after Mask2Face: learns the map of the mask from masked faces and bare ones."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceloom.models.detector.networks import UNet
from faceloom.models.detector.preset import DetectorPreset
from faceloom.models.detector.variation import degraded, moved
from faceloom.models.job import Batch, Job, Values


class Detector(Job[DetectorPreset]):
    """Binary cross-entropy of the map; the network returns logits, whose sigmoid is the probability of a mask."""

    name: ClassVar[str] = "detector"
    members: ClassVar[tuple[str, ...]] = ("face", "masked", "mask")
    recipe: ClassVar[str] = "mask2face"

    def network(self) -> nn.Module:
        """The U-Net of the preset."""
        return UNet(self.preset.widths, self.preset.reduce)

    def varied(self, batch: Batch, chance: torch.Generator) -> Batch:
        """Masked faces, some of them replaced by the bare face and an empty map, all moved and degraded."""
        bare = (torch.rand(len(batch["face"]), 1, 1, 1, generator=chance) < self.preset.bare).to(batch["face"].device)
        picture = torch.where(bare, batch["face"], batch["masked"])
        picture, truth = moved(picture, batch["mask"] * ~bare, self.preset, chance)
        return {"masked": degraded(picture, self.preset, chance), "mask": truth}

    def loss(self, network: nn.Module, batch: Batch, chance: torch.Generator) -> Tensor:
        """Mean binary cross-entropy over pixels."""
        return F.binary_cross_entropy_with_logits(network(batch["masked"]).float(), batch["mask"])

    def held_out(self, network: nn.Module, batch: Batch, chance: torch.Generator, epoch: int) -> Values:
        """The loss of masked and bare faces in the proportion of training, and the mean IoU of the masked ones."""
        logits = network(batch["masked"]).float()
        loss = F.binary_cross_entropy_with_logits(logits, batch["mask"])
        if share := self.preset.bare:
            empty = torch.zeros_like(batch["mask"])
            bare = F.binary_cross_entropy_with_logits(network(batch["face"]).float(), empty)
            loss = (1 - share) * loss + share * bare
        found, true = logits > 0, batch["mask"] > 0.5
        common, both = (found & true).sum((1, 2, 3)), (found | true).sum((1, 2, 3))
        return {"loss": loss, "iou": (common / both.clamp(min=1)).mean()}
