"""The detector's job: it learns, sees bare faces too, and resumes to the same bits."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from faceloom.models.job import make_job
from faceloom.models.presets import presets_of
from faceloom.models.training import train

TINY: Any = presets_of("detector")["tiny"]


def test_it_learns_to_find_the_mask(tiny: SimpleNamespace) -> None:
    preset = replace(TINY, epochs=25, learning_rate=0.02, degrade=0.0, shift=0.0, zoom=1.0, turn=0.0, bare=0.2)
    losses = train(
        make_job("detector", preset), tiny.dealt(tiny.make_pairs(24, 16), 8), tiny.dealt(tiny.make_pairs(8, 16, 5), 8)
    ).losses
    assert losses[-1].held_out < 0.5 * losses[0].held_out
    assert losses[-1].more["held_out_iou"] > 0.6


def test_the_same_seed_gives_the_same_weights(tiny: SimpleNamespace) -> None:
    batches = tiny.dealt(tiny.make_pairs(8, 16), 4)
    one, other = (train(make_job("detector", TINY), batches, batches, seed=2).network for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_bare_faces_have_an_empty_map(tiny: SimpleNamespace) -> None:
    still = replace(TINY, bare=1.0, shift=0.0, zoom=1.0, turn=0.0, flip=False, degrade=0.0)
    pairs = tiny.make_pairs(6, 16)
    seen = make_job("detector", still).varied(pairs.members, torch.Generator().manual_seed(0))
    assert float(seen["mask"].max()) == 0 and torch.allclose(seen["masked"], pairs.face, atol=1e-5)
    seen = make_job("detector", replace(still, bare=0.0)).varied(pairs.members, torch.Generator().manual_seed(0))
    assert torch.allclose(seen["masked"], pairs.masked, atol=1e-5)
