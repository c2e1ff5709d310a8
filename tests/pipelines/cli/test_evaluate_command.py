"""`faceloom evaluate`: help, exit codes, and what it leaves behind."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from faceloom.pipelines.cli.app import app
from faceloom.pipelines.evaluation import evaluate as evaluation
from faceloom.pipelines.evaluation import report as evaluation_report
from faceloom.schemas.errors import StorageError

pytest.importorskip("torch")
pytest.importorskip("webdataset")
pytest.importorskip("safetensors")

FILES = {"metrics.json", "metrics.md", "sheet.png"}


def run(*words: object) -> Any:
    command = ["evaluate", "autoencoder", *map(str, words)]
    return CliRunner().invoke(app, command, env={"COLUMNS": "100", "TERM": "dumb"})


@pytest.fixture
def net(tmp_path: Path, synthetic: SimpleNamespace) -> Path:
    path: Path = synthetic.tiny_run(tmp_path / "net")
    return path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_help_gives_examples_whose_options_exist() -> None:
    shown = run("--help")
    assert shown.exit_code == 0
    head, examples = shown.output.split("Example", 1)
    assert "faceloom evaluate autoencoder runs/ae --data out" in examples
    assert set(re.findall(r"--[a-z-]+", examples)) <= set(re.findall(r"--[a-z-]+", head))
    assert all(f"--{option}" in head for option in ("data", "split", "to", "device", "json", "debug"))


def test_what_is_evaluated_must_be_said() -> None:
    assert CliRunner().invoke(app, ["evaluate"]).exit_code == 2
    assert run("--data", "out").exit_code == 2


def test_the_report_goes_beside_the_network(masked_build: Path, net: Path) -> None:
    before = names(net)
    said = run(net, "--data", masked_build)
    assert said.exit_code == 0, said.output
    assert names(net) == before | {"evaluation"} and names(net / "evaluation") == FILES
    assert "black polygon" in said.stdout and "whether its people are held out is unknown" in " ".join(
        said.stdout.split()
    )
    assert str(net / "evaluation") in said.stderr
    assert "decide nothing" in said.stdout and "decide nothing" in (net / "evaluation" / "metrics.md").read_text()


def test_json_is_what_the_report_holds(masked_build: Path, net: Path, tmp_path: Path) -> None:
    said = run(net, "--data", masked_build, "--to", tmp_path / "report", "--json", "--device", "cpu")
    assert said.exit_code == 0, said.output
    printed = json.loads(said.stdout)
    assert printed.pop("to") == str(tmp_path / "report") and names(tmp_path / "report") == FILES
    assert printed == json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert not (net / "evaluation").exists()


def test_several_networks_stand_in_one_table(
    masked_build: Path, net: Path, tmp_path: Path, synthetic: SimpleNamespace
) -> None:
    other = synthetic.tiny_run(tmp_path / "lees", "tiny-paper")
    said = run(net, other, "--data", masked_build, "--to", tmp_path / "report", "--json")
    rows = json.loads(said.stdout)["tables"]["all people"]
    assert [row["name"] for row in rows][1:3] == ["net", "lees"]


def test_an_evaluation_repeats_to_the_byte(masked_build: Path, net: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert run(net, "--data", masked_build, "--to", tmp_path / name).exit_code == 0
    for file in FILES:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


def test_faults_are_found_before_any_work(
    masked_build: Path, net: Path, tmp_path: Path, synthetic: SimpleNamespace
) -> None:
    large = synthetic.tiny_run(tmp_path / "large", "tiny-paper", 48)
    report = tmp_path / "report"
    for words, error in (
        ((net, "--data", tmp_path), "StorageError"),
        ((net, "--data", masked_build, "--split", "val"), "FaceloomError"),
        ((tmp_path, "--data", masked_build), "CheckpointError"),
        ((net, large, "--data", masked_build), "CheckpointError"),
        ((net, "--data", masked_build, "--device", "abacus"), "TrainingError"),
    ):
        said = run(*words, "--to", report, "--json")
        assert said.exit_code == 2, said.output
        fault = json.loads(said.stdout)
        assert fault["error"] == error and fault["what"] and fault["remedy"]
        assert "Traceback" not in said.stderr and said.stderr.startswith("Error: ")
    assert not report.exists()


def test_a_report_that_cannot_be_written_is_a_failure(
    masked_build: Path, net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise StorageError("disk full", where="sheet.png", remedy="Free some space")

    monkeypatch.setattr(evaluation_report, "write_report", full)
    said = run(net, "--data", masked_build, "--to", tmp_path / "report")
    assert said.exit_code == 1 and said.stderr.endswith("Error: sheet.png: disk full. Free some space\n")


def test_a_folder_with_anything_but_a_report_is_refused_before_any_work(
    masked_build: Path, net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "run_evaluation", None)  # would fail, in another way
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "metrics.json").write_text('{"loss": 0.1}')
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for to, said in (
        (tmp_path / "thesis", "no report of faceloom (got metrics.json). Choose a new or an empty folder"),
        (net, "no report of faceloom"),
        (masked_build, "the target lies in the output folder of the build"),
        (tmp_path / "thesis" / "metrics.json", "a file exists where a folder is needed"),
    ):
        done = run(net, "--data", masked_build, "--to", to, "--json")
        assert done.exit_code == 2 and said in done.stderr, done.output
        assert json.loads(done.stdout)["remedy"]
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_what_is_named_evaluate_starts_without_slow_packages() -> None:
    import subprocess
    import sys

    code = (
        "import sys, faceloom.pipelines.cli.evaluate_command; print([n for n in ('torch', 'cv2') if n in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
