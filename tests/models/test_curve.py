"""The table and the picture of the losses."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from PIL import Image

from faceloom.models.curve import CURVE, TABLE, draw_curve, write_table
from faceloom.models.training import EpochLoss

LOSSES = [EpochLoss(epoch, 1 / epoch, 1.1 / epoch, 0.1234 * epoch) for epoch in range(1, 20)]


def test_the_table_holds_every_loss_in_full(tmp_path: Path) -> None:
    write_table(tmp_path / "run", LOSSES)
    with (tmp_path / "run" / TABLE).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 20))
    assert [float(row["train"]) for row in rows] == [loss.train for loss in LOSSES]
    assert [float(row["held_out"]) for row in rows] == [loss.held_out for loss in LOSSES]
    assert float(rows[1]["seconds"]) == 0.25


def drawn(folder: Path, losses: list[EpochLoss], best: int = 1, title: str = "t") -> np.ndarray:
    draw_curve(folder, losses, best, title)
    return np.asarray(Image.open(folder / CURVE).convert("RGB")).astype(int)


def test_the_curve_shows_both_losses(tmp_path: Path) -> None:
    picture = drawn(tmp_path, LOSSES)
    assert picture.shape == (480, 840, 3)
    for colour in ((31, 119, 180), (255, 127, 14)):  # matplotlib's first two
        assert (np.abs(picture - colour).max(2) < 12).sum() > 300


def test_the_curve_is_the_same_bytes_for_the_same_losses(tmp_path: Path) -> None:
    drawn(tmp_path / "a", LOSSES)
    drawn(tmp_path / "b", LOSSES)
    assert (tmp_path / "a" / CURVE).read_bytes() == (tmp_path / "b" / CURVE).read_bytes()


@pytest.mark.parametrize(
    "losses",
    [LOSSES[:1], [EpochLoss(1, 0.0, 0.5, 1), EpochLoss(2, 0.0, 0.25, 1)]],
    ids=["one epoch", "a loss of nothing"],
)
def test_odd_curves_are_drawn_without_a_warning(tmp_path: Path, losses: list[EpochLoss]) -> None:
    assert drawn(tmp_path, losses, title="面 $x^").std() > 5
