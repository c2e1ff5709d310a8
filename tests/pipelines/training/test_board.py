"""Event files that TensorBoard's own reader opens: one value per loss and epoch, also after a resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("tensorboard")

from faceloom.models.training import EpochLoss
from faceloom.pipelines.training.board import BOARD, Board
from faceloom.pipelines.training.run_folder import delete_run
from faceloom.schemas.errors import StorageError


def values(run: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read: Any = EventAccumulator(str(run / BOARD))
    read.Reload()
    return {tag: [(one.step, one.value) for one in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def test_each_loss_of_each_epoch_is_a_value(tmp_path: Path) -> None:
    board = Board(tmp_path, [EpochLoss(1, 0.5, 0.25, 1.0, {"critic": 2.0})])
    board.add(EpochLoss(2, 0.375, 0.125, 1.0))
    board.close()
    assert values(tmp_path) == {
        "loss/train": [(1, 0.5), (2, 0.375)],
        "loss/held_out": [(1, 0.25), (2, 0.125)],
        "critic": [(1, 2.0)],
    }


def test_a_resumed_run_has_no_epoch_twice(tmp_path: Path) -> None:
    first = EpochLoss(1, 0.5, 0.25, 1.0)
    board = Board(tmp_path)
    board.add(first)
    board.add(EpochLoss(2, 0.75, 0.5, 1.0))  # not saved
    board.close()
    Board(tmp_path, [first]).close()
    assert values(tmp_path) == {"loss/train": [(1, 0.5)], "loss/held_out": [(1, 0.25)]}
    delete_run(tmp_path)
    assert not list((tmp_path / BOARD).iterdir())


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / BOARD).symlink_to(outside)
    with pytest.raises(StorageError):
        Board(tmp_path / "run")
    with pytest.raises(StorageError):
        delete_run(tmp_path / "run")
    assert [path.name for path in outside.iterdir()] == ["precious"]
