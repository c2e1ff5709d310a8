"""The masking autoencoders: the network of Lee 2022, and ours, which puts stored cutouts of masks on new faces."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

import torch
from torch import Tensor, nn

from faceloom.models.job import Batch, Job
from faceloom.models.losses import loss_of
from faceloom.models.mask_cutouts import gather_cutouts
from faceloom.models.networks import CompactMasker, PaperAutoencoder, make_network
from faceloom.models.pairs import Pairs, moved
from faceloom.models.presets import CompactPreset, PaperPreset


class Autoencoder(Job[PaperPreset | CompactPreset]):
    """Learns to mask a face from pairs of a face and the same face with a mask."""

    name: ClassVar[str] = "autoencoder"
    members: ClassVar[tuple[str, ...]] = ("face", "masked", "mask")
    recipe: ClassVar[str] = "lee2022"

    def network(self) -> nn.Module:
        """The network of the preset."""
        return make_network(self.preset)

    def varied(self, batch: Batch, chance: torch.Generator) -> Batch:
        """Mirrored and moved pairs."""
        return moved(Pairs(**batch), self.preset, chance).members

    def loss(self, network: PaperAutoencoder | CompactMasker, batch: Batch, chance: torch.Generator) -> Tensor:
        """The loss of the preset."""
        return loss_of(network, Pairs(**batch), self.preset, chance)

    def after_epoch(self, network: nn.Module, batches: Callable[[], Iterable[Batch]]) -> None:
        """Store the cutouts of the masks of the training pairs."""
        if isinstance(network, CompactMasker) and isinstance(self.preset, CompactPreset):
            pairs = (Pairs(**batch) for batch in batches())
            network.looks.copy_(gather_cutouts(pairs, self.preset.looks))
