"""Anti-Mask (JATIT 2022): completes a face from its upper part, through features of a face network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from faceloom.models.antimask.losses import decoder_loss, encoder_loss
from faceloom.models.antimask.networks import ALL_POINTS, LOWER_POINTS, Decoder, Encoder
from faceloom.models.antimask.preset import SIDE, UPPER, AntimaskPreset
from faceloom.models.build_facts import BuildFacts, fit_to_build
from faceloom.models.job import Batch, Job, Step, Values
from faceloom.schemas.counted import counted
from faceloom.schemas.errors import TrainingError
from faceloom.transforms.halves import split_row


class Antimask(Job[AntimaskPreset]):
    """Phase 0 trains the decoder on the features of the samples, phase 1 the encoder on the upper parts.

    The decoder learns the member `lower` with its landmarks. With `paint` full, that is `face` with all 68 `landmarks`.
    """

    name: ClassVar[str] = "antimask"
    members: ClassVar[tuple[str, ...]] = ("upper", "lower", "lower_landmarks", "features")
    recipe: ClassVar[str] = "antimask"
    phases: ClassVar[tuple[str, ...]] = ("decoder", "encoder")

    @property
    def reads(self) -> tuple[str, ...]:
        """The encoder's input, the picture that the decoder paints, its landmarks, and the features."""
        return _reads(self.preset)

    @classmethod
    def fit(cls, preset: AntimaskPreset, build: BuildFacts) -> AntimaskPreset:
        """Check members, halves and epochs; returns the preset with the length of the features.

        Raises:
            TrainingError: as for any job, or the faces are cut elsewhere, or no epoch is left for the encoder.
        """
        output = build.settings.output
        if output.features is None and output.halves is not None:
            what, remedy = (
                "the samples of the build have no `features`",
                "Add `output: {features: {model: dlib}}`, or a TorchScript file, to its recipe",
            )
            raise TrainingError(what, where=build.out, remedy=remedy)
        preset = fit_to_build(preset, build, _reads(preset), cls.recipe)
        assert output.halves is not None
        row = output.halves.split_row or split_row(SIDE)
        if row != UPPER:
            remedy = f"Build with `output: {{halves: {{split_row: {UPPER}}}}}`"
            raise TrainingError("the faces are cut at another row", where=build.out, value=row, remedy=remedy)
        if preset.epochs <= preset.decoder_epochs:
            value = f"{counted(preset.epochs, 'epoch')}, {preset.decoder_epochs} of the decoder"
            remedy = "Give more --epochs, or fewer --decoder-epochs"
            raise TrainingError("no epoch is left for the encoder", where="epochs", value=value, remedy=remedy)
        first = next(iter(build.read(("features",))), None)
        if first is None:
            raise TrainingError("the split `train` has no samples", where=build.out)
        return replace(preset, features=len(first["features"]))

    def network(self) -> nn.Module:
        """The encoder and the decoder."""
        preset = self.preset
        encoder = Encoder(
            max(preset.features, 1),
            hidden=preset.encoder_hidden,
            maps=preset.encoder_maps,
            levels=preset.encoder_depths,
            relu=preset.relu,
            normalise=preset.normalise,
        )
        decoder = Decoder(
            max(preset.features, 1),
            height=SIDE if preset.paint == "full" else SIDE - UPPER,
            hidden=preset.hidden,
            maps=_five(preset.maps),
            points=len(_points(preset)),
        )
        return nn.ModuleDict({"encoder": encoder, "decoder": decoder})

    def optimisers(self, network: Any) -> dict[str, Optimizer]:
        """Adam for each network."""
        rate = self.preset.learning_rate
        return {
            name: torch.optim.Adam(network[name].parameters(), lr=rate, fused=True) for name in ("encoder", "decoder")
        }

    def phase(self, epoch: int) -> int:
        """0 while the decoder is trained, then 1."""
        return int(epoch > self.preset.decoder_epochs)

    def step(self, step: Step) -> Values:
        """One step of the decoder or of the encoder."""
        network: Any = step.network
        batch = step.batch
        if self.phase(step.epoch):
            network["decoder"].eval()
            with step.autocast():
                loss = encoder_loss(network["encoder"](batch["upper"]), batch["features"], self.preset.match)
            return {"loss": step.descend(loss, "encoder")}
        with step.autocast():
            made = network["decoder"](batch["features"])
            loss = self._decoder_loss(made, batch)
        return {"loss": step.descend(loss, "decoder"), "l1": F.l1_loss(made.picture.detach(), self._painted(batch))}

    def _painted(self, batch: Batch) -> Tensor:
        """What the decoder paints, float (N, 3, H, 224)."""
        return batch[self.preset.painted[0]]

    def _decoder_loss(self, made: Any, batch: Batch) -> Tensor:
        preset, picture = self.preset, self._painted(batch)
        return decoder_loss(
            made,
            picture,
            as_shares(batch[preset.painted[1]], picture, _points(preset)),
            landmark_weight=preset.landmark_weight,
            picture_weight=preset.picture_weight,
        )

    def held_out(self, network: Any, batch: Batch, chance: torch.Generator, epoch: int) -> Values:
        """The loss of the network that is trained; `l1` of the painted picture, 0..1; `cosine` of features."""
        if not self.phase(epoch):
            made = network["decoder"](batch["features"])
            return {"loss": self._decoder_loss(made, batch), "l1": F.l1_loss(made.picture, self._painted(batch))}
        features = network["encoder"](batch["upper"])
        made = network["decoder"](features)
        return {
            "loss": encoder_loss(features, batch["features"], self.preset.match),
            "l1": F.l1_loss(made.picture, self._painted(batch)),
            "cosine": F.cosine_similarity(features, batch["features"]).mean(),
        }


def as_shares(landmarks: Tensor, picture: Tensor, points: Sequence[int]) -> Tensor:
    """Some landmarks as shares of the sides of a picture, float (N, points, 2); NaN where they are not known.

    Args:
        landmarks: float (N, 68, 2), pixels of the picture.
        picture: float (N, 3, H, W).
        points: numbers of the landmarks.
    """
    sides = torch.tensor([picture.shape[3], picture.shape[2]], device=landmarks.device)
    return landmarks[:, list(points)] / sides


def _reads(preset: AntimaskPreset) -> tuple[str, ...]:
    return ("upper", *preset.painted, "features")


def _points(preset: AntimaskPreset) -> tuple[int, ...]:
    return ALL_POINTS if preset.paint == "full" else LOWER_POINTS


def _five(maps: tuple[int, ...]) -> tuple[int, int, int, int, int]:
    one, two, three, four, five = maps
    return one, two, three, four, five
