"""A training job: networks, losses, one step, one evaluation, and the members that it reads from the shards."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from faceloom.models.build_facts import BuildFacts, fit_to_build
from faceloom.models.preset import Preset
from faceloom.schemas.errors import TrainingError

Batch = Mapping[str, Tensor]
"""Members of N samples by name. Pictures are float32 (N, C, H, W), 0..1; other members as `labels` and readers give
them."""
Values = Mapping[str, Tensor | float]
"""Losses and other figures by name; `loss` is the one that the table and the curve show as train or held-out loss."""
P = TypeVar("P", bound=Preset)


@dataclass(frozen=True, eq=False)
class Step:
    """One step of training.

    Attributes:
        network: in training mode.
        optimisers: of the job, by name; their learning rate is that of the epoch.
        batch: the samples.
        chance: a generator on the CPU for random draws. Layers such as dropout are seeded too.
        epoch, number: of the step, from 1; `number` restarts in each epoch.
    """

    network: nn.Module
    optimisers: Mapping[str, Optimizer]
    batch: Batch
    chance: torch.Generator
    epoch: int
    number: int
    device: str

    def autocast(self) -> torch.autocast:
        """On CUDA, products inside are computed in bfloat16; elsewhere nothing changes."""
        return autocast(self.device)

    def descend(self, loss: Tensor, *names: str) -> float:
        """Step the optimisers of these names, or the only one, along the gradient of a loss; returns the loss.

        Raises:
            TrainingError: the loss is no longer a finite number.
        """
        value = finite(loss, self.epoch, f"step {self.number}")
        chosen = [self.optimisers[name] for name in names or self.optimisers]
        for optimiser in chosen:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for optimiser in chosen:
            optimiser.step()
        return value


class Job(Generic[P]):
    """A training job. A subclass overrides what differs: at least `members`, `network`, and `loss` or `step`.

    Several networks are children of one module, such as `nn.ModuleDict`: their weights lie in one file, by name.

    Attributes:
        preset: of this run.
        files: further files or runs of the user, by the name of their option (`JobSpec.files`).
    """

    name: ClassVar[str]
    """On the command line and in the card; that of the module."""
    members: ClassVar[tuple[str, ...]]
    """Of each sample, such as `face`. `mask` is the soft coverage if the build has it."""
    recipe: ClassVar[str]
    """A shipped recipe that builds suitable samples."""
    reads_labels: ClassVar[bool] = False
    """Whether `labels` is called for each sample."""
    phases: ClassVar[tuple[str, ...]] = ("",)
    """Names of the phases, such as the network that is trained."""

    def __init__(self, preset: P, files: Mapping[str, Path] | None = None) -> None:
        self.preset, self.files = preset, dict(files or {})

    @property
    def reads(self) -> tuple[str, ...]:
        """Members that this run reads: `members`, unless the preset decides."""
        return self.members

    @classmethod
    def fit(cls, preset: P, build: BuildFacts) -> P:
        """Check that the preset can be trained on a build, and return it with the values that the build decides.

        Raises:
            TrainingError: the build lacks members, a split, or the size of crops that the network takes.
        """
        return fit_to_build(preset, build, cls.members, cls.recipe)

    @classmethod
    def with_files(cls, preset: P, files: Mapping[str, Path]) -> P:
        """The preset of a run that is given the user's files and runs, before `fit`; by default as it is."""
        return preset

    @classmethod
    def check_files(cls, preset: P, build: BuildFacts, files: Mapping[str, Path]) -> None:
        """Check the user's files and runs (`JobSpec.files`) before any work; by default nothing.

        Raises:
            FaceloomError: one is not what the job needs.
        """

    @classmethod
    def check_parent(cls, files: Mapping[str, Path]) -> None:
        """Check whether a run that begins with the weights of another one takes the user's files; by default it does.

        Raises:
            TrainingError: it does not.
        """

    def labels(self, record: Mapping[str, Any], people: Mapping[str, int]) -> Mapping[str, Any]:
        """Numbers of a sample that are no member of their own; they are in the batch as tensors, one per sample.

        Args:
            record: the member `json` of the sample, with `identity`, `attributes` and operations.
            people: number of each person of the split `train`, from 0.
        """
        return {}

    def chosen(self, members: Batch) -> Tensor | None:
        """Which samples of a split are used: bool (N,); None for all of them.

        Args:
            members: of all samples of the split, as they are read, and labels.
        """
        return None

    def network(self) -> nn.Module:
        """The untrained network; its random weights come from torch's global generator, which is seeded."""
        raise NotImplementedError

    def product(self, network: nn.Module) -> nn.Module:
        """The part of the network that is used after training; its parameters are counted in the card."""
        return network

    def optimisers(self, network: nn.Module) -> dict[str, Optimizer]:
        """Optimisers by name: Adam of all parameters. No parameter belongs to two of them.

        The rate of a group is that of `rate`, times its entry `scale` if it has one.
        """
        return {"adam": torch.optim.Adam(network.parameters(), lr=self.preset.learning_rate, fused=True)}

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch."""
        return self.preset.rate(epoch)

    def phase(self, epoch: int) -> int:
        """Number of the phase of an epoch.

        Only held-out losses of the last phase are compared for the best epoch. A phase starts from the best weights of
        the one before, or from the last ones where the preset chooses the last epoch.
        """
        return 0

    def starts(self, epochs: int) -> tuple[int, ...]:
        """First epoch of each phase but the first one, up to a number of epochs."""
        return tuple(epoch for epoch in range(2, epochs + 1) if self.phase(epoch) != self.phase(epoch - 1))

    def varied(self, batch: Batch, chance: torch.Generator) -> Batch:
        """Augment a training batch."""
        return batch

    def loss(self, network: Any, batch: Batch, chance: torch.Generator) -> Tensor:
        """The loss of a batch, a scalar."""
        raise NotImplementedError

    def step(self, step: Step) -> Values:
        """Train on one batch; returns the losses. By default one step of the only optimiser along `loss`."""
        batch = self.varied(step.batch, step.chance)
        with step.autocast():
            loss = self.loss(step.network, batch, step.chance)
        return {"loss": step.descend(loss)}

    def held_out(self, network: nn.Module, batch: Batch, chance: torch.Generator, epoch: int) -> Values:
        """Figures of a held-out batch: `loss`, whose mean chooses the best epoch, and others for the table."""
        return {"loss": self.loss(network, batch, chance)}

    def after_epoch(self, network: nn.Module, batches: Callable[[], Iterable[Batch]]) -> None:
        """Complete the network after an epoch of training, before it is evaluated; no gradients are computed.

        Args:
            network: in evaluation mode.
            batches: the training batches of the epoch.
        """


def find_job(name: str) -> type[Job[Any]]:
    """The class of a job: the only subclass of `Job` in the module of its name in `models.jobs`.

    Args:
        name: one of `models.presets.JOBS`.
    """
    module = import_module(f"faceloom.models.jobs.{name}")
    return next(kind for kind in vars(module).values() if isinstance(kind, type) and kind.__dict__.get("name") == name)


def make_job(name: str, preset: Preset, files: Mapping[str, Path] | None = None) -> Job[Any]:
    """The job of a preset."""
    return find_job(name)(preset, files)


def autocast(device: str) -> torch.autocast:
    """On CUDA, products inside are computed in bfloat16; elsewhere nothing changes."""
    return torch.autocast(device, torch.bfloat16, enabled=device == "cuda")


def finite(loss: Tensor | float, epoch: int, where: str) -> float:
    """The value of a loss.

    Raises:
        TrainingError: it is no finite number.
    """
    value = float(loss.detach()) if isinstance(loss, Tensor) else loss
    if not math.isfinite(value):
        remedy = "Saved epochs are kept. Use a lower learning rate, or look for damaged pairs"
        what = "the loss is no longer a finite number"
        raise TrainingError(what, where=f"epoch {epoch}, {where}", value=value, remedy=remedy)
    return value
