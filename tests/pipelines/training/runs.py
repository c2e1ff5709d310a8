"""Short training runs of a tiny network, and what the tests compare of them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from faceloom.models.checkpoint import BEST, LAST, read_card
from faceloom.models.curve import TABLE
from faceloom.models.presets import PRESETS
from faceloom.pipelines.training.request import TrainingRequest, check_request
from faceloom.pipelines.training.run_folder import RunFolder
from faceloom.pipelines.training.train import TrainingReport, run_training

if TYPE_CHECKING:
    from faceloom.models.training import Snapshot

TINY = PRESETS["tiny-compact"]
THREADS = 1
"""Of torch in all these tests. The number decides the order of sums, and so the last bits."""


class Stop(Exception):
    """Ends a run after an epoch."""


def request(data: Path, to: Path, **changes: Any) -> TrainingRequest:
    """A request for a tiny network on the CPU."""
    return TrainingRequest(**{"data": str(data), "to": str(to), "preset": TINY, "device": "cpu", **changes})


def run(data: Path, to: Path, *, stop: int = 0, **changes: Any) -> TrainingReport:
    """Train, or stop as a kill would once `stop` epochs are done and saved."""
    checked = check_request(request(data, to, **changes))
    if not stop:
        return run_training(checked)
    save = RunFolder.save

    def save_and_stop(self: RunFolder, snapshot: Snapshot) -> None:
        save(self, snapshot)
        if len(snapshot.losses) == stop:
            raise Stop

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stop):
        patch.setattr(RunFolder, "save", save_and_stop)
        run_training(checked)
    return TrainingReport(to, read_card(to), 0, 0)


def weights_of(folder: Path) -> dict[str, str]:
    """sha256 of both files of weights."""
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (BEST, LAST)}


def losses_of(folder: Path) -> list[list[str]]:
    """The table of losses without the seconds."""
    return [line.split(",")[:3] for line in (folder / TABLE).read_text().splitlines()]
