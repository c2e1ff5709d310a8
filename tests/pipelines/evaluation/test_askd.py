"""Recognisers at low resolution, from a build to a report: with a teacher, without one, and refused builds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("webdataset")
pytest.importorskip("safetensors")

from faceloom.pipelines.build import prepare, run_build
from faceloom.pipelines.evaluation.askd import PIXELS, check_people, describer, evaluate_askd, pixels, smaller, unit
from faceloom.pipelines.evaluation.job_report import job_markdown, write_job_report
from faceloom.pipelines.evaluation.job_task import open_runs, prepare_job
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.training.api import train
from faceloom.schemas.errors import FaceloomError, TrainingError
from faceloom.schemas.recipe import parse_recipe


@pytest.fixture(scope="module")
def build(synthetic: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faces of eight people, three each; half of the people are in train."""
    root = tmp_path_factory.mktemp("askd")
    table = synthetic.lay_photos(root / "photos", range(24), people=8)
    recipe = {
        "name": "pairs", "sources": [{"path": str(table)}], "faces": {"min_size": 0},
        "align": {"mode": "arcface", "size": 112}, "lowres": {"mode": "askd", "upsampled": True, "native": False},
        "split": {"by": "identity", "shares": {"train": 0.5, "test": 0.5}}, "output": {"image": "png"},
    }  # fmt: skip
    run_build(prepare(parse_recipe(recipe), str(root / "out")), workers=1, resume=True, watcher=Watcher())
    return root / "out"


@pytest.fixture(scope="module")
def runs(build: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A tiny student of a teacher, and one without."""
    root = tmp_path_factory.mktemp("runs")
    usual: dict[str, Any] = {"data": build, "preset": "tiny-askd", "device": "cpu", "batch": 12}
    own = {"teacher_epochs": 1}
    train("askd", to=root / "taught", epochs=2, options=own, **usual)
    train("askd", to=root / "plain", epochs=2, options={**own, "distill": False, "small": "askd"}, **usual)
    return [root / "taught", root / "plain"]


def test_an_evaluation_compares_students_teachers_and_pixels(build: Path, runs: list[Path], tmp_path: Path) -> None:
    task = prepare_job("askd", runs, str(build), "test", device="cpu")
    evaluation = evaluate_askd(task, Watcher())
    assert list(evaluation.tables) == ["14 pixels", "28 pixels", "56 pixels", "112 pixels"]
    for rows in evaluation.tables.values():
        assert [row.name for row in rows] == ["taught", "taught, teacher", "plain", PIXELS]
        for row in rows:
            assert set(row.figures) == {"accuracy", "rank1"}
            assert all(0 <= (one.value or 0) <= 1 for one in row.figures.values())
    assert "none of them in train" in evaluation.notes["people"]
    write_job_report(evaluation, str(tmp_path))
    plain = json.loads((tmp_path / "metrics.json").read_text())
    assert [one["epochs"] for one in plain["networks"]] == [2, 1] and "| taught |" in job_markdown(evaluation)


def test_small_faces_cannot_be_missing(synthetic: SimpleNamespace, masked_build: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="have no lr_upsampled"):
        train("askd", data=masked_build, to=tmp_path / "run", preset="tiny-askd")


def test_a_split_without_pairs_is_refused_before_any_work(build: Path, runs: list[Path]) -> None:
    task = prepare_job("askd", runs, str(build), "test", device="cpu")
    check_people(task)
    single = {key: frozenset({key}) for key in task.people}
    with pytest.raises(FaceloomError, match="too few pairs"):
        check_people(replace(task, people=single))


def test_a_network_describes_a_face_and_its_mirror_image_alike(build: Path, runs: list[Path]) -> None:
    network = open_runs(prepare_job("askd", runs[1:], str(build), "test", device="cpu"))[0].network["student"]
    face = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    joined, added = describer(network, "cpu")([face, face[:, ::-1].copy()])
    assert joined.shape[1] == 2 * added.shape[1] and np.allclose(added[0], added[1], atol=1e-6)
    assert np.allclose(np.linalg.norm(joined, axis=1), 1)


def test_a_small_face_loses_what_is_between_its_pixels() -> None:
    face = np.zeros((112, 112, 3), np.uint8)
    face[:, 1::2] = 255
    small = smaller(face, 56)
    assert small.enlarged.max() == 0 and small.bicubic.max() == 0
    assert smaller(face, 112).enlarged is face


def test_pixels_do_not_depend_on_light() -> None:
    face = np.random.default_rng(0).integers(0, 100, (4, 4, 3)).astype(np.uint8)
    rows = pixels([face, face + 50, np.full_like(face, 7)])
    assert np.allclose(rows[0], rows[1]) and (rows[2] == 0).all()
    assert unit(np.array([[3.0, 4.0]])).tolist() == [[0.6, 0.8]]
