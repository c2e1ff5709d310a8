"""A training run: from a checked request to a folder with weights, losses and a card."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from faceloom.models.checkpoint import CARD, check_weights, read_card, read_network
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.training.board import Board, remove_events
from faceloom.pipelines.training.request import CheckedRequest
from faceloom.pipelines.training.run_folder import RunFolder, delete_leftovers, delete_run, read_resume
from faceloom.pipelines.training.training_data import open_samples
from faceloom.schemas.model_card import ModelCard

if TYPE_CHECKING:
    from faceloom.models.training import EpochLoss, Snapshot


@dataclass(frozen=True)
class TrainingReport:
    """The result of a training run.

    Attributes:
        folder: of the run: `card.json`, `best.safetensors`, `last.safetensors`, `loss.csv` and `loss.png`.
        card: describes network, data and training. `card.metrics` holds the losses of the best and the last epoch.
        resumed: epochs that an earlier process had done; 0 for a new run.
        seconds: wall time of this call.
    """

    folder: Path
    card: ModelCard
    resumed: int
    seconds: float


def run_training(
    checked: CheckedRequest,
    on_start: Callable[[int], None] = lambda done: None,
    on_epoch: Callable[[EpochLoss], None] = lambda loss: None,
) -> TrainingReport:
    """Train, and save the run every `save_every` epochs. A finished run is only verified.

    Args:
        checked: from `check_request`.
        on_start: called once the samples are read, with the number of epochs done so far.
        on_epoch: called after each epoch.

    Raises:
        FaceloomError: the data cannot be read, the folder cannot be written, the loss is no longer a finite number, or
            the weights of a finished run do not match its card.
    """
    from faceloom.models.job import make_job
    from faceloom.models.training import train

    begin, request = time.monotonic(), checked.request
    folder, preset = Path(request.to), request.preset
    with Storage(request.to).exclusive(), ExitStack() as stack:
        if not request.resume:
            delete_run(folder)
        delete_leftovers(folder)
        exists = (folder / CARD).exists()
        if exists and (card := _finished(folder, preset.epochs)) is not None:
            return TrainingReport(folder, card, card.epochs_done, time.monotonic() - begin)
        job = make_job(request.job, preset, request.files)
        data = open_samples(request.data, job, seed=request.seed, workers=request.workers)
        resume = read_resume(folder, job) if exists else None
        weights = None
        if request.parent is not None and resume is None:
            weights = read_network(request.parent, read_card(request.parent, request.job))
        run = RunFolder(
            folder,
            request.job,
            preset,
            seed=request.seed,
            device=checked.device,
            data=data.card,
            parent=checked.parent,
            uses=checked.uses,
        )
        done = resume.losses if resume else ()
        board = stack.enter_context(closing(Board(folder, done))) if request.tensorboard else None
        if board is None:  # event files of an earlier process would end before this run does
            remove_events(folder)
        on_start(len(done))

        def after(snapshot: Snapshot) -> None:
            on_epoch(snapshot.losses[-1])
            run.save(snapshot)
            if board:
                board.add(snapshot.losses[-1])

        train(
            job,
            partial(data.train.epoch, preset.batch, checked.device, request.seed),
            partial(data.held_out.batches, preset.batch, checked.device),
            seed=request.seed,
            device=checked.device,
            resume=resume,
            weights=weights,
            on_epoch=after,
        )
        delete_leftovers(folder)
        return TrainingReport(folder, read_card(folder), len(done), time.monotonic() - begin)


def _finished(folder: Path, epochs: int) -> ModelCard | None:
    """Verify the weights of a run with all epochs done and return its card; None if epochs are left."""
    card = read_card(folder)
    if not card.finished or card.epochs_done < epochs:
        return None
    for name in card.files:
        check_weights(folder, card, name)
    return card
