"""The losses of a run as TensorBoard shows them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from faceloom.pipelines.store.storage import Storage

if TYPE_CHECKING:
    from faceloom.models.training import EpochLoss

BOARD = "tensorboard"
"""Folder of the event files in that of the run."""


class Board:
    """Writes a scalar per loss and epoch. Earlier event files of the run are replaced, so that no epoch is there twice.

    Args:
        run: folder of the run.
        losses: of the epochs that are done already.

    Raises:
        StorageError: the folder of the event files is a link.
    """

    def __init__(self, run: Path, losses: Iterable[EpochLoss] = ()) -> None:
        from torch.utils.tensorboard import SummaryWriter

        remove_events(run)
        self._writer = SummaryWriter(str(run / BOARD))
        for loss in losses:
            self.add(loss)

    def add(self, loss: EpochLoss) -> None:
        """Write the losses of an epoch: `loss/train`, `loss/held_out`, and the job's other figures by name."""
        for name, value in {"loss/train": loss.train, "loss/held_out": loss.held_out, **loss.more}.items():
            self._writer.add_scalar(name, value, loss.epoch)
        self._writer.flush()

    def close(self) -> None:
        """End the event file."""
        self._writer.close()


def remove_events(run: Path) -> None:
    """Delete the event files of a run.

    Raises:
        StorageError: their folder is a link.
    """
    storage = Storage(str(run))
    for path in storage.list(BOARD):
        storage.remove(path)
