"""A classifier of one attribute, which measures the edits of `msagan` and never sees its generator."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceloom.models.detector.variation import degraded, moved
from faceloom.models.job import Batch, Values
from faceloom.models.msagan.attribute_job import AttributeJob
from faceloom.models.msagan.networks import AttributeClassifier
from faceloom.models.msagan.preset import ClassifierPreset


class Classifier(AttributeJob[ClassifierPreset]):
    """Binary cross-entropy; the network returns a logit, which is positive where the face has the attribute."""

    name: ClassVar[str] = "classifier"

    def network(self) -> nn.Module:
        """The residual network of the preset."""
        preset = self.preset
        return AttributeClassifier(depths=preset.depths, width=preset.width, bottleneck=preset.bottleneck)

    def varied(self, batch: Batch, chance: torch.Generator) -> Batch:
        """Mirror, move and degrade the faces."""
        face, _ = moved(batch["face"], batch["face"][:, :1], self.preset, chance)
        return {**batch, "face": degraded(face, self.preset, chance)}

    def loss(self, network: Any, batch: Batch, chance: torch.Generator) -> Tensor:
        """Mean binary cross-entropy."""
        return F.binary_cross_entropy_with_logits(network(2 * batch["face"] - 1), self.has(batch))

    def held_out(self, network: Any, batch: Batch, chance: torch.Generator, epoch: int) -> Values:
        """The loss, and the share of right answers."""
        logits, has = network(2 * batch["face"] - 1), self.has(batch)
        right = ((logits > 0) == (has > 0.5)).float().mean()
        return {"loss": F.binary_cross_entropy_with_logits(logits, has), "accuracy": right}
