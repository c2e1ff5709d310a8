"""The masking networks. Pictures are float (N, 3, H, W), RGB, 0..1; coverage is float (N, 1, H, W)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceloom.models.presets import CompactPreset, PaperPreset

_ACTIVATIONS = {"linear": nn.Identity, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}


class PaperAutoencoder(nn.Module):
    """The masking autoencoder of Lee 2022 (JKIICE 26(8)), layer for layer: a face in, the masked face out.

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
        """The masked picture, float (N, 3, S, S), of faces of the preset's size."""
        return self.decode(self.encode(face))


class _Block(nn.Module):
    """Convolution, its maps scaled and shifted by a code if there is one, ReLU."""

    def __init__(self, before: int, after: int, code: int = 0, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, stride, 1)
        self.norm = nn.BatchNorm2d(after)
        self.steer = nn.Linear(code, 2 * after) if code else None

    def forward(self, x: Tensor, code: Tensor | None = None) -> Tensor:
        x = self.norm(self.conv(x))
        if self.steer is not None:
            scale, shift = self.steer(code)[..., None, None].chunk(2, 1)
            x = x * (1 + scale) + shift
        return F.relu(x)


class LookEncoder(nn.Module):
    """Writes what the mask on a picture looks like into a code; only training needs it."""

    def __init__(self, widths: tuple[int, ...], code: int) -> None:
        super().__init__()
        steps = zip((4, *widths[1:]), (*widths[1:], widths[-1]))
        self.blocks = nn.Sequential(*(_Block(before, after, stride=2) for before, after in steps))
        self.head = nn.Linear(2 * widths[-1], 2 * code)

    def forward(self, masked: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of the code, each float (N, code).

        Args:
            masked: float (N, 3, H, W), RGB, 0..1.
            mask: its coverage, float (N, 1, H, W), 0..1.
        """
        x = self.blocks(torch.cat([masked * mask, mask], 1))
        mean, spread = self.head(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)).chunk(2, 1)
        return mean, spread.clamp(-8, 4)


class CompactMasker(nn.Module):
    """A small U-Net that predicts a mask's colour and its coverage from a face and a code of the mask's look.

    Fully convolutional: takes any height and width that are multiples of `stride`. Beside the face it sees where each
    pixel lies in the crop, since in an aligned crop that says most of where a mask goes.

    Attributes:
        looks: float (looks, code), codes of training masks; the first is the most typical of them.
    """

    looks: Tensor

    def __init__(self, preset: CompactPreset) -> None:
        super().__init__()
        widths, code = preset.widths, preset.code
        self.stride = preset.stride
        self.stem = _Block(5, widths[0])
        self.down = nn.ModuleList(_Block(a, b, stride=2) for a, b in pairwise(widths))
        self.bottom = nn.ModuleList(_Block(widths[-1], widths[-1], code) for _ in range(2))
        self.widen = nn.ModuleList(nn.Conv2d(b, 4 * a, 1) for a, b in zip(widths[-2::-1], widths[:0:-1]))
        self.up = nn.ModuleList(_Block(2 * a, a, code) for a in widths[-2::-1])
        self.last = _Block(widths[0], widths[0], code)
        self.head = nn.Conv2d(widths[0], 4, 3, 1, 1)
        self.encoder = LookEncoder(widths, code)
        self.register_buffer("looks", torch.zeros(preset.looks, code))

    def forward(self, face: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """Colour, float (N, 3, H, W), 0..1, and the logits of the coverage, float (N, 1, H, W)."""
        x = self.stem(torch.cat([face - 0.5, _places(face)], 1))
        skips = []
        for down in self.down:
            skips.append(x)
            x = down(x)
        for block in self.bottom:
            x = block(x, code)
        for widen, up in zip(self.widen, self.up):
            x = up(torch.cat([F.pixel_shuffle(widen(x), 2), skips.pop()], 1), code)
        x = self.head(self.last(x, code))
        return torch.sigmoid(x[:, :3]), x[:, 3:]


def _places(face: Tensor) -> Tensor:
    """Height and breadth of each pixel in the crop, -1..1, as two planes."""
    count, _, height, width = face.shape
    rows = torch.linspace(-1, 1, height, device=face.device, dtype=face.dtype)
    columns = torch.linspace(-1, 1, width, device=face.device, dtype=face.dtype)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij")).expand(count, 2, height, width)


def compose(face: Tensor, colour: Tensor, alpha: Tensor) -> Tensor:
    """The masked picture: face where `alpha` is 0, `colour` where it is 1."""
    return face + (colour - face) * alpha


def make_network(preset: PaperPreset | CompactPreset) -> PaperAutoencoder | CompactMasker:
    """The untrained network of a preset, on torch's current default device."""
    return PaperAutoencoder(preset) if isinstance(preset, PaperPreset) else CompactMasker(preset)


def parameter_count(network: nn.Module) -> int:
    """Trained numbers of a network."""
    return sum(parameter.numel() for parameter in network.parameters())
