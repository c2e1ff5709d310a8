"""The classifier learns an attribute, and ignores samples that do not state it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from faceloom.models.job import Batch, find_job, make_job  # noqa: E402
from faceloom.models.jobs.classifier import Classifier  # noqa: E402
from faceloom.models.networks import parameter_count  # noqa: E402
from faceloom.models.presets import presets_of  # noqa: E402
from faceloom.models.training import train  # noqa: E402

TINY: Any = presets_of("classifier")["tiny"]


def samples(count: int, seed: int = 0) -> Batch:
    """Grey faces; those with the attribute have a bright mouth."""
    chance = torch.Generator().manual_seed(seed)
    has = (torch.arange(count) % 2).float()
    face = 0.3 + 0.1 * torch.rand(count, 3, 16, 16, generator=chance)
    face[:, :, 10:14, 4:12] += 0.5 * has[:, None, None, None]
    guide = torch.zeros(count, 1, 16, 16)
    guide[:, :, 10:14, 4:12] = 1
    return {"face": face, "has": has, "guide": guide}


def test_it_learns_the_attribute() -> None:
    assert find_job("classifier") is Classifier
    preset = replace(TINY, epochs=12)
    losses = train(make_job("classifier", preset), lambda _: [samples(16)] * 3, lambda: [samples(8, 1)]).losses
    assert losses[-1].more["held_out_accuracy"] == 1 and losses[-1].held_out < 0.5 * losses[0].held_out


def test_the_paper_preset_is_resnet50() -> None:
    with torch.device("meta"):
        network = make_job("classifier", presets_of("classifier")["paper"]).network()
    assert parameter_count(network) == 23_510_081


def test_faces_vary_in_training_where_the_preset_has_it() -> None:
    batch = samples(6)
    still = make_job("classifier", replace(TINY, flip=False)).varied(batch, torch.Generator().manual_seed(0))
    assert torch.allclose(still["face"], batch["face"], atol=1e-5)
    small: Any = replace(presets_of("classifier")["small"], size=16)
    varied = make_job("classifier", small).varied(batch, torch.Generator().manual_seed(0))
    assert (varied["face"] - batch["face"]).abs().mean() > 0.02 and torch.equal(varied["has"], batch["has"])
