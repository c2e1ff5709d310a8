"""Classifiers of an attribute beside the most frequent answer."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("webdataset")
pytest.importorskip("safetensors")

from faceloom.pipelines.evaluation import classifier as module
from faceloom.pipelines.evaluation.classifier import (
    FREQUENT,
    add_right,
    as_pictures,
    attributed,
    check_attributes,
    evaluate_classifiers,
    signed,
)
from faceloom.pipelines.evaluation.job_task import JobTask, prepare_job
from faceloom.pipelines.read.split_reader import open_split
from faceloom.pipelines.run.watcher import Watcher
from faceloom.schemas.errors import FaceloomError
from tests.conftest import write_run

ALIGN: dict[str, object] = {"mode": "eye_level", "size": 16}


@pytest.fixture
def task(guided_build: Path, tmp_path: Path) -> JobTask:
    run = write_run(tmp_path / "cls", "tiny", job="classifier", align=ALIGN)
    return prepare_job("classifier", [run], str(guided_build), "test", device="cpu")


def test_samples_that_do_not_state_the_attribute_are_left_out(task: JobTask) -> None:
    (batch,) = attributed(task, "test", "Mouth_Slightly_Open")
    assert len(batch.keys) == len(batch.has) == 9 and batch.faces.shape == (9, 16, 16, 3)
    assert batch.has.sum() == 6 and batch.guides is not None and batch.guides.max() == 1


def test_a_table_beside_the_most_frequent_answer(task: JobTask) -> None:
    evaluation = evaluate_classifiers(task, Watcher())
    rows = {row.name: row for row in evaluation.tables["all people"]}
    assert list(rows) == ["cls", FREQUENT] and rows["cls"].samples == 9
    figures = rows[FREQUENT].figures  # of the 13 samples of train, 6 are open
    assert figures["accuracy"].value == pytest.approx(3 / 9)
    assert (figures["with"].value, figures["without"].value) == (0, 1)
    assert evaluation.notes == {"attribute": "Mouth_Slightly_Open; 1 sample that does not state it is left out"}


def test_no_picture_is_decoded_to_count_answers(task: JobTask, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    opened = open_split

    def noted(*values: Any, members: Any) -> Any:
        asked.extend(members)
        return opened(*values, members=members)

    monkeypatch.setattr(module, "open_split", noted)
    assert module._most_frequent(task, "Mouth_Slightly_Open") is False  # 6 of 13
    assert asked == ["json"]


def test_answers_are_counted_by_value() -> None:
    values: dict[str, list[float]] = {"accuracy": [], "with": [], "without": []}
    add_right(values, [True, True], np.array([True, False]))
    assert values["accuracy"] == [1, 0] and values["with"][0] == 1 and math.isnan(values["with"][1])
    assert math.isnan(values["without"][0]) and values["without"][1] == 0


def test_runs_of_different_attributes_are_refused(task: JobTask, guided_build: Path, tmp_path: Path) -> None:
    check_attributes(task)
    other = write_run(tmp_path / "open", "tiny", job="classifier", align=ALIGN, attribute="mouth_open")
    both = prepare_job("classifier", [tmp_path / "cls", other], str(guided_build), "test", device="cpu")
    with pytest.raises(FaceloomError, match=r"different attributes.*mouth_open"):
        check_attributes(both)
    strange = write_run(tmp_path / "hat", "tiny", job="classifier", align=ALIGN, attribute="Wearing_Hat")
    with pytest.raises(FaceloomError, match=r"states the attribute \(got Wearing_Hat\)"):
        check_attributes(prepare_job("classifier", [strange], str(guided_build), "test", device="cpu"))


def test_pictures_survive_the_way_to_a_network_and_back() -> None:
    faces: Any = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 3), np.uint8)
    assert np.array_equal(np.stack(as_pictures(signed(faces, "cpu"))), faces)
