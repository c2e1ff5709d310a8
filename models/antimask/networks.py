"""The networks of Anti-Mask. Pictures are float (N, 3, H, W), RGB, 0..1; landmarks are shares of the sides."""

from __future__ import annotations

import itertools
from typing import NamedTuple

from torch import Tensor, nn

LOWER_POINTS = (*range(1, 16), *range(30, 36), *range(48, 68))
"""Landmarks of the lower part of a face: jaw, tip of the nose, mouth. The paper does not list them."""
ALL_POINTS = tuple(range(68))
"""Landmarks of the full face."""
VGG16 = (2, 2, 3, 3, 3)
"""Convolutions of each level of VGG-16."""


class Completed(NamedTuple):
    """What the decoder makes of features.

    Attributes:
        picture: float (N, 3, H, W), RGB, 0..1.
        landmarks: float (N, points, 2), x and y as shares of the picture's width and height.
    """

    picture: Tensor
    landmarks: Tensor


class Decoder(nn.Module):
    """Features of a face to its lower part, 128x224, and the landmarks of that part.

    Fully connected 1000, shared; fully connected 8x14x256, four transposed 5x5 convolutions with stride 2 (128, 64, 32,
    32 maps, ReLU), 1x1 to the picture; fully connected to the landmarks. 33,898,827 parameters without the landmarks.
    `height` 224 redraws the full face, from 14x14x256: 55,424,331 parameters.
    """

    def __init__(
        self,
        features: int = 4096,
        *,
        height: int = 128,
        width: int = 224,
        hidden: int = 1000,
        maps: tuple[int, int, int, int, int] = (256, 128, 64, 32, 32),
        points: int = len(LOWER_POINTS),
    ) -> None:
        super().__init__()
        self.share = nn.Sequential(nn.Linear(features, hidden), nn.ReLU())
        start = maps[0], height // 16, width // 16
        layers: list[nn.Module] = [nn.Linear(hidden, start[0] * start[1] * start[2]), nn.ReLU(), nn.Unflatten(1, start)]
        for before, after in itertools.pairwise(maps):
            layers += [nn.ConvTranspose2d(before, after, 5, 2, 2, 1), nn.ReLU()]
        self.paint = nn.Sequential(*layers, nn.Conv2d(maps[-1], 3, 1), nn.Sigmoid())
        self.points = nn.Sequential(nn.Linear(hidden, points * 2), nn.Unflatten(1, (points, 2)))

    def forward(self, features: Tensor) -> Completed:
        """Complete faces from float (N, features)."""
        shared = self.share(features)
        return Completed(self.paint(shared).float(), self.points(shared).float())


class Encoder(nn.Module):
    """The upper part of a face, 96x224, to features: the convolutions of VGG-16, then two fully connected layers.

    With the default widths 75,540,288 parameters. Fewer `levels` of fewer `maps` make a small one.
    """

    def __init__(
        self,
        features: int = 4096,
        *,
        height: int = 96,
        width: int = 224,
        hidden: int = 4096,
        maps: tuple[int, ...] = (64, 128, 256, 512, 512),
        levels: tuple[int, ...] = VGG16,
        relu: bool = False,
        normalise: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for after, depth in zip(maps, levels, strict=True):
            for _ in range(depth):
                layers.append(nn.Conv2d(before, after, 3, 1, 1))
                layers += [nn.BatchNorm2d(after), nn.ReLU()] if normalise else [nn.ReLU()]
                before = after
            layers.append(nn.MaxPool2d(2))
        flat = before * (height >> len(maps)) * (width >> len(maps))
        layers += [nn.Flatten(), nn.Linear(flat, hidden), nn.ReLU(), nn.Linear(hidden, features)]
        self.encode = nn.Sequential(*layers, *([nn.ReLU()] if relu else []))

    def forward(self, upper: Tensor) -> Tensor:
        """Features, float (N, features), of float (N, 3, H, W)."""
        features: Tensor = self.encode(upper)
        return features.float()
