"""Runs of any job: checked, evaluated and reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("webdataset")
pytest.importorskip("safetensors")

from faceloom.pipelines.cli.app import app
from faceloom.pipelines.cli.evaluate_runs import check_runs
from faceloom.schemas.errors import CheckpointError
from tests.conftest import write_run
from tests.pipelines.evaluation.test_classifier import ALIGN


def run(*words: object) -> Any:
    return CliRunner().invoke(app, ["evaluate", *map(str, words)], env={"COLUMNS": "100", "TERM": "dumb"})


def test_checks_come_before_any_work(guided_build: Path, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "cls", "tiny", job="classifier", align=ALIGN)
    steps, task = check_runs("classifier", [folder], str(guided_build), "test", str(tmp_path / "new"), "cpu", {})
    assert task.job == "classifier" and callable(steps.run) and not (tmp_path / "new").exists()
    with pytest.raises(CheckpointError, match="no msagan"):
        check_runs("msagan", [folder], str(guided_build), "test", str(tmp_path), "cpu", {"classifier": folder})


def test_an_evaluation_that_needs_another_run(guided_build: Path, tmp_path: Path) -> None:
    judge = write_run(tmp_path / "cls", "tiny", job="classifier", align=ALIGN)
    editor = write_run(tmp_path / "msa", "tiny", job="msagan", align=ALIGN)
    words = ("msagan", editor, "--data", guided_build, "--device", "cpu")
    assert run(*words).exit_code == 2
    done = run(*words, "--classifier", judge, "--json")
    assert done.exit_code == 0, done.output
    plain = json.loads(done.stdout)
    assert plain.pop("to") == str(editor / "evaluation") and plain["job"] == "msagan"
    assert plain == json.loads((editor / "evaluation" / "metrics.json").read_text())
    assert (editor / "evaluation" / "sheet.png").exists()
    wrong = run(*words, "--classifier", editor, "--json")
    assert wrong.exit_code == 2 and json.loads(wrong.stdout)["error"] == "CheckpointError"
