"""SSIM agrees with scikit-image's, and has a gradient."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
metrics = pytest.importorskip("skimage.metrics")

from faceloom.models.structural import ssim  # noqa: E402


def test_it_agrees_with_scikit_image() -> None:
    chance = torch.Generator().manual_seed(1)
    one = torch.rand(1, 3, 40, 36, generator=chance)
    other = (one + 0.2 * torch.randn(one.shape, generator=chance)).clamp(0, 1)
    arrays = [picture[0].permute(1, 2, 0).numpy() for picture in (one, other)]
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1}
    expected = metrics.structural_similarity(*arrays, channel_axis=2, **options)
    assert float(ssim(one, other)) == pytest.approx(expected, abs=1e-4)


def test_autocast_changes_nothing() -> None:
    tone = torch.linspace(0.7, 0.8, 16).expand(1, 3, 16, 16)
    other = tone + 0.01 * torch.randn(tone.shape, generator=torch.Generator().manual_seed(0))
    expected = float(ssim(tone, other))
    with torch.autocast("cpu", torch.bfloat16):
        assert float(ssim(tone, other)) == expected
        assert float(ssim(tone.bfloat16(), tone.bfloat16())) == pytest.approx(1)


def test_equal_pictures_have_1_and_a_step_along_the_gradient_helps() -> None:
    one = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert float(ssim(one, one)) == pytest.approx(1)
    other = torch.full_like(one, 0.5, requires_grad=True)
    before = ssim(one, other)
    before.backward()  # type: ignore[no-untyped-call]
    assert other.grad is not None
    assert float(ssim(one, other.detach() + 10 * other.grad)) > float(before.detach())
