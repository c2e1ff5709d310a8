"""`train`: plain arguments in, a run and its report out, without the command line."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("webdataset")
pytest.importorskip("safetensors")
pytest.importorskip("matplotlib")

from faceloom.models.checkpoint import read_card
from faceloom.pipelines.training.api import train
from faceloom.schemas.errors import FaceloomError, StorageError, TrainingError
from tests.pipelines.training.runs import weights_of


def test_arguments_reach_the_card_and_the_report_is_that_of_the_folder(pairs_build: Path, tmp_path: Path) -> None:
    losses: list[Any] = []
    report = train(
        data=pairs_build, to=tmp_path / "run", preset="tiny-paper", epochs=2, batch=3, learning_rate=0.005,
        save_every=2, seed=7, device="cpu", on_epoch=losses.append,
    )  # fmt: skip
    assert report.folder == tmp_path / "run" and report.card == read_card(report.folder)
    assert report.resumed == 0 and report.seconds > 0
    hyper = report.card.hyper_parameters
    assert (hyper["epochs"], hyper["batch"], hyper["learning_rate"], hyper["save_every"]) == (2, 3, 0.005, 2)
    assert report.card.seed == 7 and [loss.epoch for loss in losses] == [1, 2]


def test_the_result_is_that_of_the_same_request_by_the_command_line(
    whole: Path, pairs_build: Path, tmp_path: Path
) -> None:
    train("autoencoder", data=str(pairs_build), to=str(tmp_path / "run"), preset="tiny-compact", device="cpu")
    assert weights_of(tmp_path / "run") == weights_of(whole)


def test_the_same_call_verifies_a_finished_run(whole: Path, pairs_build: Path) -> None:
    report = train(data=pairs_build, to=whole, preset="tiny-compact", device="cpu")
    assert report.resumed == 4 and report.card == read_card(whole)


def test_a_run_can_start_from_another(whole: Path, pairs_build: Path, tmp_path: Path) -> None:
    report = train(data=pairs_build, to=tmp_path / "more", preset="tiny-compact", parent=str(whole), epochs=1)
    assert report.card.parent is not None and report.card.parent.folder == "run"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"network": "gan"}, TrainingError, "unknown network"),
        ({"preset": "large"}, TrainingError, "unknown preset"),
        ({"batch": 0}, TrainingError, "at least 1"),
        ({"device": "tpu"}, TrainingError, "unknown device"),
        ({"data": "nowhere"}, StorageError, "nowhere"),
        ({"parent": "nowhere"}, FaceloomError, "nowhere"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(
    pairs_build: Path, tmp_path: Path, arguments: dict[str, Any], error: type[FaceloomError], message: str
) -> None:
    given = {"data": pairs_build, "to": tmp_path / "run", "preset": "tiny-compact", **arguments}
    with pytest.raises(error, match=message):
        train(**given)
    assert not (tmp_path / "run").exists()


def test_all_but_the_network_are_keywords_and_documented() -> None:
    parameters = inspect.signature(train).parameters
    assert all(one.kind is one.KEYWORD_ONLY for name, one in parameters.items() if name != "network")
    described = inspect.getdoc(train) or ""
    assert [name for name in parameters if f"    {name}: " not in described] == []
