"""Completed faces beside the mean one, from a build to a report."""

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

from faceloom.models.checkpoint import read_card
from faceloom.pipelines.build import prepare, run_build
from faceloom.pipelines.evaluation.antimask import (
    BLACK,
    MEAN,
    MEAN_FACE,
    baselines,
    check_network,
    completed,
    cosine,
    evaluate_antimask,
    extractor_of,
    mean_of,
)
from faceloom.pipelines.evaluation.job_report import job_markdown, write_job_report
from faceloom.pipelines.evaluation.job_task import open_runs, prepare_job
from faceloom.pipelines.evaluation.sheet import GAP
from faceloom.pipelines.read.split_reader import open_split
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.training.api import train
from faceloom.schemas.errors import FaceloomError, TrainingError
from faceloom.schemas.recipe import parse_recipe


@pytest.fixture(scope="module")
def build(synthetic: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight faces with the features of dlib's network."""
    root = tmp_path_factory.mktemp("antimask")
    table = synthetic.lay_photos(root / "photos", range(8), people=4)
    recipe = {
        "name": "halves", "sources": [{"path": str(table)}], "faces": {"min_size": 0},
        "align": {"mode": "face_box", "size": 224}, "split": {"by": "identity", "shares": {"train": 0.5, "test": 0.5}},
        "output": {"image": "png", "halves": {"split_row": 96}, "features": {"model": "dlib"}},
    }  # fmt: skip
    run_build(prepare(parse_recipe(recipe), str(root / "out")), workers=1, resume=True, watcher=Watcher())
    return root / "out"


@pytest.fixture(scope="module")
def run(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny decoder and encoder."""
    return trained(build, tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture(scope="module")
def full(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny decoder of full faces and its encoder."""
    return trained(build, tmp_path_factory.mktemp("runs") / "redraw", paint="full")


def trained(build: Path, folder: Path, *, parent: Path | None = None, **options: Any) -> Path:
    train("antimask", data=build, to=folder, preset="tiny-antimask", epochs=2, device="cpu", parent=parent,
          options={"decoder_epochs": 1, **options})  # fmt: skip
    return folder


def test_an_evaluation_compares_completions_with_the_mean_face(build: Path, run: Path, tmp_path: Path) -> None:
    task = prepare_job("antimask", [run], str(build), "test", device="cpu")
    check_network(task)
    evaluation = evaluate_antimask(task, Watcher())
    rows = {row.name: row.figures for row in evaluation.tables["all people"]}
    assert list(rows) == ["tiny", "tiny, true features", MEAN, BLACK]
    ends: Any = {name: (figures["cosine"].value, figures["l1"].value) for name, figures in rows.items()}
    assert all(-1 <= one <= 1 and other > 0 for one, other in ends.values())
    assert ends[MEAN][1] < ends[BLACK][1]
    write_job_report(evaluation, str(tmp_path))
    assert json.loads((tmp_path / "metrics.json").read_text())["job"] == "antimask"
    assert f"| {MEAN} |" in job_markdown(evaluation) and (tmp_path / "sheet.png").exists()


def test_completed_and_redrawn_faces_are_in_one_table(build: Path, run: Path, full: Path) -> None:
    task = prepare_job("antimask", [run, full], str(build), "test", device="cpu")
    evaluation = evaluate_antimask(task, Watcher())
    rows: Any = {row.name: row.figures for row in evaluation.tables["all people"]}
    redrawn = ["redraw, full face", "redraw, full face, true features"]
    assert list(rows) == ["tiny", "tiny, true features", *redrawn, MEAN, BLACK, MEAN_FACE]
    # The mean face has a mean upper part too, and the same lower one.
    assert rows[MEAN_FACE]["cosine"].value < rows[MEAN]["cosine"].value
    assert rows[MEAN_FACE]["l1"].value == pytest.approx(rows[MEAN]["l1"].value, abs=0.5)
    columns = len(["face", "upper part", *rows.keys() - {BLACK}])
    assert np.asarray(evaluation.sheet).shape[1] == columns * (224 + GAP) - GAP
    assert [list(baselines(task, {paint})) for paint in ("lower", "full")] == [[MEAN, BLACK], [MEAN_FACE]]


def test_a_redrawn_face_is_the_picture_of_the_decoder(build: Path, run: Path, full: Path) -> None:
    import torch

    runs = open_runs(prepare_job("antimask", [run, full], str(build), "test", device="cpu"))
    sample = next(iter(open_split(build, "test", members=["upper", "lower", "features"])))
    [[face], _], [[redrawn], [true]] = (completed(one, [sample], "cpu").values() for one in runs)
    assert face.shape == redrawn.shape == (224, 224, 3)
    assert (face[:96] == sample["upper"]).all() and not (redrawn[:96] == sample["upper"]).all()
    with torch.inference_mode():
        painted = runs[1].network["decoder"](torch.from_numpy(sample["features"])[None]).picture[0]
    assert np.abs(true - 255 * painted.permute(1, 2, 0).numpy()).max() <= 0.5 + 1e-3


def test_a_run_of_the_other_kind_gives_no_starting_weights(build: Path, run: Path, full: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"`paint: full`, so it has other layers \(got lower\)\. Use --paint lower"):
        trained(build, tmp_path / "a", parent=run, paint="full")
    assert not (tmp_path / "a").exists()
    trained(build, tmp_path / "b", parent=full, paint="full")
    assert read_card(tmp_path / "b").hyper_parameters["paint"] == "full"


def test_the_features_of_the_build_are_those_of_its_faces(build: Path, run: Path) -> None:
    task = prepare_job("antimask", [run], str(build), "test", device="cpu")
    sample = next(iter(open_split(build, "test", members=["face", "landmarks", "features"])))
    [again] = extractor_of(task).extract([sample["face"]], [sample["landmarks"]])
    assert cosine(again, sample["features"]) == pytest.approx(1, abs=1e-5)
    card = task.runs[0].card
    other = card.model_copy(update={"hyper_parameters": {**card.hyper_parameters, "features": 7}})
    with pytest.raises(FaceloomError, match=r"features of another length \(got 7\)"):
        check_network(replace(task, runs=(replace(task.runs[0], card=other),)))


def test_the_mean_is_that_of_train(build: Path) -> None:
    lowers: Any = [sample["lower"] for sample in open_split(build, "train", members=["lower"])]
    assert np.abs(mean_of(str(build), "lower") - np.mean(lowers, axis=0)).max() <= 0.5


def test_a_vector_without_length_is_like_none() -> None:
    one = np.array([3, 4], np.float32)
    assert cosine(one, 2 * one) == pytest.approx(1) and cosine(one, np.zeros(2, np.float32)) == 0
