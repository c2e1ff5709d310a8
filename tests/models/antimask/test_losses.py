"""Anti-Mask's losses with their weights."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from faceloom.models.antimask.losses import decoder_loss, encoder_loss  # noqa: E402
from faceloom.models.antimask.networks import Completed  # noqa: E402


def test_landmarks_weigh_10_and_the_picture_100() -> None:
    made = Completed(torch.full((1, 3, 2, 2), 0.5), torch.full((1, 2, 2), 0.5))
    picture, landmarks = torch.full((1, 3, 2, 2), 0.4), torch.full((1, 2, 2), 0.7)
    assert float(decoder_loss(made, picture, landmarks)) == pytest.approx(10 * 0.04 + 100 * 0.1, rel=1e-4)


def test_unknown_landmarks_do_not_count() -> None:
    made = Completed(torch.zeros(2, 3, 2, 2), torch.zeros(2, 1, 2, requires_grad=True))
    landmarks = torch.tensor([[[0.5, 0.5]], [[float("nan"), float("nan")]]])
    loss = decoder_loss(made, made.picture, landmarks)
    assert float(loss.detach()) == pytest.approx(2.5)
    (slope,) = torch.autograd.grad(loss, made.landmarks)
    assert torch.isfinite(slope).all() and not slope[1].any()
    assert decoder_loss(made, made.picture, torch.full((2, 1, 2), float("nan"))).item() == 0


def test_features_are_matched() -> None:
    one, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 0.0]])
    assert float(encoder_loss(one, other)) == 0.5 and float(encoder_loss(one, other, "cosine")) == pytest.approx(0)
