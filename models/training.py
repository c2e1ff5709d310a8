"""Trains the network of a job. All random draws follow from the seed and the epoch, so a run that is resumed after any
epoch has the same result as a run without a stop."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from faceloom.models.job import Batch, Job, Step, Values, autocast, finite
from faceloom.schemas.errors import CheckpointError, TrainingError
from faceloom.schemas.keys import seed_of

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class EpochLoss:
    """Mean losses of one epoch over its samples, and its duration, which is not part of the result.

    Attributes:
        more: further means of the job, by name; those of held-out samples start with `held_out_`.
    """

    epoch: int
    train: float
    held_out: float
    seconds: float = field(compare=False)
    more: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Everything that training needs to resume after an epoch.

    The tensors are the live ones: the next step changes them.

    Attributes:
        losses: of all epochs so far.
        network: parameters and buffers by name.
        optimiser: state of the optimisers, such as Adam's moments, by the parameter's name and their own.
        best: `network` as it was after `best_epoch`, which the preset's `choice` decides.
    """

    losses: tuple[EpochLoss, ...]
    network: Tensors
    optimiser: Tensors
    best: Tensors
    best_epoch: int


def train(
    job: Job[Any],
    batches: Callable[[int], Iterable[Batch]],
    held_out: Callable[[], Iterable[Batch]],
    *,
    seed: int = 0,
    device: str = "cpu",
    resume: Snapshot | None = None,
    weights: Tensors | None = None,
    on_epoch: Callable[[Snapshot], None] = lambda snapshot: None,
) -> Snapshot:
    """Train for the preset's number of epochs.

    The same seed, batches, device and number of threads give the same result, also after a resume. On CUDA, products
    are computed in bfloat16 and results may differ by rounding.

    Args:
        job: network, losses and hyper-parameters.
        batches: the training samples of an epoch (1, 2, …), on `device`, in training order.
        held_out: samples that choose the best epoch, always the same.
        seed: of the starting weights and all random draws.
        device: `cpu` or `cuda`.
        resume: state that `on_epoch` received; training resumes after it.
        weights: starting weights, instead of random ones.
        on_epoch: called after each epoch.

    Raises:
        TrainingError: there are no samples, or a loss is no longer a finite number.
        CheckpointError: weights do not fit the network.
    """
    with _own_chance(device):
        network = _start(job, seed, resume.network if resume else weights).to(device)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimisers = job.optimisers(network)
        losses = list(resume.losses) if resume else []
        best, best_epoch = ({}, 0) if resume is None else (dict(resume.best), resume.best_epoch)
        if resume:
            restore(optimisers, network, resume.optimiser)
        snapshot = resume
        for epoch in range(len(losses) + 1, job.preset.epochs + 1):
            begin = time.perf_counter()
            if best_epoch and job.preset.choice != "last epoch" and job.phase(epoch) != job.phase(epoch - 1):
                network.load_state_dict(best)  # the next phase builds on the best weights, not on the last ones
            torch.manual_seed(seed_of(seed, f"epoch {epoch}", "layers") >> 1)
            chance = _chance(seed, epoch)
            means = _run_epoch(job, network, optimisers, batches(epoch), epoch, chance, device)
            network.eval()
            with torch.inference_mode():
                job.after_epoch(network, lambda epoch=epoch: batches(epoch))  # type: ignore[misc]
                checked = _held_out_means(job, network, held_out(), epoch, device)
            comparable = [loss.held_out for loss in losses if job.phase(loss.epoch) == job.phase(epoch)]
            if job.preset.choice == "last epoch":
                best, best_epoch = network.state_dict(), epoch
            elif not comparable or checked["loss"] < min(comparable):
                best = {name: tensor.detach().to("cpu", copy=True) for name, tensor in network.state_dict().items()}
                best_epoch = epoch
            more = {name: value for name, value in means.items() if name != "loss"}
            more |= {f"held_out_{name}": value for name, value in checked.items() if name != "loss"}
            losses.append(EpochLoss(epoch, means["loss"], checked["loss"], time.perf_counter() - begin, more))
            snapshot = Snapshot(tuple(losses), network.state_dict(), moments(optimisers, network), best, best_epoch)
            on_epoch(snapshot)
    if snapshot is None:
        raise TrainingError("there is no epoch to train", value=job.preset.epochs, remedy="Ask for at least one")
    return snapshot


def _run_epoch(
    job: Job[Any],
    network: nn.Module,
    optimisers: dict[str, Optimizer],
    batches: Iterable[Batch],
    epoch: int,
    chance: torch.Generator,
    device: str,
) -> dict[str, float]:
    """One pass over the training samples; returns the mean losses."""
    network.train()
    means = _Means()
    for optimiser in optimisers.values():
        for group in optimiser.param_groups:
            group["lr"] = job.rate(epoch) * group.get("scale", 1)
    for number, batch in enumerate(batches, 1):
        step = Step(network, optimisers, batch, chance, epoch, number, device)
        with _enough_memory(batch, epoch):
            values = job.step(step)
        means.add(values, batch, epoch, f"step {number}")
    if not means.samples:
        raise TrainingError("there are no samples to train on", where=f"epoch {epoch}")
    return means.values()


def _held_out_means(
    job: Job[Any], network: nn.Module, batches: Iterable[Batch], epoch: int, device: str
) -> dict[str, float]:
    chance = _chance(0, 0)  # the same for all epochs, so that their losses can be compared
    means = _Means()
    for batch in batches:
        with autocast(device), _enough_memory(batch, epoch):
            values = job.held_out(network, batch, chance, epoch)
        means.add(values, batch, epoch, "held-out samples")
    if not means.samples:
        raise TrainingError("there are no samples to choose the best epoch", where=f"epoch {epoch}")
    return means.values()


@contextmanager
def _enough_memory(batch: Batch, epoch: int) -> Iterator[None]:
    """Raise a lack of GPU memory as an error that names the batch size.

    Raises:
        TrainingError: the GPU has no memory left.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        size = len(next(iter(batch.values())))
        remedy = f"Saved epochs are kept. Train with a --batch below {size} into a new folder, or free the GPU"
        if size == 1:
            remedy = "Free the GPU, or train a smaller preset"
        what = f"the GPU has too little memory for batches of {size}"
        raise TrainingError(what, where=f"epoch {epoch}", value=str(error).split(". ")[0], remedy=remedy) from None


class _Means:
    """Means over samples of figures that are means over batches. A figure may be missing from some batches."""

    def __init__(self) -> None:
        self.samples = 0
        self._sums: defaultdict[str, float] = defaultdict(float)
        self._counts: Counter[str] = Counter()

    def add(self, values: Values, batch: Batch, epoch: int, where: str) -> None:
        count = len(next(iter(batch.values())))
        self.samples += count
        for name, value in values.items():
            self._sums[name] += finite(value, epoch, where) * count
            self._counts[name] += count

    def values(self) -> dict[str, float]:
        return {name: total / self._counts[name] for name, total in self._sums.items()}


@contextmanager
def _own_chance(device: str) -> Iterator[None]:
    """Leave torch's global generators, which layers and starting weights use, as they were."""
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if device == "cuda" else []):
        yield


def _chance(seed: int, epoch: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed_of(seed, f"epoch {epoch}", "train") >> 1)


def _start(job: Job[Any], seed: int, weights: Tensors | None) -> nn.Module:
    torch.manual_seed(seed)
    network = job.network()
    if weights is not None:
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            remedy = "Start from a run of the same preset"
            raise CheckpointError("the weights do not fit the network", value=error, remedy=remedy) from None
    return network


def moments(optimisers: Mapping[str, Optimizer], network: nn.Module) -> dict[str, Tensor]:
    """State of the optimisers by `parameter/kind`, such as `conv.weight/exp_avg`."""
    return {
        f"{name}/{kind}": value
        for name, parameter in network.named_parameters()
        for optimiser in optimisers.values()
        for kind, value in optimiser.state.get(parameter, {}).items()
        if isinstance(value, Tensor)
    }


def restore(optimisers: Mapping[str, Optimizer], network: nn.Module, saved: Tensors) -> None:
    """Put the state of `moments` back as copies: optimisers work on it in place."""
    kinds: dict[str, dict[str, Tensor]] = {}
    for key, value in saved.items():
        name, _, kind = key.rpartition("/")
        kinds.setdefault(name, {})[kind] = value
    for optimiser in optimisers.values():
        owned = {id(parameter) for group in optimiser.param_groups for parameter in group["params"]}
        fused = optimiser.defaults.get("fused")
        for name, parameter in network.named_parameters():
            if id(parameter) in owned and name in kinds:
                optimiser.state[parameter] = {
                    # The number of steps is on the CPU, except for fused optimisers.
                    kind: torch.empty_like(value if kind == "step" else parameter)
                    .copy_(value)
                    .to(parameter.device if fused or kind != "step" else "cpu")
                    for kind, value in kinds[name].items()
                }
