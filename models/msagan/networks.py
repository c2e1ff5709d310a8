"""The networks of MSaGAN. Pictures are float (N, 3, S, S), RGB, -1..1; attributes float (N, K), 0 or 1."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Structure = Literal["E1D1", "E1D2", "E2D1", "E2D2"]
Merge = Literal["concatenate", "add"]
STRUCTURES: tuple[Structure, ...] = ("E1D1", "E1D2", "E2D1", "E2D2")
SPREAD = 0.02
"""Standard deviation of the starting weights."""
MOST_MAPS = 1024
"""Feature maps of a discriminator's layer; the published one reaches them at 128 pixels."""


class _Residual(nn.Module):
    """Two 3x3 convolutions with batch normalisation, added to the input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.change(x)
        return result


def _encoder(channels: int, width: int) -> nn.Sequential:
    """7x7, then three 4x4 with stride 2, each doubling the maps; instance normalisation, ReLU."""
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 7, 1, 3), nn.InstanceNorm2d(width), nn.ReLU()]
    for before in (width, 2 * width, 4 * width):
        layers += [nn.Conv2d(before, 2 * before, 4, 2, 1), nn.InstanceNorm2d(2 * before), nn.ReLU()]
    return nn.Sequential(*layers)


def _middle(width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(_Residual(8 * width) for _ in range(blocks)))


def _decoder(width: int, channels: int) -> nn.Sequential:
    """Three transposed 4x4 with stride 2, each halving the maps, then a transposed 7x7 without activation."""
    layers: list[nn.Module] = []
    for before in (8 * width, 4 * width, 2 * width):
        layers += [nn.ConvTranspose2d(before, before // 2, 4, 2, 1), nn.InstanceNorm2d(before // 2), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(width, channels, 7, 1, 3))


class Edit(NamedTuple):
    """An edited picture.

    Attributes:
        picture: I_a·b + I·(1 - b), float (N, 3, S, S), -1..1.
        attention: b, float (N, 1, S, S), 0..1.
    """

    picture: Tensor
    attention: Tensor


class Generator(nn.Module):
    """Edits a picture towards given attributes, within an attention mask that it finds itself.

    `E1D1` has one encoder and one decoder with four channels, picture and attention. `E1D2` has one encoder and two
    decoders behind shared residual blocks. `E2D2` is SaGAN's pair of networks that share nothing; its attention
    network does not see the attributes. `E2D1` has two encoders whose features are merged before the residual blocks.
    The paper does not state how: `merge` concatenates them and applies a 1x1 convolution, or adds them.
    With 32 maps and one attribute: 6,114,244 (E1D1), 6,802,596 (E1D2), 12,220,644 (E2D2) parameters.
    """

    def __init__(
        self,
        structure: Structure = "E1D1",
        *,
        attributes: int = 1,
        width: int = 32,
        blocks: int = 4,
        merge: Merge = "concatenate",
    ) -> None:
        super().__init__()
        self.structure, self.merge_by = structure, merge
        self.encode = _encoder(3 + attributes, width)
        self.middle = _middle(width, blocks)
        self.decode = _decoder(width, 4 if structure.endswith("D1") else 3)
        if structure.startswith("E2"):
            self.look = _encoder(3, width)
        if structure == "E2D2":
            self.weigh = _middle(width, blocks)
        if structure.endswith("D2"):
            self.attend = _decoder(width, 1)
        if structure == "E2D1" and merge == "concatenate":
            self.merge = nn.Conv2d(16 * width, 8 * width, 1)
        self.apply(_start)

    def forward(self, picture: Tensor, wanted: Tensor) -> Edit:
        """Edit pictures.

        Args:
            picture: float (N, 3, S, S), -1..1, S a multiple of 8.
            wanted: float (N, K), the attributes that the result is to have.
        """
        planes = wanted[..., None, None].expand(-1, -1, *picture.shape[2:])
        x = self.encode(torch.cat([picture, planes], 1))
        if self.structure == "E2D1":
            seen = self.look(picture)
            x = self.merge(torch.cat([x, seen], 1)) if self.merge_by == "concatenate" else x + seen
        x = self.middle(x)
        painted = self.decode(x).float()
        if self.structure.endswith("D1"):
            attention = painted[:, 3:]
        elif self.structure == "E1D2":
            attention = self.attend(x).float()
        else:
            attention = self.attend(self.weigh(self.look(picture))).float()
        b = torch.sigmoid(attention)
        return Edit(torch.tanh(painted[:, :3]) * b + picture * (1 - b), b)


class Judgement(NamedTuple):
    """Output of the discriminator: scores of patches, float (N, 1, h, w), and logits of attributes, float (N, K)."""

    scores: Tensor
    logits: Tensor


class Discriminator(nn.Module):
    """4x4 convolutions with stride 2 down to 2x2 or 3x3, each doubling the maps; LeakyReLU 0.2, no normalisation.

    Pictures of 128 pixels, 32 maps and one attribute: six convolutions, 11,190,754 parameters.
    """

    def __init__(self, size: int = 128, *, attributes: int = 1, width: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before, after = 3, width
        levels = int(math.log2(size)) - 1
        for _ in range(levels):
            layers += [nn.Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(0.2)]
            before, after = after, min(2 * after, MOST_MAPS)
        self.body = nn.Sequential(*layers)
        self.score = nn.Conv2d(before, 1, 3, 1, 1)
        self.classify = nn.Conv2d(before, attributes, size >> levels)
        self.apply(_start)

    def forward(self, picture: Tensor) -> Judgement:
        """Judge float (N, 3, S, S), -1..1, of the size that the network was made for."""
        x = self.body(picture)
        return Judgement(self.score(x).float(), self.classify(x).flatten(1).float())


class AttributeClassifier(nn.Module):
    """Logits of attributes: measures whether an edit shows. It never sees the generator.

    Residual blocks of two 3x3 convolutions or, for ResNet-50, bottlenecks, as He et al. 2016; stem 7x7 with stride 2
    and a max pool. `depths` of (3, 4, 6, 3) with bottlenecks is ResNet-50.
    """

    def __init__(
        self, *, attributes: int = 1, depths: tuple[int, ...] = (3, 4, 6, 3), width: int = 64, bottleneck: bool = True
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        blocks: list[nn.Module] = []
        before = width
        for level, depth in enumerate(depths):
            inner = width * 2**level
            for number in range(depth):
                stride = 2 if level and not number else 1
                blocks.append(_Block(before, inner, stride, bottleneck))
                before = inner * (4 if bottleneck else 1)
        self.body = nn.Sequential(*blocks)
        self.head = nn.Linear(before, attributes)

    def forward(self, picture: Tensor) -> Tensor:
        """Logits, float (N, K), of float (N, 3, S, S), -1..1."""
        logits: Tensor = self.head(self.body(self.stem(picture)).mean((2, 3)))
        return logits.float()


class _Block(nn.Module):
    """A residual block: bottleneck (1x1, 3x3, 1x1) or two 3x3."""

    def __init__(self, before: int, inner: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        after = inner * (4 if bottleneck else 1)
        sizes = ((before, inner, 1, 1), (inner, inner, 3, stride), (inner, after, 1, 1))
        if not bottleneck:
            sizes = ((before, inner, 3, stride), (inner, after, 3, 1))  # type: ignore[assignment]
        layers: list[nn.Module] = []
        for old, new, kernel, step in sizes:
            layers += [nn.Conv2d(old, new, kernel, step, kernel // 2, bias=False), nn.BatchNorm2d(new), nn.ReLU()]
        self.change = nn.Sequential(*layers[:-1])
        self.shortcut = (
            nn.Identity()
            if stride == 1 and before == after
            else nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.shortcut(x) + self.change(x))


def _start(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0, SPREAD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
