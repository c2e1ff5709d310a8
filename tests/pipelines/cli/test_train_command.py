"""`faceloom train autoencoder`: from the command line to a run, with its exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("webdataset")

from faceloom.models.checkpoint import CARD, read_card
from faceloom.pipelines.cli.app import app
from faceloom.pipelines.training import train as running
from faceloom.schemas.errors import TrainingError


def run(*words: object) -> Any:
    command = ["train", "autoencoder", *map(str, words)]
    return CliRunner().invoke(app, command, env={"COLUMNS": "100", "TERM": "dumb"})


def test_help_gives_examples_with_options_that_exist() -> None:
    shown = run("--help")
    assert shown.exit_code == 0
    head, examples = shown.output.split("Examples", 1)
    found = [line.strip() for line in examples.splitlines() if line.strip().startswith("faceloom train autoencoder ")]
    assert len(found) == 3 and all(len(line) < 79 for line in found)
    assert set(re.findall(r"--[a-z-]+", examples)) <= set(re.findall(r"--[a-z-]+", head))
    listed = CliRunner().invoke(app, ["train"])
    assert "autoencoder" in listed.output


def test_training_and_going_on(pairs_build: Path, tmp_path: Path) -> None:
    words = ("--data", pairs_build, "--preset", "tiny-compact", "--to", tmp_path / "run", "--device", "cpu")
    said = run(*words)
    assert said.exit_code == 0, said.output
    assert "train: 4 epochs" in said.stderr and re.search(r"epoch 4 of 4, loss \d\.\d+, held out \d", said.stderr)
    parameters = read_card(tmp_path / "run").parameters
    for text in ("tiny-compact", "tiny-pairs", "not stated", f"{parameters:,}"):
        assert text in said.stdout
    assert "finished" not in said.output
    finished = run(*words)
    assert finished.exit_code == 0 and "The run was finished already; nothing was trained." in finished.stderr
    for option in (f"--from {tmp_path / 'run'} --to NEW", "--no-resume"):
        assert option in finished.stderr
    longer = run(*words, "--epochs", 9)
    assert longer.exit_code == 2 and f"--from {tmp_path / 'run'} --to NEW" in longer.stderr
    again = run(*words, "--json")
    document = json.loads(again.stdout)
    assert document["run"]["resumed_after"] == 4 and document["finished"] is True
    assert document["data"]["name"] == "tiny-pairs" and document["to"] == str(tmp_path / "run")


def test_choices_reach_the_card(pairs_build: Path, tmp_path: Path) -> None:
    words = ("--data", pairs_build, "--preset", "tiny-paper", "--to", tmp_path / "run", "--device", "cpu", "--json")
    said = run(*words, "--epochs", 2, "--batch", 3, "--learning-rate", 0.005, "--seed", 7, "--save-every", 2)
    assert said.exit_code == 0, said.output
    card = json.loads(said.stdout)
    hyper = card["hyper_parameters"]
    assert (hyper["epochs"], hyper["batch"], hyper["learning_rate"], hyper["save_every"]) == (2, 3, 0.005, 2)
    assert card["seed"] == 7 and "batch" in card["unstated_in_paper"]
    further = run(*words[:4], "--to", tmp_path / "more", "--from", tmp_path / "run", "--epochs", 1, "--json")
    assert json.loads(further.stdout)["parent"]["folder"] == "run"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--preset", "large"), "unknown preset (got large). Allowed: paper, compact"),
        (("--preset", "paper"), "takes squares with a side of 64"),
        (("--device", "tpu"), "unknown device"),
        (("--learning-rate", "-1"), "learning_rate: the learning rate must be greater than 0"),
        (("--learning-rate", "nan"), "learning_rate: the learning rate must be greater than 0"),
        (("--from", "nowhere"), "the folder does not exist"),
    ],
)
def test_what_is_wrong_from_the_start_is_refused_before_any_work(
    pairs_build: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    got = run("--data", pairs_build, "--to", tmp_path / "run", "--preset", "tiny-compact", *words)
    assert got.exit_code == 2 and said in got.stderr and "Traceback" not in got.output
    assert not (tmp_path / "run").exists()


def test_no_build_there(tmp_path: Path) -> None:
    assert run("--data", tmp_path / "nowhere", "--to", tmp_path / "run").exit_code == 2
    got = run("--data", tmp_path, "--to", tmp_path / "run", "--json")
    assert got.exit_code == 2 and json.loads(got.stdout)["what"] == "no finished build in this folder"


def test_an_error_in_training_ends_with_1(pairs_build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise TrainingError("the loss is no longer a finite number", where="epoch 2, step 3")

    monkeypatch.setattr(running, "run_training", fail)
    got = run("--data", pairs_build, "--to", tmp_path / "run", "--preset", "tiny-compact")
    assert got.exit_code == 1 and "epoch 2, step 3: the loss is no longer" in got.stderr
    assert not (tmp_path / "run" / CARD).exists()
