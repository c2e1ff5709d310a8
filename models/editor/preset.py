"""Presets of the mask editor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Interval, Len

from faceloom.models.preset import Factor, JobSpec, Preset, Share

COVERED = 0.1
"""Pixels with more coverage belong to the hole, in training and in evaluation."""


@dataclass(frozen=True, kw_only=True)
class EditorPreset(Preset):
    """The editor of Mask2Face (2022) and its training; `din2020` adds what Din et al. (2020) have.

    Attributes:
        width: feature maps of the first layer.
        refine: whether a second network refines the first one's result.
        output: activation of the last layer. The published code mixes pictures from 0 to 1 with a tanh.
        squeeze_after: layers that squeeze-excitation follows, by number; three levels of the encoder in `din2020`.
        reduction: of the squeeze-excitation.
        critic_width: feature maps of the first layer of the discriminators.
        region_from: first epoch in which a second discriminator judges the masked region; 0 for never.
        region_share: its weight; the rest is that of the discriminator of the whole picture.
        rec_weight: of the reconstruction of each composite.
        ssim_share: share of 1 - SSIM in the reconstruction; the rest is the error of pixels.
        pixels: error of pixels. The deck names L1, its code has the smooth one.
        perceptual_weight: of the difference of the user's features, if there are any.
        grow: pixels by which the map is dilated, so that no mixed pixel of the mask's edge is left.
        flip: whether samples are mirrored at random.
    """

    size: Annotated[int, Interval(ge=24, le=1024)] = 160
    width: Annotated[int, Interval(ge=1, le=256)] = 64
    refine: bool = True
    output: Literal["sigmoid", "tanh"] = "sigmoid"
    squeeze_after: Annotated[tuple[Annotated[int, Interval(ge=0, le=3)], ...], Len(0, 4)] = ()
    reduction: Annotated[int, Interval(ge=1, le=1024)] = 16
    critic_width: Annotated[int, Interval(ge=1, le=256)] = 64
    region_from: Annotated[int, Interval(ge=0, le=10**9)] = 0
    region_share: Share = 0.7
    rec_weight: Factor = 100.0
    ssim_share: Share = 0.5
    pixels: Literal["smooth_l1", "l1"] = "smooth_l1"
    perceptual_weight: Factor = 1.0
    grow: Annotated[int, Interval(ge=0, le=32)] = 1
    flip: bool = True

    any_size: ClassVar[bool] = True
    unstated: ClassVar[tuple[str, ...]] = (
        "schedule", "output", "squeeze_after", "reduction", "region_from", "ssim_share", "perceptual_weight",
        "grow", "flip",
    )  # fmt: skip

    @property
    def stride(self) -> int:
        """The side of a crop must be a multiple of it."""
        return 4

    @property
    def least(self) -> int:
        """Side of the smallest crops: the discriminator's last layers need some room."""
        return 24

    @property
    def largest_layer(self) -> int:
        """The most values that a layer makes of one face."""
        return self.width * self.size**2


EDITOR = JobSpec(
    help="Train a mask editor: it paints the face under a mask.",
    presets=(
        EditorPreset(name="paper", epochs=192, batch=16, learning_rate=1e-3, save_every=4),
        EditorPreset(
            name="din2020", epochs=192, batch=16, learning_rate=1e-3, save_every=4, squeeze_after=(0, 2, 3),
            region_from=10,
        ),
        EditorPreset(
            name="small", size=64, epochs=24, batch=16, learning_rate=2e-3, schedule="cosine", width=12, refine=False,
            critic_width=16, save_every=2,
        ),
        EditorPreset(
            name="tiny-editor", size=24, epochs=2, batch=4, learning_rate=2e-3, width=2, critic_width=2,
            squeeze_after=(0, 2, 3), region_from=2,
        ),
    ),
    preset_help="paper: the network of Mask2Face, 160 x 160. din2020: with squeeze-excitation and a discriminator of "
    "the masked region. small: learns on a CPU in minutes.",
    examples=(
        "faceloom build mask2face --source photos --out m2f",
        "faceloom train editor --data m2f --preset small --to runs/edit",
        "faceloom train editor --data m2f --detector runs/det --to runs/edit2",
    ),
    files={
        "detector": "Run of a detector: the editor learns from the masks that it finds, not from the true ones.",
        "features": "TorchScript file of a network: its features add a perceptual loss.",
    },
)  # fmt: skip
"""The job `editor`."""
