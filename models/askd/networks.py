"""Face recognition networks with attention: a residual network whose blocks weigh channels and places (CBAM).

Pictures are float (N, 3, 112, 112), **BGR**, -1..1, as the published code has them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceloom.models.askd.preset import SIDE


def as_input(picture: Tensor) -> Tensor:
    """The network's input, BGR, -1..1, from float (N, 3, 112, 112), RGB, 0..1."""
    return picture.flip(1) * 2 - 1


class ChannelAttention(nn.Module):
    """Logits of channels: a shared bias-free perceptron of their averages and of their maxima, added."""

    def __init__(self, width: int, reduction: int) -> None:
        super().__init__()
        inner = max(1, width // reduction)
        self.judge = nn.Sequential(
            nn.Conv2d(width, inner, 1, bias=False), nn.ReLU(), nn.Conv2d(inner, width, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, float (N, C, 1, 1), of float (N, C, H, W)."""
        logits: Tensor = self.judge(x.mean((2, 3), keepdim=True)) + self.judge(x.amax((2, 3), keepdim=True))
        return logits


class SpatialAttention(nn.Module):
    """Logits of places: a bias-free convolution of the mean and the maximum over channels."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.judge = nn.Conv2d(2, 1, kernel, 1, kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits, float (N, 1, H, W), of float (N, C, H, W)."""
        logits: Tensor = self.judge(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1))
        return logits


class AttentionBlock(nn.Module):
    """BN, 3x3, BN, PReLU, 3x3 with the stride, BN, both attentions, plus the input; no activation after it."""

    def __init__(self, before: int, after: int, stride: int, reduction: int, kernel: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.BatchNorm2d(before), nn.Conv2d(before, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after),
            nn.PReLU(after), nn.Conv2d(after, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after),
        )  # fmt: skip
        self.channels = ChannelAttention(after, reduction)
        self.places = SpatialAttention(kernel)
        self.shortcut: nn.Module = nn.Identity()
        if before != after or stride != 1:
            convolution = nn.Conv2d(before, after, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(after))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the features, and the logits of both attentions."""
        y = self.change(x)
        channels = self.channels(y)
        y = y * torch.sigmoid(channels)
        places = self.places(y)
        return self.shortcut(x) + y * torch.sigmoid(places), channels, places


class Recognised(NamedTuple):
    """What the network makes of pictures.

    Attributes:
        features: float (N, 512), not normalised.
        attention: logits of every block: channels, then places.
    """

    features: Tensor
    attention: tuple[Tensor, ...]


class AttentionResNet(nn.Module):
    """A residual network for faces, with CBAM attention in every block (A-SKD).

    `depths` (3, 4, 14, 3) is ResNet-50 IR with 43,814,000 parameters, (2, 2, 2, 2) is ResNet-18. The first block of
    each level halves the side: 112 → 56, 28, 14, 7. Head: BN, dropout, fully
    connected, BN. A `stem_stride` of 2 halves all sides once more.
    """

    def __init__(
        self,
        depths: tuple[int, ...] = (3, 4, 14, 3),
        *,
        width: int = 64,
        features: int = 512,
        dropout: float = 0.4,
        reduction: int = 16,
        kernel: int = 3,
        stem_stride: int = 1,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, stem_stride, 1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width)
        )
        blocks, before = [], width
        for level, depth in enumerate(depths):
            after = width * 2**level
            for number in range(depth):
                blocks.append(AttentionBlock(before, after, 1 if number else 2, reduction, kernel))
                before = after
        self.blocks = nn.ModuleList(blocks)
        side = -(-SIDE // (stem_stride << len(depths)))  # rounded up, as each stride does
        self.head = nn.Sequential(
            nn.BatchNorm2d(before), nn.Dropout(dropout), nn.Flatten(), nn.Linear(before * side**2, features),
            nn.BatchNorm1d(features),
        )  # fmt: skip

    def forward(self, picture: Tensor) -> Recognised:
        """Recognise float (N, 3, 112, 112), BGR, -1..1."""
        x, attention = self.stem(picture), []
        for block in self.blocks:
            x, channels, places = block(x)
            attention += [channels, places]
        return Recognised(self.head(x).float(), tuple(attention))


class ArcFace(nn.Module):
    """Logits of people with an angular margin (Deng et al. 2019), in float32 under autocast too.

    Attributes:
        weight: a direction for each person, float (people, features).
    """

    def __init__(self, people: int, features: int = 512, *, scale: float = 32.0, margin: float = 0.5) -> None:
        super().__init__()
        self.scale, self.margin = scale, margin
        self.weight = nn.Parameter(torch.empty(people, features))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, features: Tensor, person: Tensor) -> Tensor:
        """Logits, float (N, people); the angle to the right person counts `margin` radians more.

        Args:
            features: float (N, features).
            person: int64 (N,).
        """
        # In bfloat16 a limit just below 1 is 1, where the slope of acos is infinite.
        with torch.autocast(features.device.type, enabled=False):
            directions = F.normalize(features.float()), F.normalize(self.weight.float())
            cosine = F.linear(*directions).clamp(-1 + 1e-7, 1 - 1e-7)
            angle = torch.acos(cosine)
            right = F.one_hot(person, len(self.weight)).bool()
            # Beyond π the cosine would rise again.
            return self.scale * torch.where(right, torch.cos((angle + self.margin).clamp(max=torch.pi)), cosine)
