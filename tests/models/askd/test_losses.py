"""The distillation loss: a sum over maps, blind to their scale."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from faceloom.models.askd.losses import attention_loss  # noqa: E402


def test_proportional_maps_cost_nothing_and_opposite_ones_two_each() -> None:
    maps = [torch.rand(3, 4, 1, 1) + 0.1, torch.rand(3, 1, 5, 5) + 0.1]
    assert float(attention_loss([2 * one for one in maps], maps)) == pytest.approx(0, abs=1e-5)
    assert float(attention_loss([-one for one in maps], maps)) == pytest.approx(4, rel=1e-4)


def test_it_is_a_mean_over_the_batch() -> None:
    here, there = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert float(attention_loss([here], [there])) == pytest.approx(0.5)


def test_networks_of_other_depths_are_refused() -> None:
    with pytest.raises(ValueError, match="argument 2 is longer"):
        attention_loss([torch.ones(1, 2)], [torch.ones(1, 2)] * 2)
