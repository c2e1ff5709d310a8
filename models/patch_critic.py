"""The 70x70 PatchGAN discriminator of pix2pix (Isola et al. 2017)."""

from __future__ import annotations

from torch import Tensor, nn


class PatchCritic(nn.Module):
    """Scores overlapping patches of a picture.

    4x4 convolutions: `width`, 2·`width` and 4·`width` maps with stride 2, then 8·`width` and 1 with stride 1; batch
    normalisation after the middle three; LeakyReLU 0.2. With 64 maps: 2,765,633 parameters.
    """

    def __init__(self, width: int = 64, channels: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for before, after, stride in ((1, 2, 2), (2, 4, 2), (4, 8, 1)):
            convolution = nn.Conv2d(width * before, width * after, 4, stride, 1, bias=False)
            layers += [convolution, nn.BatchNorm2d(width * after), nn.LeakyReLU(0.2)]
        self.score = nn.Sequential(*layers, nn.Conv2d(width * 8, 1, 4, 1, 1))

    def forward(self, picture: Tensor) -> Tensor:
        """Scores of the patches of float (N, C, H, W): float (N, 1, H // 8 - 2, W // 8 - 2), not limited."""
        scores: Tensor = self.score(picture)
        return scores
