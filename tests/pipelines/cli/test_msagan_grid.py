"""`faceloom evaluate msagan --grid`: trains, then puts all models into one table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("webdataset")
pytest.importorskip("safetensors")

from faceloom.models.curve import CURVE
from faceloom.models.msagan import preset
from faceloom.pipelines.evaluation import msagan_grid
from faceloom.pipelines.training import run_folder
from tests.conftest import write_run
from tests.pipelines.cli.test_evaluate_runs import run
from tests.pipelines.evaluation.test_classifier import ALIGN


def test_a_grid_is_trained_and_compared(guided_build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(preset.MASK_LOSSES) * len(preset.STRUCTURES) == 16
    monkeypatch.setattr(msagan_grid, "STRUCTURES", ("E1D1",))
    monkeypatch.setattr(msagan_grid, "MASK_LOSSES", ("none", "sde"))
    monkeypatch.setattr(run_folder, "draw_curve", lambda folder, *rest: (folder / CURVE).touch())
    judge = write_run(tmp_path / "cls", "tiny", job="classifier", align=ALIGN)
    model = ("msagan", "--grid", tmp_path / "grid", "--preset", "tiny", "--epochs", 1, "--classifier", judge)
    words = (*model, "--data", guided_build, "--device", "cpu")
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "thesis.md").touch()
    assert run(*words, "--to", tmp_path / "report").exit_code == 2 and not (tmp_path / "grid").exists()
    done = run(*words, "--json")
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["tables"]["all people"]
    assert [row["name"] for row in rows][:2] == ["E1D1-none", "E1D1-sde"]
    assert {path.name for path in (tmp_path / "grid").iterdir()} == {"E1D1-none", "E1D1-sde", "evaluation"}
    assert [len(one["losses"]) for one in json.loads(done.stdout)["training"]] == [1, 1]
    assert (tmp_path / "grid" / "evaluation" / CURVE).stat().st_size > 5_000
    assert "train: E1D1-sde, 2 of 2" in done.stderr


def test_something_must_be_evaluated(guided_build: Path, tmp_path: Path) -> None:
    judge = write_run(tmp_path / "cls", "tiny", job="classifier", align=ALIGN)
    done = run("msagan", "--classifier", judge, "--data", guided_build)
    assert done.exit_code == 2 and "--grid" in done.stderr


def test_options_of_the_grid_need_the_grid(guided_build: Path, tmp_path: Path) -> None:
    judge = write_run(tmp_path / "cls", "tiny", job="classifier", align=ALIGN)
    words = ("msagan", tmp_path / "one", "--classifier", judge, "--data", guided_build)
    for option in (("--preset", "paper"), ("--epochs", 3), ("--seed", 0)):
        done = run(*words, *option)
        assert done.exit_code == 2 and f"{option[0]}: runs are not trained again" in " ".join(done.stderr.split())
