"""The sixteen models: checked before any work, and finished ones are not trained again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("webdataset")
pytest.importorskip("safetensors")

from faceloom.models.checkpoint import read_card
from faceloom.models.curve import CURVE
from faceloom.pipelines.evaluation.msagan_grid import Grid, check_grid, train_grid
from faceloom.pipelines.training import run_folder
from faceloom.schemas.errors import CheckpointError, TrainingError
from tests.conftest import write_run
from tests.pipelines.evaluation.test_classifier import ALIGN


@pytest.fixture
def judge(tmp_path: Path) -> Path:
    return write_run(tmp_path / "cls", "tiny", job="classifier", align=ALIGN)


def grid_of(build: Path, judge: Path, folder: Path, epochs: int = 1) -> Grid:
    return check_grid(str(folder), str(build), judge, preset="tiny", epochs=epochs, device="cpu")


def test_a_grid_resumes(guided_build: Path, judge: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_folder, "draw_curve", lambda folder, *rest: (folder / CURVE).touch())
    grid = grid_of(guided_build, judge, tmp_path / "grid")
    assert len(grid.runs) == 16 and len({run.request.preset for run in grid.runs.values()}) == 16
    few = Grid(grid.folder, dict(list(grid.runs.items())[:2]))
    seen: list[tuple[str, int]] = []
    train_grid(few, lambda name, number: seen.append((name, number)))
    assert seen == [("E1D1-none", 1), ("E1D1-mae", 2)]
    first, second = few.folders
    before = (first / "best.safetensors").stat().st_mtime_ns
    shutil.rmtree(second)
    train_grid(Grid(grid.folder, dict(list(grid_of(guided_build, judge, tmp_path / "grid").runs.items())[:2])))
    assert (first / "best.safetensors").stat().st_mtime_ns == before
    card = read_card(second, "msagan")
    assert card.finished and card.hyper_parameters["mask_loss"] == "mae"


def test_faults_are_found_before_any_training(guided_build: Path, judge: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        grid_of(guided_build, tmp_path / "none", tmp_path / "grid")
    write_run(tmp_path / "grid" / "E2D2-sde", "tiny", job="msagan", align=ALIGN)
    with pytest.raises(TrainingError, match=r"a run with other settings.*structure E1D1, now E2D2"):
        grid_of(guided_build, judge, tmp_path / "grid")
    assert [path.name for path in (tmp_path / "grid").iterdir()] == ["E2D2-sde"]
