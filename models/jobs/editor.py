"""The mask editor of Mask2Face (2022) and Din et al. (2020): an inpainting network against discriminators."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from faceloom.models.build_facts import BuildFacts
from faceloom.models.checkpoint import read_card
from faceloom.models.detector.predict import MaskDetector
from faceloom.models.editor.losses import critic_loss, fooling_loss, generator_loss, joined, reconstruction_loss
from faceloom.models.editor.networks import Editor
from faceloom.models.editor.perceptual import Perceptual
from faceloom.models.editor.preset import COVERED, EditorPreset
from faceloom.models.job import Batch, Job, Step, Values
from faceloom.models.patch_critic import PatchCritic
from faceloom.schemas.errors import TrainingError


class EditorJob(Job[EditorPreset]):
    """Learns to paint the face under a mask from triplets of face, masked face and mask."""

    name: ClassVar[str] = "editor"
    members: ClassVar[tuple[str, ...]] = ("face", "masked", "mask")
    recipe: ClassVar[str] = "mask2face"

    def __init__(self, preset: EditorPreset, files: Mapping[str, Path] | None = None) -> None:
        super().__init__(preset, files)
        self._detector: MaskDetector | None = None
        self._perceptual: Perceptual | None = None

    @classmethod
    def check_files(cls, preset: EditorPreset, build: BuildFacts, files: Mapping[str, Path]) -> None:
        """Check the features, and that the detector was trained for the crops of the build; both can be left out."""
        if "features" in files:
            Perceptual(files["features"], preset.size)
        if "detector" not in files:
            return
        trained, align = read_card(files["detector"], "detector").data.align, build.settings.align
        if trained != align:
            what = "the detector was trained for crops of another size or alignment"
            given = f"{trained.mode} {'x'.join(map(str, trained.width_height))}, margin {trained.margin}"
            remedy = "Train a detector on this build, or on one with the same `align`"
            raise TrainingError(what, where=str(files["detector"]), value=given, remedy=remedy)

    def network(self) -> nn.Module:
        """The editor, the discriminator and, if the preset has one, that of the masked region."""
        preset = self.preset
        editor = Editor(
            preset.width,
            refine=preset.refine,
            output=preset.output,
            squeeze_after=preset.squeeze_after,
            reduction=preset.reduction,
        )
        networks = nn.ModuleDict({"editor": editor, "critic": PatchCritic(preset.critic_width)})
        if preset.region_from:
            networks["region"] = PatchCritic(preset.critic_width)
        return networks

    def optimisers(self, network: Any) -> dict[str, Optimizer]:
        """Adam for the editor, and another for the discriminators."""
        rate = self.preset.learning_rate
        judges = [parameter for name in ("critic", "region") if name in network for parameter in
                  network[name].parameters()]  # fmt: skip
        return {
            "editor": torch.optim.Adam(network["editor"].parameters(), lr=rate, fused=True),
            "critic": torch.optim.Adam(judges, lr=rate, fused=True),
        }

    def varied(self, batch: Batch, chance: torch.Generator) -> Batch:
        """Mirror each sample with probability 0.5."""
        if not self.preset.flip:
            return batch
        mirror = torch.rand(len(batch["face"]), generator=chance) < 0.5
        mirror = mirror.to(batch["face"].device)[:, None, None, None]
        return {name: torch.where(mirror, part.flip(3), part) for name, part in batch.items()}

    def product(self, network: Any) -> nn.Module:
        """The editor, without the discriminators."""
        editor: nn.Module = network["editor"]
        return editor

    def step(self, step: Step) -> Values:
        """One step of the discriminators, then one of the editor."""
        network: Any = step.network
        preset = self.preset
        batch = self.varied(step.batch, step.chance)
        face, hole = batch["face"], self._hole(batch)
        names = ["critic"]
        if preset.region_from and step.epoch >= preset.region_from:
            names.append("region")
        with step.autocast():
            edited = network["editor"](batch["masked"], hole)
            fake = edited.refined.detach()
            losses = [
                critic_loss(network[name](seen(face, hole, name)), network[name](seen(fake, hole, name)))
                for name in names
            ]
        judged = step.descend(joined(*_two(losses), preset.region_share), "critic")
        with step.autocast():
            fooled = [fooling_loss(network[name](seen(edited.refined, hole, name))) for name in names]
            loss = generator_loss(
                edited,
                face,
                joined(*_two(fooled), preset.region_share),
                rec_weight=preset.rec_weight,
                ssim_share=preset.ssim_share,
                pixels=preset.pixels,
            )
        if "features" in self.files:
            loss = loss + preset.perceptual_weight * self._features_loss(edited.refined, face)
        total = step.descend(loss, "editor")
        rec = reconstruction_loss(edited.refined.detach(), face, preset.ssim_share, preset.pixels)
        return {"loss": rec, "generator": total, "critic": judged, "fooled": fooled[0].detach()}

    def held_out(self, network: Any, batch: Batch, chance: torch.Generator, epoch: int) -> Values:
        """The reconstruction loss of the refined composite, and its mean absolute error inside the hole."""
        face, hole = batch["face"], self._hole(batch)
        made = network["editor"](batch["masked"], hole).refined.float()
        inside = ((made - face).abs() * hole).sum() / (3 * hole.sum()).clamp(min=1)
        return {"loss": reconstruction_loss(made, face, self.preset.ssim_share, self.preset.pixels), "l1": inside}

    def _features_loss(self, made: Tensor, face: Tensor) -> Tensor:
        if self._perceptual is None:
            self._perceptual = Perceptual(self.files["features"], self.preset.size, face.device.type)
        return self._perceptual.loss(made.float(), face)

    def _hole(self, batch: Batch) -> Tensor:
        """Where the editor paints, by the samples' masks, or by those that the detector finds."""
        mask = batch["mask"]
        if "detector" in self.files:
            if self._detector is None:
                self._detector = MaskDetector.load(self.files["detector"], device=mask.device.type)
            levels = (batch["masked"] * 255).round().byte().permute(0, 2, 3, 1).contiguous()
            found = self._detector.find(levels.cpu().numpy())
            mask = torch.from_numpy(found).to(mask.device)[:, None].float()
        return hole_of(mask, self.preset.grow)


def hole_of(mask: Tensor, grow: int) -> Tensor:
    """Where the editor paints: pixels that a mask covers, and `grow` pixels around them; float (N, 1, H, W), 0 or 1.

    Args:
        mask: coverage, float (N, 1, H, W), 0..1.
    """
    covered = (mask > COVERED).float()
    return F.max_pool2d(covered, 2 * grow + 1, 1, grow) if grow else covered


def seen(picture: Tensor, hole: Tensor, critic: str) -> Tensor:
    """What a discriminator sees: the whole picture, or for `region` the hole alone, the rest black."""
    return picture * hole if critic == "region" else picture


def _two(losses: list[Tensor]) -> tuple[Tensor, Tensor | None]:
    return losses[0], losses[1] if len(losses) > 1 else None
