"""Tables of the training: which epochs are shown, and what stands where losses are missing."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")
pytest.importorskip("safetensors")
pytest.importorskip("matplotlib")

from faceloom.models.checkpoint import read_card
from faceloom.models.curve import TABLE, write_table
from faceloom.models.presets import preset_values, presets_of
from faceloom.models.training import EpochLoss
from faceloom.pipelines.evaluation.task import Run, losses_of
from faceloom.pipelines.evaluation.training_tables import (
    MOST_EPOCHS,
    RUN_HEADS,
    draw_training,
    run_cells,
    shown_epochs,
    table_lines,
    training_json,
    training_markdown,
)
from faceloom.schemas.model_card import ParentCard

LOSSES = [EpochLoss(n, 1 / n, 2 / n, float(n), {"l1": n / 7} if n > 10 else {}) for n in range(1, 21)]


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Run:
    """A run of twenty epochs; the weights are those of epoch 12."""
    write_table(tmp_path, LOSSES)
    card = read_card(tiny_run).model_copy(update={"epochs_done": 20, "metrics": {"best_epoch": 12.0}})
    return Run("net", tmp_path, card, True, *losses_of(tmp_path, card))


@pytest.fixture
def two_phases(run: Run) -> Run:
    """The same losses, as of a teacher in the first eight epochs and of a student after them."""
    values = preset_values(presets_of("askd")["tiny-askd"]) | {"epochs": 20, "teacher_epochs": 8}
    changes = {"job": "askd", "hyper_parameters": values}
    return replace(run, card=run.card.model_copy(update=changes))


def test_a_table_in_markdown() -> None:
    assert table_lines(["", "a"], [["x", "1"]]) == ["|  | a |", "| --- | --- |", "| x | 1 |"]


@given(st.integers(0, 400), st.data())
def test_at_most_eight_epochs_are_shown_with_the_first_the_last_and_the_one_used(
    count: int, data: st.DataObject
) -> None:
    losses = [EpochLoss(n, 1, 1, 1) for n in range(1, count + 1)]
    used = data.draw(st.integers(0, count))
    shown = [one.epoch for one in shown_epochs(losses, used)]
    assert shown == sorted(set(shown)) and len(shown) == min(count, MOST_EPOCHS)
    assert {1, count, used} - {0} <= {*shown} or count == 0
    if count > MOST_EPOCHS:
        gaps = [after - before for before, after in pairwise(shown)]
        assert max(gaps) <= 2 * (count - 1) / (MOST_EPOCHS - 1) + 1


def test_the_row_of_a_run_has_its_first_epoch_and_the_one_used(run: Run) -> None:
    cells = dict(zip(RUN_HEADS, run_cells(run), strict=True))
    assert cells == {
        "": "net", "epochs": "20", "used": "12", "s/epoch": "10.5", "train, first": "1.000", "train, used": "0.08333",
        "held-out, first": "2.000", "held-out, used": "0.1667",
    }  # fmt: skip


def test_the_first_epoch_is_of_the_phase_of_the_weights(two_phases: Run) -> None:
    cells = dict(zip(RUN_HEADS, run_cells(two_phases), strict=True))
    assert (cells["train, first"], cells["train, used"]) == ("0.1111", "0.08333"), "epochs 9 and 12"
    assert (cells["held-out, first"], cells["held-out, used"]) == ("0.2222", "0.1667")


def test_the_table_of_a_run_states_its_parent(run: Run) -> None:
    parent = ParentCard(folder="a|\nb", weights="3" * 64, data=run.card.data)
    child = replace(run, card=run.card.model_copy(update={"parent": parent}))
    first, second = (training_markdown([one]) for one in (run, child))
    assert run_cells(child) == ["net, started from 'a\\|\\nb'", *run_cells(run)[1:]]
    assert "net:" in first and "net, started from 'a\\|\\nb':" in second
    bare = replace(child, losses=(), lacks="none")
    assert training_markdown([bare])[-1] == "net, started from 'a\\|\\nb': no losses, none."
    assert (training_json(run)["started_from"], training_json(child)["started_from"]) == (None, "a|\nb")


def test_rows_state_their_phase(two_phases: Run) -> None:
    lines = training_markdown([two_phases])
    start = lines.index("| epoch | phase | train loss | held-out loss | l1 |")
    assert [line.split(" | ")[1] for line in lines[start + 2 :]] == ["teacher"] * 3 + ["student"] * 5
    assert [one["phase"] for one in training_json(two_phases)["losses"]] == ["teacher"] * 3 + ["student"] * 5


def test_the_picture_parts_the_phases(run: Run, two_phases: Run) -> None:
    assert draw_training([two_phases]) != draw_training([run])


def test_the_section_has_a_table_of_all_runs_and_one_of_each(run: Run) -> None:
    lines = training_markdown([run, replace(run, name="again")])
    assert lines[1] == "## Training" and lines.count("| epoch | train loss | held-out loss | l1 |") == 2
    start = lines.index("again:")
    assert [line.split(" | ")[0] for line in lines[start + 4 :]] == [
        "| 1", "| 4", "| 6", "| 9", "| 12 (used)", "| 15", "| 17", "| 20",
    ]  # fmt: skip
    assert "| 6 | 0.1667 | 0.3333 | – |" in lines and "| 12 (used) | 0.08333 | 0.1667 | 1.714 |" in lines
    assert training_markdown([]) == []


def test_json_has_the_same_rows(run: Run) -> None:
    plain = json.loads(json.dumps(training_json(run)))
    assert (plain["name"], plain["epochs"], plain["epoch_used"]) == ("net", 20, 12)
    assert plain["seconds_per_epoch"] == 10.5
    assert [one["epoch"] for one in plain["losses"]] == [1, 4, 6, 9, 12, 15, 17, 20]
    losses = {"train": 1 / 12, "held_out": 1 / 6, "more": {"l1": 12 / 7}}
    assert plain["losses"][4] == {"epoch": 12, "phase": None, "seconds": 12.0, **losses}
    assert "missing" not in plain


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, "the loss.csv cannot be read"),
        (
            b"epoch,train,held_out,seconds\n1,nan,1,1\n",
            "the loss.csv is damaged: row 1 holds a figure that is no number",
        ),
        (b"epoch,train,held_out,seconds\n1,1,1,1\n", "the loss.csv has fewer epochs than the card"),
    ],
)
def test_missing_losses_are_stated(run: Run, data: bytes | None, reason: str) -> None:
    (run.folder / TABLE).unlink()
    if data is not None:
        (run.folder / TABLE).write_bytes(data)
    losses, lacks = losses_of(run.folder, run.card)
    assert (losses, lacks) == ((), reason)
    bare = replace(run, losses=losses, lacks=lacks)
    assert run_cells(bare) == ["net", "20", "12", "–", "–", "–", "–", "–"]
    assert training_markdown([bare])[-1] == f"net: no losses, {reason}."
    assert training_json(bare)["missing"] == reason and training_json(bare)["losses"] == []
    assert draw_training([bare]) is None and draw_training([bare, run]) == draw_training([run])


def test_epochs_behind_the_card_are_left_out(run: Run) -> None:
    card = run.card.model_copy(update={"epochs_done": 15})
    table = run.folder / TABLE
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:16]) + "no row\n")  # nor are they read
    losses, lacks = losses_of(run.folder, card)
    assert [one.epoch for one in losses] == list(range(1, 16)) and lacks == ""
