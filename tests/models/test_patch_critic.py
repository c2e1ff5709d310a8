"""The patch discriminator has the published shape."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from faceloom.models.networks import parameter_count  # noqa: E402
from faceloom.models.patch_critic import PatchCritic  # noqa: E402


def test_the_published_size() -> None:
    with torch.device("meta"):
        critic = PatchCritic()
        assert parameter_count(critic) == 2_765_633
    assert PatchCritic(2)(torch.zeros(2, 3, 160, 160)).shape == (2, 1, 18, 18)


def test_a_score_sees_70_pixels() -> None:
    torch.manual_seed(0)
    critic = PatchCritic(4).eval()
    picture = torch.rand(1, 3, 160, 160, requires_grad=True)
    critic(picture)[0, 0, 9, 9].backward()
    assert picture.grad is not None
    rows = picture.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    assert int(rows.max() - rows.min()) + 1 == 70
