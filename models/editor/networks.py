"""The networks of the mask editor. Pictures are float (N, 3, H, W), RGB, 0..1; maps (N, 1, H, W), 1 on the mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Output = Literal["sigmoid", "tanh"]
ENCODER = 3
"""The last layer of the encoder; the layers after it are the middle, then the decoder."""
UPSAMPLED = (12, 14)
"""Layers whose input is enlarged to twice its side, by repeating pixels."""
PLAIN = (0, 12, 14, 15)
"""Layers without instance normalisation."""


class Gated(nn.Module):
    """A gated convolution, conv(x)·sigmoid(conv'(x)), of Yu et al. 2019; both convolutions have a bias."""

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        padding = (kernel - 1) // 2 * dilation
        self.value = nn.Conv2d(before, after, kernel, stride, padding, dilation)
        self.gate = nn.Conv2d(before, after, kernel, stride, padding, dilation)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and gate."""
        return self.value(x) * torch.sigmoid(self.gate(x))


class SqueezeExcitation(nn.Module):
    """Weights of channels from their means (Hu et al. 2018)."""

    def __init__(self, width: int, reduction: int) -> None:
        super().__init__()
        inner = max(1, width // reduction)
        self.weigh = nn.Sequential(nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """Scale each channel."""
        return x * self.weigh(x.mean((2, 3)))[..., None, None]


class GatedNet(nn.Module):
    """The network that Mask2Face uses twice: sixteen gated convolutions, with 64 maps 13,468,550 parameters.

    Kernel, stride, dilation → maps at the side of a 160x160 input: 7 → 64@160; 4, s2 → 128@80; 3 → 256@80;
    4, s2 → 256@40; 3 → 256, twice; 3 with dilation 2, 4, 8, 16 → 256; 3 → 256, twice; ×2, 3 → 128@80; 3 → 128;
    ×2, 3 → 64@160; 7 → 3@160. Instance normalisation without parameters and LeakyReLU 0.2 follow the gate.

    Attributes:
        squeezes: squeeze-excitation after layers of the encoder, by the layer's number; Din et al. have three.
    """

    def __init__(
        self, width: int = 64, *, output: Output = "sigmoid", squeeze_after: Sequence[int] = (), reduction: int = 16
    ) -> None:
        super().__init__()
        w = width
        self.output = output
        self.layers = nn.ModuleList([
            Gated(4, w, 7), Gated(w, 2 * w, 4, 2), Gated(2 * w, 4 * w, 3), Gated(4 * w, 4 * w, 4, 2),
            Gated(4 * w, 4 * w, 3), Gated(4 * w, 4 * w, 3),
            *(Gated(4 * w, 4 * w, 3, dilation=dilation) for dilation in (2, 4, 8, 16)),
            Gated(4 * w, 4 * w, 3), Gated(4 * w, 4 * w, 3),
            Gated(4 * w, 2 * w, 3), Gated(2 * w, 2 * w, 3), Gated(2 * w, w, 3), Gated(w, 3, 7),
        ])  # fmt: skip
        widths = (w, 2 * w, 4 * w, 4 * w)
        self.squeezes = nn.ModuleDict({str(n): SqueezeExcitation(widths[n], reduction) for n in squeeze_after})

    def forward(self, picture: Tensor, hole: Tensor) -> Tensor:
        """Paint a picture.

        Args:
            picture: float (N, 3, H, W), 0..1, sides that are multiples of 4; its values inside the hole are a guess.
            hole: float (N, 1, H, W), 1 where the network has to paint.

        Returns:
            float (N, 3, H, W), 0..1, also outside the hole.
        """
        x = torch.cat([picture, hole], 1)
        last = len(self.layers) - 1
        for number, layer in enumerate(self.layers):
            if number in UPSAMPLED:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = layer(x)
            if number not in PLAIN:
                x = F.instance_norm(x)
            if number != last:
                x = F.leaky_relu(x, 0.2)
            if str(number) in self.squeezes:
                x = self.squeezes[str(number)](x)
        return torch.sigmoid(x.float()) if self.output == "sigmoid" else (torch.tanh(x.float()) + 1) / 2


class Edited(NamedTuple):
    """Composites of the two networks: float (N, 3, H, W), 0..1; outside the map, both are the photo's own pixels."""

    coarse: Tensor
    refined: Tensor


class Editor(nn.Module):
    """Two gated networks: a coarse one, and one that refines its result (Mask2Face)."""

    def __init__(
        self,
        width: int = 64,
        *,
        refine: bool = True,
        output: Output = "sigmoid",
        squeeze_after: Sequence[int] = (),
        reduction: int = 16,
    ) -> None:
        super().__init__()
        self.coarse = GatedNet(width, output=output, squeeze_after=squeeze_after, reduction=reduction)
        self.refine = (
            GatedNet(width, output=output, squeeze_after=squeeze_after, reduction=reduction) if refine else None
        )

    def forward(self, photo: Tensor, hole: Tensor) -> Edited:
        """Paint what lies under the hole; the photo's pixels inside it are never read.

        Args:
            photo: float (N, 3, H, W), 0..1, sides that are multiples of 4.
            hole: float (N, 1, H, W), 0 or 1.
        """
        coarse = composite(photo, self.coarse(filled(photo, hole), hole), hole)
        refined = coarse if self.refine is None else composite(photo, self.refine(coarse, hole), hole)
        return Edited(coarse, refined)


def filled(photo: Tensor, hole: Tensor) -> Tensor:
    """The photo with the hole filled with 1, as Mask2Face does."""
    return torch.where(hole > 0.5, 1.0, photo)


def composite(photo: Tensor, painted: Tensor, hole: Tensor) -> Tensor:
    """The photo outside the hole, bit for bit, and the painted picture inside it."""
    return torch.where(hole > 0.5, painted, photo)
