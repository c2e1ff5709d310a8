"""Presets of MSaGAN and of its classifier."""

from __future__ import annotations

from typing import Any, get_args

from faceloom.models.msagan.preset import MASK_LOSSES, STRUCTURES
from faceloom.models.presets import presets_of


def test_the_paper_is_kept_to() -> None:
    paper: Any = presets_of("msagan")["paper"]
    assert (paper.alpha, paper.beta, paper.batch, paper.size, paper.epochs) == (100, 20, 16, 128, 8)
    classifier: Any = presets_of("classifier")["paper"]
    assert classifier.epochs == 50 and classifier.depths == (3, 4, 6, 3) and classifier.bottleneck


def test_the_grid_has_sixteen_models() -> None:
    import pytest

    pytest.importorskip("torch")
    from faceloom.models.msagan import losses, networks

    assert set(get_args(networks.Structure)) == set(STRUCTURES) and set(get_args(losses.MaskLoss)) == set(MASK_LOSSES)
    assert len(STRUCTURES) * len(MASK_LOSSES) == 16
