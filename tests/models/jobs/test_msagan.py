"""MSaGAN's job: it learns to edit inside the guide, in every structure and with every mask loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from faceloom.models.job import Batch, find_job, make_job  # noqa: E402
from faceloom.models.jobs.msagan import Msagan  # noqa: E402
from faceloom.models.msagan.preset import MASK_LOSSES, STRUCTURES  # noqa: E402
from faceloom.models.presets import presets_of  # noqa: E402
from faceloom.models.training import train  # noqa: E402
from tests.models.jobs.test_classifier import samples  # noqa: E402

TINY: Any = presets_of("msagan")["tiny"]


def test_it_edits_faces_inside_the_guide() -> None:
    assert find_job("msagan") is Msagan
    preset = replace(TINY, epochs=6, width=4, critic_width=4, learning_rate=4e-3, critic_steps=1)
    done = train(make_job("msagan", preset), lambda _: [samples(16)] * 4, lambda: [samples(8, 1)], seed=0)
    losses = done.losses
    assert losses[-1].held_out < 0.7 * losses[0].held_out and done.best_epoch == 6
    assert set(losses[-1].more) >= {"critic", "adversarial", "held_out_attention", "held_out_mask"}
    assert losses[-1].more["held_out_mask"] < 0.5 * losses[0].more["held_out_mask"]


def repeated(batch: Batch) -> Callable[..., list[Batch]]:
    return lambda epoch=0: [batch]


@pytest.mark.parametrize("structure", STRUCTURES)
def test_every_structure_trains_with_every_loss(structure: Any) -> None:
    for loss in MASK_LOSSES:
        batch = samples(4)
        if loss == "none":
            batch = {name: value for name, value in batch.items() if name != "guide"}
        preset = replace(TINY, structure=structure, mask_loss=loss, epochs=1)
        dealt = repeated(batch)
        found = train(make_job("msagan", preset), dealt, dealt).losses[0]
        assert math.isfinite(found.train) and (found.more["mask"] == 0) == (loss == "none")


def test_the_generator_takes_every_third_step_of_three() -> None:
    changes: list[set[str]] = []
    job = make_job("msagan", replace(TINY, critic_steps=3, epochs=1))
    inner, before = job.step, {}

    def watched(step: Any) -> Any:
        before.update({name: value.clone() for name, value in step.network.named_parameters()})
        values = inner(step)
        changes.append({name.split(".")[0] for name, value in step.network.named_parameters()
                        if not torch.equal(value, before[name])})  # fmt: skip
        return values

    job.step = watched  # type: ignore[method-assign]
    train(job, lambda _: [samples(4)] * 4, lambda: [samples(4)])
    assert changes == [{"generator", "critic"}, {"critic"}, {"critic"}, {"generator", "critic"}]


def test_the_product_is_the_generator() -> None:
    job = make_job("msagan", TINY)
    network: Any = job.network()
    assert job.product(network) is network["generator"]
