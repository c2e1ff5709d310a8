"""Editors of an attribute, judged by a classifier."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("webdataset")
pytest.importorskip("safetensors")
pytest.importorskip("skimage")

import torch

from faceloom.pipelines.evaluation import msagan
from faceloom.pipelines.evaluation.classifier import Attributed, attributed
from faceloom.pipelines.evaluation.job_report import job_markdown
from faceloom.pipelines.evaluation.job_task import JobTask, prepare_job
from faceloom.pipelines.evaluation.msagan import MEAN, UNCHANGED, MeanFaces, check_editors, evaluate_editors
from faceloom.pipelines.run.watcher import Watcher
from faceloom.schemas.errors import CheckpointError
from tests.conftest import write_run
from tests.pipelines.evaluation.test_classifier import ALIGN


def prepared(build: Path, folder: Path, *names: str, attribute: str = "Mouth_Slightly_Open") -> JobTask:
    """A task of untrained editors, and an untrained classifier of an attribute."""
    judge = write_run(folder / "cls", "tiny", job="classifier", align=ALIGN, attribute=attribute)
    runs = [write_run(folder / name, "tiny", job="msagan", align=ALIGN, seed=len(name)) for name in names]
    return prepare_job("msagan", runs, str(build), "test", device="cpu", files={"classifier": judge})


def test_editors_stand_beside_the_unchanged_face(guided_build: Path, tmp_path: Path) -> None:
    task = prepared(guided_build, tmp_path, "one", "other")
    check_editors(task)
    evaluation = evaluate_editors(task, Watcher())
    rows = {row.name: row.figures for row in evaluation.tables["all people"]}
    assert list(rows) == ["one", "other", MEAN, UNCHANGED]
    assert rows[UNCHANGED]["ssim"].value == 1 and rows[UNCHANGED]["changed"].value == 0
    assert rows[UNCHANGED]["attention"].value is None and 0 < rows["one"]["attention"].value < 1  # type: ignore[operator]
    assert rows[MEAN]["changed"].value > 0  # type: ignore[operator]
    right = 1 - rows[UNCHANGED]["accuracy"].value  # type: ignore[operator]
    assert f"right on {right:.1%} of the unchanged faces; trained on another build" in evaluation.notes["classifier"]
    assert evaluation.sheet is not None and "| one |" in job_markdown(evaluation)


def test_a_network_that_returns_the_face_is_reported(
    guided_build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = prepared(guided_build, tmp_path, "one")

    def identity(picture: torch.Tensor, wanted: torch.Tensor) -> Any:
        return SimpleNamespace(picture=picture, attention=torch.zeros_like(picture[:, :1]))

    runs = [SimpleNamespace(name="one", network={"generator": identity})]
    monkeypatch.setattr(msagan, "open_runs", lambda task: runs)
    notes = evaluate_editors(task, Watcher()).notes
    assert "mean b 0.0000" in notes["collapsed: one"] and f"collapsed: {UNCHANGED}" not in notes


def test_a_classifier_of_something_else_is_refused(guided_build: Path, tmp_path: Path) -> None:
    task = prepared(guided_build, tmp_path, "one", attribute="mouth_open")
    with pytest.raises(CheckpointError, match=r"another attribute than `Mouth_Slightly_Open` \(got mouth_open\)"):
        check_editors(task)
    check_editors(prepared(guided_build, tmp_path / "none"))  # no runs yet, as before a grid
    task = prepare_job("msagan", [], str(guided_build), "test", files={"classifier": tmp_path / "one"})
    with pytest.raises(CheckpointError, match="the network is no classifier"):
        check_editors(task)


def test_the_mean_face_of_the_other_value_fills_the_guide(guided_build: Path, tmp_path: Path) -> None:
    means = MeanFaces(prepared(guided_build, tmp_path), "Mouth_Slightly_Open")
    means.means = {True: np.full((16, 16, 3), 200.0), False: np.full((16, 16, 3), 20.0)}
    guides = np.zeros((2, 16, 16), np.float32)
    guides[:, 8:] = 1
    batch = Attributed(["a", "b"], np.full((2, 16, 16, 3), 100, np.uint8), np.array([True, False]), guides)
    made, _ = means(batch)
    assert [int(one[12, 0, 0]) for one in made] == [20, 200] and all((one[:8] == 100).all() for one in made)


@pytest.mark.parametrize("value", [True, None])
def test_there_is_no_mean_face_unless_train_has_both_values(
    value: bool | None, guided_build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def some(task: JobTask, split: str, attribute: str) -> Iterator[Attributed]:
        for keys, faces, has, guides in attributed(task, split, attribute):
            kept = has == value if split == "train" else np.ones(len(has), bool)
            if kept.any():
                assert guides is not None
                yield Attributed([*np.array(keys)[kept]], faces[kept], has[kept], guides[kept])

    monkeypatch.setattr(msagan, "attributed", some)
    evaluation = evaluate_editors(prepared(guided_build, tmp_path, "one"), Watcher())
    assert [row.name for row in evaluation.tables["all people"]] == ["one", UNCHANGED]
