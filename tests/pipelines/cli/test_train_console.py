"""What training shows: a bar on a terminal, few lines elsewhere."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

pytest.importorskip("torch")

from faceloom.models.training import EpochLoss
from faceloom.pipelines.cli.train_console import TrainingProgress


def shown(console: Console, epochs: int = 3, done: int = 0) -> str:
    with TrainingProgress(console, epochs) as progress:
        progress.start(done)
        for epoch in range(done + 1, epochs + 1):
            progress.epoch(EpochLoss(epoch, 0.5 / epoch, 0.6 / epoch, 1.0))
    stream = console.file
    assert isinstance(stream, StringIO)
    return stream.getvalue()


def test_without_a_terminal_there_are_few_lines() -> None:
    lines = shown(Console(file=StringIO(), width=200), epochs=50).splitlines()
    assert lines == [
        "train: reading the data",
        "train: 50 epochs",
        "train: epoch 50 of 50, loss 0.01000, held out 0.01200",
    ]


def test_the_time_left_is_told_as_often_as_a_line_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr("faceloom.pipelines.cli.train_console.time.monotonic", lambda: float(next(clock)))
    lines = shown(Console(file=StringIO(), width=200)).splitlines()
    assert lines[2] == "train: epoch 1 of 3, loss 0.50000, held out 0.60000, 40 s left"
    assert lines[3].endswith("20 s left") and lines[4].endswith("held out 0.20000")


def test_a_single_epoch_is_no_epochs() -> None:
    assert "train: 1 epoch\n" in shown(Console(file=StringIO(), width=200), epochs=1)


def test_going_on_is_said() -> None:
    lines = shown(Console(file=StringIO(), width=200), epochs=4, done=2).splitlines()
    assert lines[1] == "train: 4 epochs, going on after 2"


def test_a_terminal_gets_a_bar_with_losses() -> None:
    text = shown(Console(file=StringIO(), width=160, force_terminal=True), epochs=4, done=2)
    assert (
        text.startswith("train: reading the data") and "epoch 4/4" in text and "loss 0.12500, held out 0.15000" in text
    )


def test_nothing_to_do_is_no_error() -> None:
    assert "train: 2 epochs, going on after 2" in shown(Console(file=StringIO(), width=80), epochs=2, done=2)
