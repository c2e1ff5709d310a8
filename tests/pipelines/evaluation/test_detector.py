"""Detectors are measured on masked and bare faces, beside the same map on every face."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("webdataset")

from faceloom.models.detector.predict import MaskDetector
from faceloom.pipelines.evaluation.detector import ALIKE, relative_area, shown
from faceloom.pipelines.evaluation.job_evaluations import run_job_evaluation
from faceloom.pipelines.evaluation.job_task import prepare_job
from faceloom.pipelines.run.watcher import Watcher


def test_detectors_are_measured_beside_a_map_that_is_always_the_same(
    pairs_build: Path, tmp_path: Path, write_detector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_detector(tmp_path / "det")
    batches: list[int] = []

    def blindly(self: MaskDetector, faces: Any) -> Any:
        batches.append(len(faces))
        return np.zeros(faces.shape[:3], bool)

    monkeypatch.setattr(MaskDetector, "find", blindly)
    task = prepare_job("detector", [run], str(pairs_build), "test", device="cpu")
    evaluation = run_job_evaluation(task, Watcher())
    blind, alike = evaluation.tables["all people"]
    assert batches == [blind.samples] * 2  # all masked faces, then all bare ones
    assert (blind.name, alike.name) == ("det", ALIKE)
    assert blind.figures["iou"].value == blind.figures["bare"].value == blind.figures["area"].value == 0
    assert (alike.figures["iou"].value or 0) > 0 and alike.figures["bare"].value == pytest.approx(0.375)
    assert evaluation.sheet is not None and evaluation.sheet.shape[2] == 3


def test_the_area_of_an_empty_map_is_unknown() -> None:
    empty, half = np.zeros((2, 2), bool), np.eye(2, dtype=bool)
    assert np.isnan(relative_area(half, empty)) and relative_area(~empty, half) == 2


def test_a_region_is_tinted_and_the_rest_stays() -> None:
    picture = np.full((2, 2, 3), 100, np.uint8)
    tinted = shown(picture, np.array([[True, False], [False, False]]))
    assert tinted[0, 0].tolist() == [177, 50, 50] and (tinted[1] == 100).all()
