"""Training as one function call, for notebooks and scripts. The command line runs the same steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from faceloom.models.presets import JOBS, default_preset
from faceloom.pipelines.training.request import TrainingRequest, change_preset, check_request
from faceloom.pipelines.training.train import TrainingReport, run_training

if TYPE_CHECKING:
    from faceloom.models.training import EpochLoss

NETWORKS = tuple(JOBS)
"""What can be trained."""


def train(
    network: str = "autoencoder",
    *,
    data: str | Path,
    to: str | Path,
    preset: str | None = None,
    epochs: int | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
    save_every: int | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    parent: str | Path | None = None,
    seed: int = 0,
    workers: int = 0,
    resume: bool = True,
    files: Mapping[str, str | Path] | None = None,
    options: Mapping[str, Any] | None = None,
    tensorboard: bool = False,
    on_epoch: Callable[[EpochLoss], None] = lambda loss: None,
) -> TrainingReport:
    """Train a network on the samples of a build, and write the run to a folder.

    The same call resumes a stopped run after its last saved epoch, with the same result as a run without a stop; for a
    finished run it verifies the weights and returns. Needs the extra `torch`.

        report = train(data="out", to="runs/compact", epochs=40)
        report.card.metrics["best_held_out_loss"]

    Args:
        network: `autoencoder`, which masks a face, or another of `NETWORKS`.
        data: folder of a finished build with a split `train` and the members that the network needs.
        to: folder of the run; it is created if it does not exist.
        preset: `paper`, the network of the publication, or a small one; by default the small one (`compact` of the
            autoencoder).
        epochs: passes over the training samples. None takes the value of the preset, here and in the next three.
        batch: samples per step.
        learning_rate: of the optimisers.
        save_every: epochs between two saved states.
        device: `auto` takes CUDA if there is a usable GPU.
        parent: folder of a run of the same preset; its best weights are the starting weights.
        seed: of all random draws.
        workers: processes that read the samples; 0 reads in this process.
        resume: False deletes a run in `to` and starts over.
        files: further files and runs that the network needs, by the name of their option.
        options: further options of the network, as `faceloom train NETWORK --help` lists them, with underscores.
        tensorboard: also write the losses for TensorBoard, into `tensorboard` in the run's folder.
        on_epoch: called after each epoch with its losses.

    Returns:
        The card of the run, its folder, and how long it took.

    Raises:
        FaceloomError: an argument, the build or the folder cannot be used (before any work), or training failed.
    """
    chosen = change_preset(
        preset or default_preset(network),
        network,
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        save_every=save_every,
        **(options or {}),
    )
    request = TrainingRequest(
        data=str(data),
        to=str(to),
        preset=chosen,
        seed=seed,
        device=device,
        parent=None if parent is None else Path(parent),
        workers=workers,
        resume=resume,
        job=network,
        files={name: Path(path) for name, path in (files or {}).items()},
        tensorboard=tensorboard,
    )
    return run_training(check_request(request), on_epoch=on_epoch)
