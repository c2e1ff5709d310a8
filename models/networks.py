"""The masking networks. Pictures are float (N, 3, H, W), RGB, 0..1; coverage is float (N, 1, H, W)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceloom.models.layers import Block, average, places
from faceloom.models.mask_cutouts import CHANNELS, whole_of
from faceloom.models.mask_outline import MaskOutline, coverage_of
from faceloom.models.presets import CompactPreset, PaperPreset

COLOURED = 0.08
"""Mean difference of the channels, as a share of the brightest, from which a face counts as coloured; skin has 0.3."""
BRIGHTEST = 0.9
"""Largest mean level, 0..1, of a mask's brightest channel; on bright faces the gain stops there, and folds survive."""
_ACTIVATIONS = {"linear": nn.Identity, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}


class PaperAutoencoder(nn.Module):
    """The masking autoencoder of Lee 2022 (JKIICE 26(8)), layer by layer: maps a face to the masked face.

    64x64x3, two 3x3 convolutions of 16 maps with ReLU and no padding, 60x60x16 = 57,600, fully connected 2,500, fully
    connected 57,600, two transposed convolutions, 64x64x3: 288,065,623 parameters.
    """

    def __init__(self, preset: PaperPreset) -> None:
        super().__init__()
        maps, inner = preset.maps, preset.size - 4
        dense = _ACTIVATIONS[preset.dense_activation]
        self.encode = nn.Sequential(
            nn.Conv2d(3, maps, 3), nn.ReLU(), nn.Conv2d(maps, maps, 3), nn.ReLU(), nn.Flatten(),
            nn.Linear(maps * inner**2, preset.hidden), dense(),
        )  # fmt: skip
        self.decode = nn.Sequential(
            nn.Linear(preset.hidden, maps * inner**2), dense(), nn.Unflatten(1, (maps, inner, inner)),
            nn.ConvTranspose2d(maps, maps, 3), nn.ReLU(),
            nn.ConvTranspose2d(maps, 3, 3), _ACTIVATIONS[preset.output_activation](),
        )  # fmt: skip

    def forward(self, face: Tensor) -> Tensor:
        """Mask faces of the preset's size; returns float (N, 3, S, S), RGB, 0..1."""
        return self.decode(self.encode(face))


@dataclass(frozen=True, eq=False)
class Fit:
    """How to put a cutout on a face.

    Attributes:
        flow: for each pixel of the face, the place in the cutout to sample, float (N, H, W, 2), x and y from -1 to 1.
        gain: factor on the brightness of the cutout, float (N, 3, H, W), RGB, around 1.
        soft: share of blur, float (N, 1, 1, 1), 0..1.
        colour: share of the cutout's colour that is kept, float (N, 1, 1, 1), 0..1.
    """

    flow: Tensor
    gain: Tensor
    soft: Tensor
    colour: Tensor


@dataclass(frozen=True, eq=False)
class Put:
    """A mask that was put on a face.

    Attributes:
        colour: float (N, 3, H, W), RGB, 0..1.
        cover: coverage of the mask, float (N, 1, H, W), 0..1.
        straps: coverage of its straps, float (N, 1, H, W), 0..1; they may reach under the mask.
    """

    colour: Tensor
    cover: Tensor
    straps: Tensor

    @property
    def painted(self) -> Tensor:
        """Coverage of mask and straps."""
        return self.cover.maximum(self.straps)


class CompactMasker(nn.Module):
    """A small network that puts the cutout of a mask on a face: it predicts where, how bright and how soft.

    A face does not determine what its mask looks like, so a network that paints the mask itself paints the average of
    all masks, without folds or seams. This network gets a cutout of a mask from another face instead (see
    `models.mask_cutouts`) and bends it to the face by a smooth field, so the details stay sharp. Many cutouts are
    stored with the weights. The outline of the mask comes from a second network, which sees the face alone.

    Fully convolutional: takes any height and width that are multiples of `stride`. Its input is the face, the cutout,
    the coverage to fill, and the coordinates of each pixel, since in an aligned crop the place of a mask depends mostly
    on those.

    Attributes:
        looks: the stored cutouts, uint8 (preset.looks, 5, S, S), as `models.mask_cutouts` makes them, the most typical
            one first. The name is part of the checkpoint format.
    """

    looks: Tensor

    def __init__(self, preset: CompactPreset) -> None:
        super().__init__()
        widths = preset.widths
        self.edge = preset.edge
        self.outline = MaskOutline(widths)
        self.stem = Block(11, widths[0], 2)
        self.down = nn.Sequential(*(layer for a, b in pairwise(widths) for layer in (Block(a, b, 2), Block(b, b))))
        self.context = nn.Conv2d(widths[-1], widths[-1], 1)
        self.bottom = nn.Sequential(*(Block(widths[-1], widths[-1]) for _ in range(2)))
        self.fit = nn.Conv2d(widths[-1], 6, 3, 1, 1)
        nn.init.zeros_(self.fit.weight)  # training starts with the cutout as it is
        assert self.fit.bias is not None
        nn.init.zeros_(self.fit.bias)
        self.register_buffer("looks", torch.zeros(preset.looks, CHANNELS, preset.size, preset.size, dtype=torch.uint8))

    def find(self, face: Tensor, cutout: Tensor, cover: Tensor) -> Fit:
        """Predict how to put a cutout on a face so that it fills a coverage: in training the true one.

        Args:
            face: float (N, 3, H, W), RGB, 0..1.
            cutout: float (N, 5, H, W), 0..1.
            cover: float (N, 1, H, W), 0..1.
        """
        here = places(face)
        x = self.down(self.stem(torch.cat([face - 0.5, cutout, cover, here], 1)))
        x = self.bottom(x + self.context(average(x)))
        x = self.fit(x).float()
        # No exp and no sigmoid: at the end of a batch torch computes them differently, in the last bits.
        soft = (0.2 + average(x)[:, 5:]).clamp(0, 1)
        x = F.interpolate(x[:, :5], face.shape[2:], mode="bicubic", align_corners=False)
        return Fit((here + x[:, :2]).permute(0, 2, 3, 1), (1 + x[:, 2:]).clamp(0.3, 3), soft, _colourfulness(face))

    def put(self, cutout: Tensor, fit: Fit) -> Put:
        """Bend, light and blur a cutout, float (N, 5, H, W)."""
        blurred = F.avg_pool2d(F.pad(cutout, (2, 2, 2, 2)), 5, 1)
        cutout = torch.lerp(cutout, blurred, fit.soft)
        grey = cutout[:, :3].mean(1, keepdim=True).expand(-1, 3, -1, -1)
        cutout = torch.cat([torch.lerp(grey, cutout[:, :3], fit.colour), cutout[:, 3:]], 1)
        x = F.grid_sample(cutout, fit.flow, mode="bicubic", align_corners=False)
        mean = average(cutout[:, :3]) / average(whole_of(cutout)).clamp(min=1e-3)
        gain = torch.lerp(fit.gain.mean(1, keepdim=True).expand_as(fit.gain), fit.gain, fit.colour)
        gain = gain.minimum(BRIGHTEST / mean.amax(1, keepdim=True).clamp(min=1e-3))
        colour = (_filled(x[:, :3], whole_of(x), mean) * gain).clamp(0, 1)
        # Resampling widens the edge, so it is steepened again.
        edge = 1 + (self.edge - 1) * (1 - fit.soft)
        return Put(colour, ((x[:, 3:4] - 0.5) * edge + 0.5).clamp(0, 1), x[:, 4:].clamp(0, 1))

    def forward(self, face: Tensor, cutout: Tensor) -> Put:
        """Put a cutout on a face, inside the outline that the face suggests.

        Args:
            face: float (N, 3, H, W), RGB, 0..1.
            cutout: float (N, 5, H, W), 0..1.
        """
        level = self.outline(face)
        fit = self.find(face, cutout, coverage_of(level, torch.zeros_like(level[:, :, :1, :1])))
        cover = coverage_of(level, fit.soft)
        bent = self.put(cutout, fit)
        return Put(bent.colour, cover, bent.straps)


def _filled(colour: Tensor, cover: Tensor, mean: Tensor) -> Tensor:
    """Colours of all pixels: a premultiplied picture over the colours of its surroundings, as far as it has holes."""
    reach = 2 * (colour.shape[3] // 16) + 1
    near = F.avg_pool2d(F.pad(torch.cat([colour, cover], 1), (reach // 2,) * 4), reach, 1)
    least = 1e-3
    around = (near[:, :3] + least * mean) / (near[:, 3:].clamp(min=0) + least)
    return colour + around * (1 - cover.clamp(0, 1))


def _colourfulness(face: Tensor) -> Tensor:
    """0 for a grey picture, rising to 1 where the channels differ by `COLOURED` of the brightest; (N, 1, 1, 1)."""
    most = face.amax(1, keepdim=True)
    share = average(most - face.amin(1, keepdim=True)) / average(most).clamp(min=1e-3)
    return (share / COLOURED).clamp(0, 1)


def compose(face: Tensor, colour: Tensor, alpha: Tensor) -> Tensor:
    """Blend: the face where `alpha` is 0, `colour` where it is 1."""
    return face + (colour - face) * alpha


def make_network(preset: PaperPreset | CompactPreset) -> PaperAutoencoder | CompactMasker:
    """Make the untrained network of a preset on the current default device of torch."""
    return PaperAutoencoder(preset) if isinstance(preset, PaperPreset) else CompactMasker(preset)


def parameter_count(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters())
