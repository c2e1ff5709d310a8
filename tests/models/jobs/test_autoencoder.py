"""The autoencoder's job: the general loop trains it to the same bits as a loop that is written for it alone."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from faceloom.models.job import make_job
from faceloom.models.losses import loss_of
from faceloom.models.mask_cutouts import gather_cutouts
from faceloom.models.networks import CompactMasker, make_network
from faceloom.models.pairs import Pairs, moved
from faceloom.models.presets import PRESETS
from faceloom.models.training import train
from faceloom.schemas.keys import seed_of


def plain_loop(preset: Any, batches: Any, seed: int) -> dict[str, torch.Tensor]:
    """Training as the first version of faceloom did it, without jobs; returns the weights."""
    torch.manual_seed(seed)
    network = make_network(preset)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    adam = torch.optim.Adam(network.parameters(), lr=preset.learning_rate, fused=True)
    for epoch in range(1, preset.epochs + 1):
        chance = torch.Generator().manual_seed(seed_of(seed, f"epoch {epoch}", "train") >> 1)
        network.train()
        for batch in batches(epoch):
            rate = preset.learning_rate
            if preset.schedule == "cosine":
                done = (epoch - 1) / max(1, preset.epochs - 1)
                rate *= 0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2
            adam.param_groups[0]["lr"] = rate
            loss = loss_of(network, moved(Pairs(**batch), preset, chance), preset, chance)
            adam.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
        network.eval()
        if isinstance(network, CompactMasker):
            with torch.inference_mode():
                network.looks.copy_(gather_cutouts((Pairs(**batch) for batch in batches(epoch)), preset.looks))
    return network.state_dict()


@pytest.mark.parametrize("name", ["tiny-compact", "tiny-paper"])
def test_weights_are_bitwise_those_of_a_loop_of_its_own(name: str, tiny: SimpleNamespace) -> None:
    preset = PRESETS[name]
    batches = tiny.dealt(tiny.make_pairs(10, 16), 4)
    expected = plain_loop(preset, batches, 5)
    got = train(make_job("autoencoder", preset), batches, batches, seed=5).network
    assert set(got) == set(expected)
    assert all(torch.equal(got[key], expected[key]) for key in got)
