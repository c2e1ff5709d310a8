"""Light and colour of an editor's samples: they vary alike for all pictures of a sample."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from faceloom.models.editor.variation import toned  # noqa: E402

FACES = torch.rand(64, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.6


def test_pictures_of_a_sample_vary_alike() -> None:
    one, other = toned((FACES, FACES.clone()), 0.4, torch.Generator().manual_seed(1))
    assert torch.equal(one, other) and not torch.allclose(one, FACES)
    assert float(one.min()) >= 0 and float(one.max()) <= 1


def test_samples_differ_in_light_and_tint_within_the_amount() -> None:
    made = toned((FACES,), 0.3, torch.Generator().manual_seed(1))[0]
    grey = (made.amax(1) - made.amin(1)).amax((1, 2)) < 1e-6
    assert 0 < int(grey.sum()) < 24, "about 15 % of 64"
    gains = (made / FACES.clamp(min=1e-3))[~grey].mean((2, 3))
    light = gains.mean(1)
    assert 0.6 < float(light.min()) < 0.85 and 1.15 < float(light.max()) < 1.45
    assert float((gains / light[:, None] - 1).abs().max()) < 0.25


def test_no_amount_changes_nothing_and_the_same_chance_gives_the_same() -> None:
    assert torch.allclose(toned((FACES,), 0.0, torch.Generator().manual_seed(1))[0], FACES)
    two = [toned((FACES,), 0.5, torch.Generator().manual_seed(3))[0] for _ in range(2)]
    assert torch.equal(*two)
