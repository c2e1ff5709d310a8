"""Jobs: each is found by its name, and one with two networks and optimisers resumes to the same bits."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from faceloom.models.job import Batch, Job, Step, Values, find_job, finite
from faceloom.models.preset import Preset, options_of
from faceloom.models.presets import JOBS
from faceloom.models.training import Snapshot, train
from faceloom.schemas.errors import TrainingError


class Adversaries(Job[Preset]):
    """Two networks with dropout, one optimiser each, of different kinds; the second is stepped every other time."""

    name = "adversaries"
    members = ("face",)
    recipe = "arcface"

    def network(self) -> nn.Module:
        maker = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 4))
        return nn.ModuleDict({"maker": maker, "judge": nn.Linear(4, 1), "late": nn.Linear(4, 1)})

    def optimisers(self, network: Any) -> dict[str, Optimizer]:
        judge = torch.optim.SGD(network["judge"].parameters(), lr=0.1, momentum=0.9)
        late = {"params": network["late"].parameters(), "scale": 0.5}
        maker = torch.optim.Adam([{"params": network["maker"].parameters()}, late], lr=0.1, fused=True)
        return {"judge": judge, "maker": maker}

    def step(self, step: Step) -> Values:
        network: Any = step.network
        made = network["maker"](step.batch["face"])
        values: dict[str, float] = {"judge": step.descend(network["judge"](made.detach()).pow(2).mean(), "judge")}
        if step.number % 2 == 0:
            values["made"] = float(made.detach().mean())
        loss = (made - step.batch["face"]).pow(2).mean()
        if step.epoch > 2:  # a part that has no state before
            loss = loss + network["late"](made).mean() ** 2
        return {"loss": step.descend(loss, "maker"), **values}

    def held_out(self, network: Any, batch: Batch, chance: torch.Generator, epoch: int) -> Values:
        made: Tensor = network["maker"](batch["face"])
        return {"loss": (made - batch["face"]).pow(2).mean(), "size": made.abs().mean()}


PRESET = Preset(name="x", epochs=4, batch=2, learning_rate=0.05)
FACES = torch.rand(6, 4, generator=torch.Generator().manual_seed(1))


def batches(epoch: int = 0) -> Iterator[Batch]:
    for part in FACES.roll(epoch, 0).split(2):  # type: ignore[no-untyped-call]
        yield {"face": part}


def kept(snapshot: Snapshot) -> Snapshot:
    """As if written to disk."""
    parts: dict[str, Any] = {
        name: {key: value.clone() for key, value in getattr(snapshot, name).items()}
        for name in ("network", "optimiser", "best")
    }
    return dataclasses.replace(snapshot, **parts)


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_several_networks_optimisers_and_dropout_resume_to_the_same_bits(stop: int) -> None:
    seen: list[Snapshot] = []
    whole = train(Adversaries(PRESET), batches, batches, seed=3, on_epoch=lambda one: seen.append(kept(one)))
    again = train(Adversaries(PRESET), batches, batches, seed=3, resume=seen[stop - 1])
    assert whole.losses == again.losses and whole.network.keys() == again.network.keys()
    for part in ("network", "optimiser", "best"):
        one, other = getattr(whole, part), getattr(again, part)
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_state_of_each_optimiser_is_named_by_its_parameter() -> None:
    state = train(Adversaries(PRESET), batches, batches).optimiser
    assert "judge.weight/momentum_buffer" in state and "maker.0.weight/exp_avg" in state
    assert int(state["late.weight/step"]) < int(state["maker.0.weight/step"])


def test_further_figures_are_means_and_those_of_held_out_samples_are_marked() -> None:
    losses = train(Adversaries(PRESET), batches, batches).losses
    assert all(set(loss.more) == {"judge", "made", "held_out_size"} for loss in losses)


def test_a_group_has_its_share_of_the_rate() -> None:
    rates: list[list[float]] = []

    class Watched(Adversaries):
        def step(self, step: Step) -> Values:
            rates.append([group["lr"] for one in step.optimisers.values() for group in one.param_groups])
            return super().step(step)

    train(Watched(dataclasses.replace(PRESET, epochs=1)), batches, batches)
    assert rates == [[0.05, 0.05, 0.025]] * 3


def test_best_is_chosen_in_the_last_phase_only() -> None:
    class Phases(Adversaries):
        def phase(self, epoch: int) -> int:
            return int(epoch > 2)

        def held_out(self, network: Any, batch: Batch, chance: torch.Generator, epoch: int) -> Values:
            return {"loss": {1: 0.1, 2: 0.2, 3: 5.0, 4: 6.0}[epoch]}

    assert train(Phases(PRESET), batches, batches).best_epoch == 3


@pytest.mark.parametrize("again", [False, True], ids=["whole", "resumed"])
def test_a_phase_starts_from_the_best_weights_of_the_one_before(again: bool) -> None:
    started: dict[int, dict[str, Any]] = {}

    class Phases(Adversaries):
        def phase(self, epoch: int) -> int:
            return int(epoch > 2)

        def step(self, step: Step) -> Values:
            started.setdefault(step.epoch, {name: one.clone() for name, one in step.network.state_dict().items()})
            return super().step(step)

        def held_out(self, network: Any, batch: Batch, chance: torch.Generator, epoch: int) -> Values:
            return {"loss": {1: 0.1, 2: 0.2, 3: 5.0}[epoch]}

    two, three = (Phases(dataclasses.replace(PRESET, epochs=epochs)) for epochs in (2, 3))
    middle = train(two, batches, batches)
    train(three, batches, batches, resume=middle if again else None)
    same = {number: [torch.equal(started[2][name], one) for name, one in started[number].items()] for number in (1, 3)}
    assert all(same[3]) and not all(same[1]), "epoch 3 starts where the best epoch, 1, ended, as epoch 2 did"


def test_a_figure_that_is_no_number_ends_training() -> None:
    class Spoiled(Adversaries):
        def step(self, step: Step) -> Values:
            return {**super().step(step), "judge": math.nan}

    with pytest.raises(TrainingError, match=r"epoch 1, step 1.*\(got nan\)"):
        train(Spoiled(PRESET), batches, batches)
    with pytest.raises(TrainingError, match=r"epoch 2, here: the loss is no longer a finite number \(got inf\)"):
        finite(torch.tensor(math.inf), 2, "here")


@pytest.mark.parametrize("name", sorted(JOBS))
def test_every_job_is_found_by_its_name_and_states_what_it_reads(name: str) -> None:
    kind = find_job(name)
    assert kind.name == name and kind.members and kind.recipe
    assert all(isinstance(preset, Preset) for preset in JOBS[name].presets)


@pytest.mark.parametrize("name", sorted(JOBS))
def test_every_phase_has_a_name(name: str) -> None:
    job = find_job(name)(JOBS[name].presets[-1])
    epochs = range(1, job.preset.epochs + 1)
    assert {job.phase(epoch) for epoch in epochs} == {*range(len(job.phases))}
    assert len({*job.phases}) == len(job.phases)
    starts = [epoch for epoch in epochs[1:] if job.phase(epoch) != job.phase(epoch - 1)]
    assert [*job.starts(job.preset.epochs)] == starts


def choices() -> Iterator[tuple[str, str, tuple[Any, ...]]]:
    """Job, name and values of each option of `faceloom train` with few values."""
    for job, spec in sorted(JOBS.items()):
        kind = type(spec.presets[-1])
        hints = get_type_hints(kind)
        for name in options_of(kind):
            if hints[name] is bool:
                yield job, name, (False, True)
            elif get_origin(hints[name]) is Literal:
                yield job, name, get_args(hints[name])


@pytest.mark.parametrize(("job", "name", "values"), list(choices()))
def test_options_that_decide_the_layers_are_listed(job: str, name: str, values: tuple[Any, ...]) -> None:
    preset = JOBS[job].presets[-1]
    shapes = []
    for value in values:
        with torch.device("meta"):
            tensors = find_job(job)(dataclasses.replace(preset, **{name: value})).network().state_dict()
        shapes.append({key: tensor.shape for key, tensor in tensors.items()})
    assert len(shapes) > 1 and set(preset.decides_layers) <= options_of(type(preset)).keys()
    if name in preset.decides_layers:
        assert all(shapes.count(one) == 1 for one in shapes)
    else:
        assert all(one == shapes[0] for one in shapes)
