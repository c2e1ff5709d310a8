"""MSaGAN (2020): edits one attribute of a face where its attention mask allows it."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from faceloom.models.build_facts import BuildFacts
from faceloom.models.job import Batch, Step, Values
from faceloom.models.msagan.attribute_job import AttributeJob
from faceloom.models.msagan.losses import GeneratorLoss, discriminator_loss, generator_loss
from faceloom.models.msagan.networks import Discriminator, Generator
from faceloom.models.msagan.preset import MsaganPreset
from faceloom.schemas.errors import TrainingError


class Msagan(AttributeJob[MsaganPreset]):
    """The generator edits every face towards the other value; the discriminator judges faces and their attribute."""

    name: ClassVar[str] = "msagan"

    @property
    def reads(self) -> tuple[str, ...]:
        """See `AttributeJob.reads`; and the guide mask, unless there is no mask loss."""
        return super().reads if self.preset.mask_loss == "none" else (*super().reads, "guide")

    @classmethod
    def fit(cls, preset: MsaganPreset, build: BuildFacts) -> MsaganPreset:
        """See `AttributeJob.fit`.

        Raises:
            TrainingError: see there; or guide masks are of another attribute.
        """
        fitted = super().fit(preset, build)
        guide = build.settings.guide
        stated = guide.attribute if guide is not None else None
        if preset.mask_loss != "none" and stated is not None and not _alike(preset.attribute, stated):
            what = f"the guide masks of the build are those of another attribute than `{preset.attribute}`"
            remedy = f"Build with `guide: {{attribute: {preset.attribute}}}`, or train with --mask-loss none"
            raise TrainingError(what, where=build.out, value=stated, remedy=remedy)
        return fitted

    def network(self) -> nn.Module:
        """The generator and the discriminator."""
        preset = self.preset
        generator = Generator(preset.structure, width=preset.width, blocks=preset.blocks, merge=preset.merge)
        return nn.ModuleDict({"generator": generator, "critic": Discriminator(preset.size, width=preset.critic_width)})

    def product(self, network: Any) -> nn.Module:
        """The generator."""
        generator: nn.Module = network["generator"]
        return generator

    def optimisers(self, network: Any) -> dict[str, Optimizer]:
        """Adam with a first moment of 0.5 for each network."""
        return {
            name: torch.optim.Adam(part.parameters(), lr=self.preset.learning_rate, betas=(0.5, 0.999), fused=True)
            for name, part in network.items()
        }

    def step(self, step: Step) -> Values:
        """One step of the discriminator, and with every `critic_steps`-th batch one of the generator."""
        network: Any = step.network
        batch = self.varied(step.batch, step.chance)
        face, has = 2 * batch["face"] - 1, self.has(batch)
        with step.autocast():
            with torch.no_grad():
                fake = network["generator"](face, 1 - has).picture
            judged = discriminator_loss(
                network["critic"], face, fake, has, step.chance, penalty_weight=self.preset.penalty_weight
            )
        values: dict[str, Tensor | float] = {"critic": step.descend(judged, "critic")}
        if (step.number - 1) % self.preset.critic_steps == 0:
            with step.autocast():
                parts = self.parts(network, batch)
            step.descend(parts.total, "generator")
            values |= _figures(parts)
        return values

    def parts(self, network: Any, batch: Batch) -> GeneratorLoss:
        """The generator's losses."""
        face, has, preset = 2 * batch["face"] - 1, self.has(batch), self.preset
        return generator_loss(
            network["generator"],
            network["critic"],
            face,
            has,
            1 - has,
            batch.get("guide", face[:, :1]),
            kind=preset.mask_loss,
            alpha=preset.alpha,
            beta=preset.beta,
            dual_weight=preset.dual_weight,
            identity_weight=preset.identity_weight,
        )

    def held_out(self, network: Any, batch: Batch, chance: torch.Generator, epoch: int) -> Values:
        """The generator's losses."""
        return _figures(self.parts(network, batch))


def _figures(parts: GeneratorLoss) -> dict[str, Tensor]:
    """`loss` leaves out the adversarial part, whose zero has no meaning."""
    figures = {name: value.detach() for name, value in parts._asdict().items()}
    return {"loss": (parts.total - parts.adversarial).detach(), **figures}


def _alike(attribute: str, guided: str) -> bool:
    """Whether two attributes show in the same parts; unknown ones may."""
    from faceloom.models.msagan.attribute import MOUTH_OPEN
    from faceloom.schemas.guide import ATTRIBUTE_PARTS

    name = "Mouth_Slightly_Open" if attribute == MOUTH_OPEN else attribute
    return name == guided or name not in ATTRIBUTE_PARTS or ATTRIBUTE_PARTS[name] == ATTRIBUTE_PARTS.get(guided)
