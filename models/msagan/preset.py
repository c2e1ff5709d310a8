"""Presets of MSaGAN and of the classifier that measures its edits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from annotated_types import Interval, Len

from faceloom.models.preset import Choice, Count, Factor, JobSpec, Preset, Share, option

STRUCTURES = ("E1D1", "E1D2", "E2D1", "E2D2")
MASK_LOSSES = ("none", "mae", "mse", "sde")
"""The 16 models of the paper: each structure with each mask loss."""


@dataclass(frozen=True, kw_only=True)
class AttributePreset(Preset):
    """What the networks of one attribute share.

    Attributes:
        attribute: that is edited or classified: one that the samples record, or `mouth_open`, which is derived from
            their landmarks.
        flip: whether faces are mirrored at random.
    """

    size: Annotated[int, Interval(ge=16, le=1024)] = 128
    attribute: Annotated[str, Len(1, 200)] = field(
        default="Mouth_Slightly_Open",
        metadata=option("Attribute of the samples, or mouth_open, which is derived from their landmarks."),
    )
    flip: bool = True

    any_size: ClassVar[bool] = True

    @property
    def stride(self) -> int:
        """The side of a crop must be a multiple of it."""
        return 8

    @property
    def least(self) -> int:
        """Side of the smallest crops: instance normalisation needs more than one pixel at the coarsest level."""
        return 16


@dataclass(frozen=True, kw_only=True)
class MsaganPreset(AttributePreset):
    """MSaGAN (2020) and its training: Adam, 8 epochs of batches of 16, pictures of 128 x 128.

    Attributes:
        structure: encoders and decoders of the generator.
        mask_loss: distance of the attention mask to the guide mask.
        alpha, beta: weights of the mask loss in the identity pass and in the dual pass.
        dual_weight, identity_weight: of the reconstructions in these passes.
        penalty_weight: of the discriminator's gradient penalty.
        critic_steps: steps of the discriminator for one of the generator.
        width, blocks: feature maps of the generator's first layer, and its residual blocks.
        critic_width: feature maps of the discriminator's first layer.
        merge: how E2D1 joins the features of its encoders.
    """

    epochs: Count = 8
    batch: Count = 16
    learning_rate: Annotated[float, Interval(gt=0)] = 2e-4
    structure: Literal["E1D1", "E1D2", "E2D1", "E2D2"] = field(
        default="E1D1", metadata=option("Encoders and decoders of the generator: E1D1, E1D2, E2D1 or E2D2.")
    )
    mask_loss: Literal["sde", "mae", "mse", "none"] = field(
        default="sde", metadata=option("Distance of the attention mask to the guide mask: sde, mae, mse or none.")
    )
    alpha: Factor = 100.0
    beta: Factor = 20.0
    dual_weight: Factor = 20.0
    identity_weight: Factor = 100.0
    penalty_weight: Factor = 10.0
    critic_steps: Annotated[int, Interval(ge=1, le=100)] = 3
    width: Annotated[int, Interval(ge=1, le=256)] = 32
    blocks: Annotated[int, Interval(ge=0, le=32)] = 4
    critic_width: Annotated[int, Interval(ge=1, le=256)] = 32
    merge: Literal["concatenate", "add"] = "concatenate"

    choice: ClassVar[Choice] = "last epoch"
    decides_layers: ClassVar[tuple[str, ...]] = ("structure",)
    unstated: ClassVar[tuple[str, ...]] = (
        "learning_rate", "schedule", "flip", "dual_weight", "identity_weight", "penalty_weight", "critic_steps",
        "merge",
    )  # fmt: skip

    @property
    def largest_layer(self) -> int:
        """The most values that a layer makes of one face."""
        return self.width * self.size**2


@dataclass(frozen=True, kw_only=True)
class ClassifierPreset(AttributePreset):
    """A residual network that tells whether a face has an attribute: ResNet-50 and 50 epochs in the paper.

    Attributes:
        depths: residual blocks of each level.
        width: feature maps of the first level.
        bottleneck: whether blocks have three convolutions as those of ResNet-50, instead of two.
        shift, zoom, turn, degrade: random variation of the faces, as in `DetectorPreset`; none in `paper`.
    """

    epochs: Count = 50
    batch: Count = 32
    learning_rate: Annotated[float, Interval(gt=0)] = 1e-4
    depths: Annotated[tuple[Annotated[int, Interval(ge=1, le=64)], ...], Len(1, 6)] = (3, 4, 6, 3)
    width: Annotated[int, Interval(ge=1, le=256)] = 64
    bottleneck: bool = True
    shift: Share = 0.0
    zoom: Annotated[float, Interval(ge=1, le=4)] = 1.0
    turn: Share = 0.0
    degrade: Share = 0.0

    unstated: ClassVar[tuple[str, ...]] = (
        "batch", "learning_rate", "schedule", "flip", "shift", "zoom", "turn", "degrade",
    )  # fmt: skip

    @property
    def largest_layer(self) -> int:
        """The most values that a layer makes of one face."""
        return self.width * self.size**2 // 4


MSAGAN = JobSpec(
    help="Train an editor of one attribute of a face, guided by masks of the parts that show it.",
    presets=(
        MsaganPreset(name="paper"),
        MsaganPreset(
            name="small", size=64, epochs=12, batch=8, learning_rate=8e-4, alpha=20.0, beta=4.0, dual_weight=4.0,
            identity_weight=20.0, critic_steps=1, width=8, blocks=2, critic_width=12,
        ),
        MsaganPreset(name="tiny", size=16, epochs=2, batch=4, critic_steps=2, width=2, blocks=1, critic_width=2),
    ),
    preset_help="paper: the networks of MSaGAN, 128 x 128. small: narrower, for two CPU cores; 64 x 64 is quickest.",
    examples=(
        "faceloom build msagan --source CelebAMask-HQ --out cel",
        "faceloom train msagan --data cel --structure E1D1 --mask-loss sde --to runs/msa",
        "faceloom train msagan --data cel --attribute mouth_open --to runs/open",
    ),
)  # fmt: skip
"""The job `msagan`."""

CLASSIFIER = JobSpec(
    help="Train a classifier of one attribute of a face, which measures edits of `msagan`.",
    presets=(
        ClassifierPreset(name="paper"),
        ClassifierPreset(
            name="small", size=64, epochs=30, batch=16, learning_rate=2e-3, schedule="cosine", depths=(1, 1, 1, 1),
            width=12, bottleneck=False, shift=0.08, zoom=1.15, turn=0.15, degrade=0.2, save_every=5,
        ),
        ClassifierPreset(
            name="tiny", size=16, epochs=2, batch=4, learning_rate=5e-3, depths=(1, 1), width=4, bottleneck=False
        ),
    ),
    preset_help="paper: ResNet-50. small: one narrow block per level, for two CPU cores.",
    examples=(
        "faceloom train classifier --data cel --attribute Mouth_Slightly_Open --preset small --to runs/cls",
        "faceloom evaluate msagan runs/msa --classifier runs/cls --data cel --to report",
    ),
)  # fmt: skip
"""The job `classifier`."""
