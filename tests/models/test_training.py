"""Training: learns, repeats itself, and goes on after a stop as if there had been none."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from faceloom.models import training
from faceloom.models.job import Batch, make_job
from faceloom.models.networks import make_network
from faceloom.models.presets import PRESETS
from faceloom.models.training import Snapshot
from faceloom.schemas.errors import CheckpointError, TrainingError

NAMES = ["tiny-compact", "tiny-paper"]


@pytest.fixture(scope="module")
def factory(tiny: SimpleNamespace) -> Any:
    return tiny.dealt(tiny.make_pairs(10, 16), 4)


@pytest.fixture(scope="module")
def held_out(tiny: SimpleNamespace) -> Any:
    return tiny.dealt(tiny.make_pairs(4, 16, seed=9), 4)


def train(preset: Any, *args: Any, **options: Any) -> Snapshot:
    return training.train(make_job("autoencoder", preset), *args, **options)


def kept(snapshot: Snapshot) -> Snapshot:
    """As if written to disk: the tensors at work change."""

    def copy(tensors: Any) -> dict[str, torch.Tensor]:
        return {name: tensor.clone() for name, tensor in tensors.items()}

    return dataclasses.replace(
        snapshot, network=copy(snapshot.network), optimiser=copy(snapshot.optimiser), best=copy(snapshot.best)
    )


def same(first: Snapshot, second: Snapshot) -> bool:
    pairs = [(getattr(first, name), getattr(second, name)) for name in ("network", "optimiser", "best")]
    equal = all(set(a) == set(b) and all(torch.equal(a[name], b[name]) for name in a) for a, b in pairs)
    return equal and first.losses == second.losses and first.best_epoch == second.best_epoch


@pytest.mark.parametrize("name", NAMES)
def test_losses_fall(name: str, factory: Any, held_out: Any) -> None:
    preset = dataclasses.replace(PRESETS[name], epochs=30, learning_rate=0.01, schedule="cosine")
    losses = train(preset, factory, held_out).losses
    assert [loss.epoch for loss in losses] == list(range(1, 31))
    assert losses[-1].train < 0.8 * losses[0].train
    assert min(loss.held_out for loss in losses) < losses[0].held_out


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("stop", [1, 3])
def test_a_run_that_was_stopped_ends_as_one_that_was_not(name: str, stop: int, factory: Any, held_out: Any) -> None:
    preset = PRESETS[name]
    seen: list[Snapshot] = []
    whole = train(preset, factory, held_out, seed=3, on_epoch=lambda snapshot: seen.append(kept(snapshot)))
    assert len(seen) == preset.epochs == 4
    assert same(train(preset, factory, held_out, seed=3, resume=seen[stop - 1]), whole)
    assert same(train(preset, factory, held_out, seed=3), whole), "and every run is the same"
    assert not same(train(preset, factory, held_out, seed=4), whole)


def test_resuming_leaves_the_state_that_it_was_given_alone(factory: Any, held_out: Any) -> None:
    preset = PRESETS["tiny-paper"]
    seen: list[Snapshot] = []
    train(preset, factory, held_out, on_epoch=lambda snapshot: seen.append(kept(snapshot)))
    before = kept(seen[1])
    train(preset, factory, held_out, resume=seen[1])
    assert same(seen[1], before)


def test_a_finished_run_is_given_back(factory: Any, held_out: Any) -> None:
    done = kept(train(PRESETS["tiny-paper"], factory, held_out))
    assert train(PRESETS["tiny-paper"], factory, held_out, resume=done) is done


@pytest.mark.parametrize("name", NAMES)
def test_best_is_the_epoch_that_the_preset_says(name: str, factory: Any, held_out: Any) -> None:
    seen: dict[int, Snapshot] = {}
    preset = dataclasses.replace(PRESETS[name], epochs=8, learning_rate=0.05)  # too much: losses go up and down
    last = train(preset, factory, held_out, on_epoch=lambda snapshot: seen.update({len(seen) + 1: kept(snapshot)}))
    smallest = min(last.losses, key=lambda loss: loss.held_out).epoch
    best = {"smallest held-out loss": smallest, "last epoch": 8}[preset.choice]
    assert last.best_epoch == best
    assert all(torch.equal(last.best[name], seen[best].network[name]) for name in last.best)


def test_further_training_starts_from_the_given_weights(factory: Any, held_out: Any) -> None:
    preset = dataclasses.replace(PRESETS["tiny-paper"], learning_rate=1e-9, epochs=1)
    weights = make_network(preset).state_dict()
    after = train(preset, factory, held_out, seed=8, weights=weights).network
    for name, tensor in weights.items():
        torch.testing.assert_close(after[name], tensor, atol=1e-6, rtol=0)
    assert after["encode.0.weight"].data_ptr() != weights["encode.0.weight"].data_ptr()


def test_weights_of_another_network_are_refused(factory: Any, held_out: Any) -> None:
    weights = make_network(PRESETS["tiny-paper"]).state_dict()
    with pytest.raises(CheckpointError, match="do not fit"):
        train(PRESETS["tiny-compact"], factory, held_out, weights=weights)


def test_a_compact_network_keeps_the_cutouts_of_its_training_pairs(tiny: SimpleNamespace, held_out: Any) -> None:
    first = train(PRESETS["tiny-compact"], tiny.dealt(tiny.make_pairs(6, 16, seed=1), 4), held_out)
    other = train(
        PRESETS["tiny-compact"], tiny.dealt(tiny.make_pairs(6, 16, seed=2), 4), held_out, weights=kept(first).network
    )
    assert int(first.network["looks"].max()) > 0
    assert not torch.equal(first.network["looks"], other.network["looks"])


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_that_is_no_number_names_epoch_and_step(name: str, factory: Any, held_out: Any) -> None:
    def spoiled(epoch: int) -> Iterator[Batch]:
        for number, pairs in enumerate(factory(epoch), 1):
            bad = epoch == 2 and number == 3
            yield {**pairs, "masked": pairs["masked"] * math.nan} if bad else pairs

    epochs: list[int] = []
    with pytest.raises(TrainingError, match=r"epoch 2, step 3: the loss is no longer a finite number \(got nan\)"):
        train(PRESETS[name], spoiled, held_out, on_epoch=lambda snapshot: epochs.append(len(snapshot.losses)))
    assert epochs == [1], "what came before has been handed over"


def test_nothing_to_train_on_is_an_error(factory: Any, held_out: Any) -> None:
    with pytest.raises(TrainingError, match="epoch 1: there are no samples to train on"):
        train(PRESETS["tiny-paper"], lambda epoch: [], held_out)
    with pytest.raises(TrainingError, match="choose the best epoch"):
        train(PRESETS["tiny-paper"], factory, lambda: [])


def test_learning_rates() -> None:
    constant = PRESETS["paper"]
    assert {constant.rate(epoch) for epoch in range(1, 161)} == {constant.learning_rate}
    cosine = dataclasses.replace(constant, schedule="cosine", learning_rate=1.0)
    rates = [cosine.rate(epoch) for epoch in range(1, 161)]
    assert rates[0] == 1 and rates[-1] == pytest.approx(0.01)
    assert rates == sorted(rates, reverse=True) and rates[79] == pytest.approx(0.505, abs=0.02)
    assert dataclasses.replace(cosine, epochs=1).rate(1) == 1


def test_training_leaves_the_global_generator_alone(factory: Any, held_out: Any) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(dataclasses.replace(PRESETS["tiny-compact"], epochs=1), factory, held_out)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(("where", "size"), [("step", 4), ("held_out", 4), ("step", 1)])
def test_a_gpu_without_memory_is_an_error_that_names_the_batch(
    where: str, size: int, tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job("autoencoder", PRESETS["tiny-paper"])
    data = tiny.dealt(tiny.make_pairs(4, 16), size)

    def full(*values: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB. GPU 0 has none left.")

    monkeypatch.setattr(job, where, full)
    with pytest.raises(TrainingError, match=f"too little memory for batches of {size} .*out of memory") as caught:
        training.train(job, data, data)
    assert ("--batch below 4" if size == 4 else "smaller preset") in caught.value.remedy
