"""Trains a masking network. All random draws follow from the seed and the epoch, so a run that is resumed after any
epoch has the same result as a run without a stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from faceloom.models.losses import loss_of
from faceloom.models.mask_cutouts import gather_cutouts
from faceloom.models.networks import CompactMasker, PaperAutoencoder, make_network
from faceloom.models.pairs import Pairs, moved
from faceloom.models.presets import CompactPreset, PaperPreset
from faceloom.schemas.errors import CheckpointError, TrainingError
from faceloom.schemas.keys import seed_of

Network = PaperAutoencoder | CompactMasker
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class EpochLoss:
    """Mean losses of one epoch over its pairs, and its duration, which is not part of the result."""

    epoch: int
    train: float
    held_out: float
    seconds: float = field(compare=False)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Everything that training needs to resume after an epoch.

    The tensors are the live ones: the next step changes them.

    Attributes:
        losses: of all epochs so far.
        network: parameters and buffers by name.
        optimiser: Adam's moments and steps, by the parameter's name and their own.
        best: `network` as it was after `best_epoch`, which the preset's `choice` decides.
    """

    losses: tuple[EpochLoss, ...]
    network: Tensors
    optimiser: Tensors
    best: Tensors
    best_epoch: int


def train(
    preset: PaperPreset | CompactPreset,
    batches: Callable[[int], Iterable[Pairs]],
    held_out: Callable[[], Iterable[Pairs]],
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
        preset: network and hyper-parameters.
        batches: the training pairs of an epoch (1, 2, …), on `device`, in training order.
        held_out: pairs that choose the best epoch, always the same.
        seed: of the starting weights and all random draws.
        device: `cpu` or `cuda`.
        resume: state that `on_epoch` received; training resumes after it.
        weights: starting weights, instead of random ones.
        on_epoch: called after each epoch.

    Raises:
        TrainingError: there are no pairs, or a loss is no longer a finite number.
        CheckpointError: weights do not fit the network.
    """
    network = _start(preset, seed, resume.network if resume else weights).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    adam = torch.optim.Adam(network.parameters(), lr=preset.learning_rate, fused=True)
    losses = list(resume.losses) if resume else []
    best, best_epoch = ({}, 0) if resume is None else (dict(resume.best), resume.best_epoch)
    if resume:
        _restore(adam, network, resume.optimiser)
    snapshot = resume
    for epoch in range(len(losses) + 1, preset.epochs + 1):
        begin = time.perf_counter()
        mean = _run_epoch(network, adam, preset, batches(epoch), epoch, _chance(seed, epoch), device)
        network.eval()
        with torch.inference_mode():
            if isinstance(network, CompactMasker) and isinstance(preset, CompactPreset):
                network.looks.copy_(gather_cutouts(batches(epoch), preset.looks))
            checked = _mean_loss(network, preset, held_out(), epoch, device)
        if preset.choice == "last epoch":
            best, best_epoch = network.state_dict(), epoch
        elif not best or checked < min(loss.held_out for loss in losses):
            best = {name: tensor.detach().to("cpu", copy=True) for name, tensor in network.state_dict().items()}
            best_epoch = epoch
        losses.append(EpochLoss(epoch, mean, checked, time.perf_counter() - begin))
        snapshot = Snapshot(tuple(losses), network.state_dict(), _moments(adam, network), best, best_epoch)
        on_epoch(snapshot)
    if snapshot is None:
        raise TrainingError("there is no epoch to train", value=preset.epochs, remedy="Ask for at least one")
    return snapshot


def _run_epoch(
    network: Network,
    adam: torch.optim.Adam,
    preset: PaperPreset | CompactPreset,
    batches: Iterable[Pairs],
    epoch: int,
    chance: torch.Generator,
    device: str,
) -> float:
    """One pass over the training pairs; returns the mean loss."""
    network.train()
    total, count = 0.0, 0
    for step, pairs in enumerate(batches, 1):
        for group in adam.param_groups:
            group["lr"] = learning_rate(preset, epoch)
        varied = moved(pairs, preset, chance)
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            loss = loss_of(network, varied, preset, chance)
        value = _finite(loss, epoch, f"step {step}")
        adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        total, count = total + value * len(pairs), count + len(pairs)
    if not count:
        raise TrainingError("there are no pairs to train on", where=f"epoch {epoch}")
    return total / count


def _mean_loss(
    network: Network, preset: PaperPreset | CompactPreset, batches: Iterable[Pairs], epoch: int, device: str
) -> float:
    total, count = 0.0, 0
    chance = _chance(0, 0)  # the same for all epochs, so that their losses can be compared
    for pairs in batches:
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            loss = loss_of(network, pairs, preset, chance)
        total, count = total + _finite(loss, epoch, "held-out pairs") * len(pairs), count + len(pairs)
    if not count:
        raise TrainingError("there are no pairs to choose the best epoch", where=f"epoch {epoch}")
    return total / count


def _finite(loss: Tensor, epoch: int, where: str) -> float:
    value = float(loss.detach())
    if not math.isfinite(value):
        remedy = "Saved epochs are kept. Use a lower learning rate, or look for damaged pairs"
        what = "the loss is no longer a finite number"
        raise TrainingError(what, where=f"epoch {epoch}, {where}", value=value, remedy=remedy)
    return value


def learning_rate(preset: PaperPreset | CompactPreset, epoch: int) -> float:
    """Learning rate of an epoch (1, 2, …). A cosine schedule falls from the full rate to 1 % of it."""
    if preset.schedule == "constant":
        return preset.learning_rate
    done = (epoch - 1) / max(1, preset.epochs - 1)
    return preset.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)


def _chance(seed: int, epoch: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed_of(seed, f"epoch {epoch}", "train") >> 1)


def _start(preset: PaperPreset | CompactPreset, seed: int, weights: Tensors | None) -> Network:
    with torch.random.fork_rng(devices=[]):  # starting weights come from torch's global generator
        torch.manual_seed(seed)
        network = make_network(preset)
    if weights is not None:
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            remedy = "Start from a run of the same preset"
            raise CheckpointError("the weights do not fit the network", value=error, remedy=remedy) from None
    return network


def _moments(adam: torch.optim.Adam, network: Network) -> dict[str, Tensor]:
    return {
        f"{name}/{kind}": value
        for name, parameter in network.named_parameters()
        for kind, value in adam.state.get(parameter, {}).items()
    }


def _restore(adam: torch.optim.Adam, network: Network, moments: Tensors) -> None:
    """Put moments back as copies: Adam works on them in place."""
    for name, parameter in network.named_parameters():
        kinds = ("step", "exp_avg", "exp_avg_sq")
        adam.state[parameter] = {
            kind: torch.empty_like(moments[f"{name}/{kind}"] if kind == "step" else parameter)
            .copy_(moments[f"{name}/{kind}"])
            .to(parameter.device)
            for kind in kinds
        }
