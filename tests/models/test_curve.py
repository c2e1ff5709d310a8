"""The table and the picture of the losses."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from faceloom.models.curve import (
    CURVE,
    MOST_TABLE,
    TABLE,
    Curve,
    draw_curve,
    draw_curves,
    parse_table,
    read_table,
    write_table,
)
from faceloom.models.training import EpochLoss
from faceloom.schemas.errors import CheckpointError

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


VALUES = st.floats(-1e100, 1e100)
EPOCHS = st.lists(
    st.tuples(VALUES, VALUES, st.integers(0, 10**7), st.dictionaries(st.sampled_from(["l1", "held_out_l1"]), VALUES)),
    max_size=4,
)


@given(EPOCHS)
def test_a_table_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, float, int, dict[str, float]]]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "written"
    losses = [EpochLoss(n, train, held, s / 100, more) for n, (train, held, s, more) in enumerate(rows, 1)]
    write_table(folder, losses)
    read = read_table(folder)
    assert list(read) == losses and [one.seconds for one in read] == [one.seconds for one in losses]


GOOD = b"epoch,train,held_out,seconds,l1\n1,0.5,0.25,2.5,\n2,0.4,1e-05,2.5,0.1\n"
PIECES = st.sampled_from(
    [b"", b"nan", b"inf", b"1_0", b"-1", b"0", b"3", b"1e999", b'"', b",", b"\n", b"\0", b"\xff", b"=", b" 1"]
)


@given(st.integers(0, len(GOOD)), st.integers(0, 12), st.one_of(PIECES, st.binary(max_size=12)))
def test_a_changed_table_is_refused_in_one_line_or_still_a_table(at: int, cut: int, put: bytes) -> None:
    data = GOOD[:at] + put + GOOD[at + cut :]
    try:
        losses = parse_table(data)
    except ValueError as error:
        assert str(error).isprintable() and (len(put) < 6 or put.decode("latin-1") not in str(error))
        return
    for number, one in enumerate(losses, 1):
        figures = [one.train, one.held_out, one.seconds, *one.more.values()]
        assert one.epoch == number and np.abs(figures).max() <= 1e100 and one.seconds >= 0
    names = sorted({name for one in losses for name in one.more})
    assert all(name in data.decode() and name.isascii() and name.isprintable() for name in names)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "first line"),
        (b"epoch,train,held_out\n", "first line"),
        (b"epoch,train,held_out,seconds,train\n", "first line"),
        (b"epoch,train,held_out,seconds,a|b\n", "first line"),
        (b"epoch,train,held_out,seconds," + b",".join(b"f%d" % n for n in range(101)), "first line"),
        (GOOD.replace(b"2,0.4", b"3,0.4"), "row 2 is not that of epoch 2"),
        (GOOD.replace(b"0.4,", b""), "row 2 is not that of epoch 2"),
        (GOOD + b"\n", "row 3"),
        (GOOD.replace(b"0.25", b""), "row 1 lacks a loss"),
        (GOOD.replace(b"2.5,0.1", b"-2.5,0.1"), "row 2 lacks a loss or its seconds"),
        (GOOD.replace(b"1e-05", b"nan"), "row 2 holds a figure that is no number"),
        (GOOD.replace(b"0.1", b"1e101"), "row 2 holds a figure"),
        (GOOD.replace(b"0.1", "\u0661".encode()), "row 2 holds a figure"),
        (GOOD.replace(b"0.5", b'"0.5'), "not CSV"),
        (GOOD.replace(b"l1", b"\xff"), "not UTF-8"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path: Path, data: bytes, fault: str) -> None:
    (tmp_path / TABLE).write_bytes(data)
    with pytest.raises(CheckpointError, match=f"the loss.csv is damaged: .*{fault}"):
        read_table(tmp_path)


def test_rows_behind_those_asked_for_are_not_read(tmp_path: Path) -> None:
    (tmp_path / TABLE).write_bytes(GOOD + b"no row\n")
    first = parse_table(GOOD)
    assert [read_table(tmp_path, rows) for rows in (0, 1, 2)] == [(), first[:1], first]
    for rows in (3, None):
        with pytest.raises(CheckpointError, match="damaged: row 3 is not that of epoch 3"):
            read_table(tmp_path, rows)


def test_what_is_no_file_of_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_table(tmp_path)
    with (tmp_path / TABLE).open("wb") as stream:
        stream.truncate(MOST_TABLE + 1)
    with pytest.raises(CheckpointError, match="damaged: it has"):
        read_table(tmp_path)
    (tmp_path / TABLE).unlink()
    (tmp_path / TABLE).mkdir()
    with pytest.raises(CheckpointError, match="a folder, not a file"):
        read_table(tmp_path)


def pixels(curves: list[Curve]) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(draw_curves(curves, "t"))).convert("RGB")).astype(int)


def count(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((np.abs(picture - colour).max(2) < 12).sum())


BLUE, ORANGE = (31, 119, 180), (255, 127, 14)


def test_several_runs_have_a_colour_each_and_dashes_for_held_out_samples() -> None:
    both = [Curve("a", LOSSES, 19), Curve("b", [EpochLoss(n, 5 / n, 6 / n, 1) for n in range(1, 9)], 2)]
    picture = pixels(both)
    assert count(picture, BLUE) > 300 and count(picture, ORANGE) > 200
    assert picture.shape == (480, 840, 3) and draw_curves(both, "t") == draw_curves(both, "t")
    flat = [EpochLoss(n, 2.0, 1.0, 1) for n in range(1, 9)]
    rows = (np.abs(pixels([Curve("a", flat, 0)]) - BLUE).max(2) < 12).sum(1)
    lines = sorted(rows[rows > 150])
    assert len(lines) >= 2 and lines[0] < 0.8 * lines[-1], "one of the two lines has gaps"


STEP = [EpochLoss(n, loss, loss / 2, 1) for n, loss in enumerate([8.0] * 3 + [0.1] * 3, 1)]
ONE_OR_TWO = pytest.mark.parametrize("others", [[], [Curve("b", STEP[:1], 0)]], ids=["one run", "two runs"])


@ONE_OR_TWO
def test_phases_are_not_joined(others: list[Curve]) -> None:
    between = []
    for starts in ((), (4,)):
        picture = pixels([Curve("a" if others else "", STEP, 0, starts), *others])
        blue = (np.abs(picture - BLUE).max(2) < 12)[:, 330:560]  # around epoch 3.5
        levels = np.flatnonzero(blue.sum(1) > 30)
        third = (levels[-1] - levels[0]) // 3
        between.append(int(blue[levels[0] + third : levels[-1] - third].sum()))
    joined, parted = between
    assert parted == 0 < joined


@ONE_OR_TWO
def test_a_phase_of_one_epoch_is_drawn(others: list[Curve]) -> None:
    picture = pixels([Curve("a" if others else "", STEP[:4], 0, (4,)), *others])
    assert count(picture[280:, 500:], BLUE) > 8, "epoch 4, below on the right"


@pytest.mark.parametrize("name", ["_hidden", "$x^$", "面\n", "long" * 100, ""])
def test_a_run_of_any_name_is_in_the_legend(name: str) -> None:
    picture = pixels([Curve(name, LOSSES[:1], 1), Curve("other", [replace(one, train=9.0) for one in LOSSES], 19)])
    assert count(picture[:, :200], BLUE) > 20, "its only epoch, on the left"
    assert count(picture[:, 400:], BLUE) > 20, "its line in the legend, on the right"


def test_many_runs_and_extreme_losses_are_drawn() -> None:
    extreme = [EpochLoss(1, 1e100, -1e100, 1), EpochLoss(2, 1e-100, 1e-100, 1)]
    assert pixels([Curve(f"run {n}", extreme if n else LOSSES, 1) for n in range(45)]).std() > 5
    assert pixels([Curve("a", [EpochLoss(1, 1e100, 1e-100, 1), EpochLoss(2, 1e-300, 1, 1)], 2)]).std() > 5
