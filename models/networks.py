"""The masking networks. Pictures are float (N, 3, H, W), RGB, 0..1; coverage is float (N, 1, H, W)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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


class _Block(nn.Module):
    """A 3x3 convolution, normalisation, ReLU."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


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


class CompactMasker(nn.Module):
    """A small network that puts the cutout of a mask on a face: it predicts where, how bright and how soft.

    A face does not determine what its mask looks like, so a network that paints the mask itself paints the average of
    all masks, without folds or seams. This network gets a cutout of a mask from another face instead (see
    `models.mask_cutouts`) and bends it to the face by a smooth field, so the details stay sharp. Many cutouts are
    stored with the weights.

    Fully convolutional: takes any height and width that are multiples of `stride`. Its input is the face, the cutout
    and the coordinates of each pixel, since in an aligned crop the place of a mask depends mostly on those.

    Attributes:
        looks: the stored cutouts, uint8 (preset.looks, 4, S, S), premultiplied RGB and coverage, the most typical one
            first. The name is part of the checkpoint format.
    """

    looks: Tensor

    def __init__(self, preset: CompactPreset) -> None:
        super().__init__()
        widths = preset.widths
        self.edge = preset.edge
        self.stem = _Block(9, widths[0], 2)
        self.down = nn.Sequential(*(layer for a, b in pairwise(widths) for layer in (_Block(a, b, 2), _Block(b, b))))
        self.context = nn.Conv2d(widths[-1], widths[-1], 1)
        self.bottom = nn.Sequential(*(_Block(widths[-1], widths[-1]) for _ in range(2)))
        self.fit = nn.Conv2d(widths[-1], 6, 3, 1, 1)
        nn.init.zeros_(self.fit.weight)  # training starts with the cutout as it is
        assert self.fit.bias is not None
        nn.init.zeros_(self.fit.bias)
        self.register_buffer("looks", torch.zeros(preset.looks, 4, preset.size, preset.size, dtype=torch.uint8))

    def find(self, face: Tensor, cutout: Tensor) -> Fit:
        """Predict how to put `cutout`, float (N, 4, H, W), on `face`, float (N, 3, H, W)."""
        places = _places(face)
        x = self.down(self.stem(torch.cat([face - 0.5, cutout, places], 1)))
        x = self.bottom(x + self.context(_average(x)))
        x = self.fit(x).float()
        # No exp and no sigmoid: at the end of a batch torch computes them differently, in the last bits.
        soft = (0.2 + _average(x)[:, 5:]).clamp(0, 1)
        x = F.interpolate(x[:, :5], face.shape[2:], mode="bicubic", align_corners=False)
        return Fit((places + x[:, :2]).permute(0, 2, 3, 1), (1 + x[:, 2:]).clamp(0.3, 3), soft, _colourfulness(face))

    def put(self, cutout: Tensor, fit: Fit) -> tuple[Tensor, Tensor]:
        """Bend, light and blur a cutout; returns colour, float (N, 3, H, W), and coverage, float (N, 1, H, W), 0..1."""
        blurred = F.avg_pool2d(F.pad(cutout, (2, 2, 2, 2)), 5, 1)
        cutout = torch.lerp(cutout, blurred, fit.soft)
        grey = cutout[:, :3].mean(1, keepdim=True).expand(-1, 3, -1, -1)
        cutout = torch.cat([torch.lerp(grey, cutout[:, :3], fit.colour), cutout[:, 3:]], 1)
        x = F.grid_sample(cutout, fit.flow, mode="bicubic", align_corners=False)
        cover = x[:, 3:]
        gain = torch.lerp(fit.gain.mean(1, keepdim=True).expand_as(fit.gain), fit.gain, fit.colour)
        mean = _average(cutout[:, :3]) / _average(cutout[:, 3:]).clamp(min=1e-3)
        gain = gain.minimum(BRIGHTEST / mean.amax(1, keepdim=True).clamp(min=1e-3))
        colour = (x[:, :3] / cover.clamp(min=0.05) * gain).clamp(0, 1)
        # Resampling widens the edge, so it is steepened again.
        edge = 1 + (self.edge - 1) * (1 - fit.soft)
        return colour, ((cover - 0.5) * edge + 0.5).clamp(0, 1)

    def forward(self, face: Tensor, cutout: Tensor) -> tuple[Tensor, Tensor]:
        """Put a cutout on a face; returns colour, float (N, 3, H, W), and coverage, float (N, 1, H, W), both 0..1.

        Args:
            face: float (N, 3, H, W), RGB, 0..1.
            cutout: float (N, 4, H, W), 0..1: premultiplied RGB and coverage.
        """
        return self.put(cutout, self.find(face, cutout))


def _average(x: Tensor) -> Tensor:
    """Mean over all pixels, (N, C, 1, 1). `x.mean` sums in an order that depends on the place in the batch."""
    return F.avg_pool2d(x, x.shape[2:])


def _colourfulness(face: Tensor) -> Tensor:
    """0 for a grey picture, rising to 1 where the channels differ by `COLOURED` of the brightest; (N, 1, 1, 1)."""
    most = face.amax(1, keepdim=True)
    share = _average(most - face.amin(1, keepdim=True)) / _average(most).clamp(min=1e-3)
    return (share / COLOURED).clamp(0, 1)


def _places(face: Tensor) -> Tensor:
    """x and y of each pixel centre, float (N, 2, H, W); the edges of the crop are at -1 and 1."""
    count, _, height, width = face.shape
    rows = (torch.arange(height, device=face.device, dtype=torch.float32) * 2 + 1) / height - 1
    columns = (torch.arange(width, device=face.device, dtype=torch.float32) * 2 + 1) / width - 1
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy")).expand(count, 2, height, width)


def compose(face: Tensor, colour: Tensor, alpha: Tensor) -> Tensor:
    """Blend: the face where `alpha` is 0, `colour` where it is 1."""
    return face + (colour - face) * alpha


def make_network(preset: PaperPreset | CompactPreset) -> PaperAutoencoder | CompactMasker:
    """Make the untrained network of a preset on the current default device of torch."""
    return PaperAutoencoder(preset) if isinstance(preset, PaperPreset) else CompactMasker(preset)


def parameter_count(network: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters())
