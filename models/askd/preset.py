"""Presets of attention similarity distillation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar, Literal

from annotated_types import Interval, Len

from faceloom.models.preset import Choice, Factor, JobSpec, Preset, Share, option

SIDE = 112
"""Side of the faces, in pixels."""
SIZES = (14, 28, 56)
"""Sides of the published low resolutions, in pixels."""


@dataclass(frozen=True, kw_only=True)
class AskdPreset(Preset):
    """A-SKD (ECCV 2022) and its training: a teacher on high resolution, then a student on low resolution.

    `epochs` counts both. SGD with Nesterov momentum.

    Attributes:
        depths, width: blocks of each level of the residual network, and its feature maps at the first level.
        stem_stride: of the first convolution; 2 makes the network four times as fast.
        features: length of the vector that describes a face.
        dropout, reduction, kernel: of the network's head, its channel attention and its spatial attention.
        scale, margin: of ArcFace; the margin is in radians.
        teacher_epochs: epochs in which the teacher is trained, before the student.
        distill: whether the student learns from a teacher. Without one, all epochs are the student's.
        attention_weight: of the loss of attention maps; ArcFace has weight 1.
        small: where the student's pictures come from: the member `lr_upsampled` of the build, or the faces, reduced to
            a side of `sizes` and enlarged again in each step as the publication does.
        sizes: sides in pixels.
        drops: shares of each network's epochs after which the learning rate is divided by ten.
        momentum, decay: of SGD.
        flip: whether faces are mirrored at random.
        singles: whether people with a single photo are allowed.
        people: classes of ArcFace. The build decides it.
    """

    size: Annotated[int, Interval(ge=SIDE, le=SIDE)] = SIDE
    learning_rate: Annotated[float, Interval(gt=0)] = 0.1
    depths: Annotated[tuple[Annotated[int, Interval(ge=1, le=50)], ...], Len(1, 4)] = (3, 4, 14, 3)
    # 1x1 convolutions with stride 2 and fewer maps crash PyTorch 2.13 on the CPU.
    width: Annotated[int, Interval(ge=8, le=256)] = 64
    stem_stride: Literal[1, 2] = 1
    features: Annotated[int, Interval(ge=2, le=4096)] = 512
    dropout: Share = 0.4
    reduction: Annotated[int, Interval(ge=1, le=1024)] = 16
    kernel: Literal[1, 3, 5, 7] = 3
    scale: Annotated[float, Interval(gt=0, le=1000)] = 32.0
    margin: Annotated[float, Interval(ge=0, le=1.5)] = 0.5
    teacher_epochs: Annotated[int, Interval(ge=0, le=10**9)] = field(
        metadata=option("Epochs in which the teacher is trained, of all epochs. Default: from the preset.")
    )
    distill: bool = field(default=True, metadata=option("Train a teacher first, whose attention the student learns."))
    attention_weight: Factor = field(
        default=5.0, metadata=option("Weight of the loss of attention maps. Default: from the preset.")
    )
    small: Literal["build", "askd"] = field(
        default="build",
        metadata=option(
            "The student's pictures: build (its member lr_upsampled), or askd (made in each step at 14, 28, 56 px)."
        ),
    )
    sizes: Annotated[tuple[Annotated[int, Interval(ge=1, le=112)], ...], Len(1, 20)] = SIZES
    drops: Annotated[tuple[Share, ...], Len(0, 20)] = (0.25, 0.5, 0.7, 0.8)
    momentum: Annotated[float, Interval(ge=0, lt=1)] = 0.9
    decay: Share = 5e-4
    flip: bool = True
    singles: bool = field(default=False, metadata=option("Also train on people with a single photo."))
    people: Annotated[int, Interval(ge=0, le=10**7)] = 0

    choice: ClassVar[Choice] = "last epoch"
    unstated: ClassVar[tuple[str, ...]] = ("teacher_epochs", "schedule", "small", "singles")
    decides_layers: ClassVar[tuple[str, ...]] = ("distill",)

    @property
    def largest_layer(self) -> int:
        """The most values that a layer makes of one face."""
        return self.width * self.size**2

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch; each network has its own schedule."""
        length, number = self.teacher_epochs, epoch
        if epoch > self.teacher_epochs:
            length, number = self.epochs - self.teacher_epochs, epoch - self.teacher_epochs
        passed = sum((number - 1) / length >= drop for drop in self.drops)
        return Preset.rate(replace(self, epochs=length), number) * 0.1**passed


ASKD = JobSpec(
    help="Train a face recogniser for low resolution: a teacher on large faces, then a student on small ones.",
    presets=(
        AskdPreset(name="paper", epochs=40, teacher_epochs=20, batch=128, save_every=2),
        AskdPreset(
            name="small", epochs=40, teacher_epochs=20, batch=32, depths=(2, 2, 2, 2), width=24, stem_stride=2,
            features=128, scale=16.0, margin=0.2, drops=(), schedule="cosine", save_every=4,
        ),
        AskdPreset(
            name="tiny-askd", epochs=4, teacher_epochs=2, batch=4, depths=(1, 1), width=8, features=4, scale=8.0,
            margin=0.1, learning_rate=0.05,
        ),
    ),
    preset_help="paper: ResNet-50 with attention in every block. small: a narrow ResNet-18, for two CPU cores.",
    files={"teacher": "Run of `faceloom train askd` whose teacher is used as it is, in place of training one."},
    examples=(
        "faceloom build askd --source people --out lr",
        "faceloom train askd --data lr --preset small --to runs/askd",
        "faceloom train askd --data lr --preset small --no-distill --to runs/plain",
    ),
)  # fmt: skip
"""The job `askd`."""
