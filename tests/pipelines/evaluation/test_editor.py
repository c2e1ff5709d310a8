"""Mask editors beside inpainting and the mean face, from a run to a report."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("webdataset")
pytest.importorskip("safetensors")

from faceloom.pipelines.evaluation.editor import MeanFace, evaluate_editors, grown, inpaint, mean_face
from faceloom.pipelines.evaluation.job_report import job_markdown, write_job_report
from faceloom.pipelines.evaluation.job_task import open_runs, prepare_job
from faceloom.pipelines.evaluation.report import check_report
from faceloom.pipelines.read.split_reader import open_split
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.training.api import train
from faceloom.schemas.errors import CheckpointError, FaceloomError


@pytest.fixture(scope="module")
def run(masked_build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny editor after one epoch."""
    folder = tmp_path_factory.mktemp("editor") / "run"
    train("editor", data=masked_build, to=folder, preset="tiny-editor", epochs=1, device="cpu")
    return folder


def test_an_evaluation_compares_runs_with_the_baselines(masked_build: Path, run: Path, tmp_path: Path) -> None:
    task = prepare_job("editor", [run], str(masked_build), "test", device="cpu")
    check_report(str(tmp_path / "report"), task)
    evaluation = evaluate_editors(task, Watcher())
    rows = {row.name: row.figures for row in evaluation.tables["all people"]}
    assert list(rows) == ["run", "cv2.inpaint", "mean face", "masked photo"]
    assert all(set(figures) == {"l1", "psnr", "ssim"} for figures in rows.values())
    ends = {name: figures["l1"].value for name, figures in rows.items()}
    assert 0 < ends["mean face"] < ends["masked photo"]  # type: ignore[operator]
    write_job_report(evaluation, str(tmp_path / "report"))
    plain = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert plain["job"] == "editor" and plain["networks"][0]["preset"] == "tiny-editor"
    network = open_runs(task)[0].network["editor"]
    assert plain["networks"][0]["parameters"] == sum(one.numel() for one in network.parameters())
    assert "| cv2.inpaint |" in job_markdown(evaluation) and (tmp_path / "report" / "sheet.png").exists()
    check_report(str(tmp_path / "report"), task)  # a report may be replaced


def test_networks_paint_inside_the_map_alone(masked_build: Path, run: Path) -> None:
    from faceloom.pipelines.evaluation.editor import painter_of

    task = prepare_job("editor", [run], str(masked_build), "test", device="cpu")
    paint = painter_of(open_runs(task)[0], "cpu")
    sample = next(iter(open_split(str(masked_build), "test", members=["masked", "mask"])))
    mask = sample["mask"] >= 128
    made = paint(sample["masked"], mask)
    outside = ~grown(mask, 1)
    assert np.array_equal(made[outside], sample["masked"][outside]) and not np.array_equal(made, sample["masked"])


def test_a_run_of_another_job_is_refused(masked_build: Path, synthetic: SimpleNamespace, tmp_path: Path) -> None:
    other = synthetic.tiny_run(tmp_path / "net")
    with pytest.raises(CheckpointError, match="autoencoder"):
        prepare_job("editor", [other], str(masked_build), "test")


def test_a_build_without_masks_is_refused(masked_build: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from faceloom.pipelines.evaluation import job_task

    monkeypatch.setattr(job_task, "members_of", lambda settings: {"face"})
    with pytest.raises(FaceloomError, match=r"lack a member \(got masked\)"):
        prepare_job("editor", [run], str(masked_build), "test")


def test_baselines_change_the_map_alone() -> None:
    masked = np.full((24, 24, 3), 100, np.uint8)
    mask = np.zeros((24, 24), bool)
    mask[8:16, 8:16] = True
    masked[mask] = (0, 0, 255)
    assert np.abs(inpaint(masked, mask).astype(int) - 100).max() <= 3
    mean = MeanFace(np.full((24, 24, 3), 7, np.uint8))(masked, mask)
    assert (mean[grown(mask, 1)] == 7).all() and (mean[~grown(mask, 1)] == 100).all()


def test_the_mean_face_is_that_of_train(masked_build: Path) -> None:
    faces: Any = [sample["face"] for sample in open_split(str(masked_build), "train", members=["face"])]
    assert np.abs(mean_face(str(masked_build)) - np.mean(faces, axis=0)).max() <= 0.5
