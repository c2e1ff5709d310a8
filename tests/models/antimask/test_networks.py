"""Anti-Mask's decoder and encoder have the published shapes."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from faceloom.models.antimask.networks import ALL_POINTS, LOWER_POINTS, Decoder, Encoder  # noqa: E402
from faceloom.models.networks import parameter_count  # noqa: E402


def test_the_decoder() -> None:
    with torch.device("meta"):
        decoder = Decoder()
        assert parameter_count(decoder) - parameter_count(decoder.points) == 33_898_827
    made = Decoder(8, hidden=4, maps=(2, 2, 2, 2, 2))(torch.zeros(2, 8))
    assert made.picture.shape == (2, 3, 128, 224) and made.landmarks.shape == (2, len(LOWER_POINTS), 2)


def test_the_decoder_of_a_full_face() -> None:
    with torch.device("meta"):
        decoder = Decoder(height=224)
        assert parameter_count(decoder) - parameter_count(decoder.points) == 55_424_331
    made = Decoder(8, height=224, hidden=4, maps=(2, 2, 2, 2, 2), points=len(ALL_POINTS))(torch.zeros(1, 8))
    assert made.picture.shape == (1, 3, 224, 224) and made.landmarks.shape == (1, 68, 2)


def test_the_encoder() -> None:
    with torch.device("meta"):
        assert parameter_count(Encoder()) == 75_540_288


def test_a_small_pair() -> None:
    torch.manual_seed(0)
    encoder = Encoder(128, hidden=32, maps=(4, 4, 8, 8, 8), levels=(1, 1, 1, 1, 1), normalise=True)
    decoder = Decoder(128, hidden=16, maps=(8, 8, 4, 4, 4))
    assert parameter_count(encoder) + parameter_count(decoder) < 60_000
    with torch.inference_mode():
        made = decoder(encoder(torch.rand(2, 3, 96, 224)))
    assert float(made.picture.min()) > 0 and float(made.picture.max()) < 1


def test_features_after_relu_are_never_negative() -> None:
    options: dict[str, Any] = {"hidden": 8, "maps": (2,), "levels": (1,), "height": 8, "width": 8}
    torch.manual_seed(0)
    upper = torch.rand(4, 3, 8, 8)
    assert Encoder(16, relu=True, **options)(upper).min().item() == 0
    assert Encoder(16, **options)(upper).min().item() < 0
