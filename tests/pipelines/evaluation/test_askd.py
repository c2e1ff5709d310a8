"""Recognisers at low resolution, from a build to a report: with a teacher, without one, and refused builds."""

from __future__ import annotations

import json
import shutil
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
from faceloom.pipelines.evaluation import askd as module
from faceloom.pipelines.evaluation.askd import (
    PIXELS,
    alike_pairs,
    check_askd,
    describer,
    evaluate_askd,
    pixels,
    ranks_in_gallery,
    smaller,
    unit,
)
from faceloom.pipelines.evaluation.job_report import job_facts, job_markdown, write_job_report
from faceloom.pipelines.evaluation.job_task import open_runs, prepare_job
from faceloom.pipelines.evaluation.recognition import draw_pairs, gallery_of, ranks_of
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.training.api import train
from faceloom.schemas.errors import FaceloomError, TrainingError
from faceloom.schemas.recipe import parse_recipe
from tests.pipelines.conftest import encoded


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
    assert job_facts(evaluation)["protocol"].startswith("held-out people: ")
    other = replace(task, runs=tuple(replace(run, own_build=False) for run in task.runs[1:]))
    elsewhere = evaluate_askd(other, Watcher())
    assert "train" not in elsewhere.notes["people"]
    assert job_facts(elsewhere)["protocol"].startswith("another build: whether its people are held out is unknown")
    write_job_report(evaluation, str(tmp_path))
    plain = json.loads((tmp_path / "metrics.json").read_text())
    assert [one["epochs"] for one in plain["networks"]] == [2, 1] and "| taught |" in job_markdown(evaluation)


def test_small_faces_cannot_be_missing(synthetic: SimpleNamespace, masked_build: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="have no `lr_upsampled`"):
        train("askd", data=masked_build, to=tmp_path / "run", preset="tiny-askd")


def lay_tinyface(root: Path, build: Path) -> Path:
    """Two people with a probe and a match each, and two distractors; probes are small copies of their matches."""
    chance = np.random.default_rng(0)
    for name in ("Probe/1_a.jpg", "Probe/2_a.jpg", "Gallery_Match/1_b.jpg", "Gallery_Match/2_b.jpg",
                 "Gallery_Distractor/-100_1.jpg", "Gallery_Distractor/-100_2.jpg"):  # fmt: skip
        file = root / "Testing_Set" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encoded(chance.integers(0, 256, (20, 16, 3), np.uint8), ".jpg"))
    (root / "Training_Set" / "1").mkdir(parents=True)
    for person in (1, 2):
        match = root / "Testing_Set" / "Gallery_Match" / f"{person}_b.jpg"
        (root / "Testing_Set" / "Probe" / f"{person}_a.jpg").write_bytes(match.read_bytes())
    return root


def test_tinyface_is_a_table_of_its_own(build: Path, runs: list[Path], tmp_path: Path) -> None:
    files = {"tinyface": lay_tinyface(tmp_path, build)}
    task = prepare_job("askd", runs[1:], str(build), "test", device="cpu", files=files)
    check_askd(task)
    evaluation = evaluate_askd(task, Watcher())
    rows = evaluation.tables["TinyFace"]
    assert [row.name for row in rows] == ["plain", PIXELS]
    assert all(set(row.figures) == {"rank1", "rank5", "rank20"} and row.samples == 2 for row in rows)
    assert rows[1].figures["rank1"].value == 1, "each probe is its match"
    assert evaluation.notes["TinyFace"] == "2 probes, 2 matches and 2 distractors"
    (tmp_path / "Testing_Set" / "Probe" / "2_a.jpg").write_bytes(b"no picture")
    (tmp_path / "Testing_Set" / "Gallery_Match" / "notes.txt").write_bytes(b"no picture")
    again = evaluate_askd(task, Watcher())
    assert again.tables["TinyFace"][0].samples == 1
    assert again.notes["TinyFace"].startswith("1 probe, 2 matches and 2 distractors; left out 2 files, such as ")
    assert "Gallery_Match/notes.txt: " in again.notes["TinyFace"] and "Probe/2_a.jpg: " in again.notes["TinyFace"]
    shutil.rmtree(tmp_path / "Testing_Set" / "Probe")
    with pytest.raises(FaceloomError, match="Probe has no pictures"):
        check_askd(task)


def test_a_teacher_is_taken_in_place_of_training_one(build: Path, runs: list[Path], tmp_path: Path) -> None:
    """Its weights stay, all epochs are the student's, and the run holds it for the next one."""
    usual: dict[str, Any] = {"data": build, "preset": "tiny-askd", "device": "cpu", "batch": 12, "epochs": 2}
    own = {"teacher_epochs": 1}
    report = train("askd", to=tmp_path / "run", options=own, files={"teacher": runs[0]}, **usual)
    assert report.card.epochs_done == 1 and set(report.card.uses) == {"teacher"}
    before, after = (weights_of(run) for run in (runs[0], tmp_path / "run"))
    assert all(np.array_equal(before[name], after[name]) for name in before if name.startswith("teacher."))
    again = train("askd", to=tmp_path / "next", options=own, files={"teacher": tmp_path / "run"}, **usual)
    assert weights_of(tmp_path / "next").keys() == after.keys() and again.card.epochs_done == 1


@pytest.mark.parametrize(
    ("changes", "files", "message"),
    [
        ({}, {"teacher": 1}, "the run has no teacher"),
        ({"options": {"distill": False}}, {"teacher": 0}, "--teacher and --no-distill exclude each other"),
        ({"preset": "small"}, {"teacher": 0}, r"another structure than the student: depths \[1, 1\]"),
        ({"options": {"teacher_epochs": 2}}, {"teacher": 0}, "no epoch is left for the student"),
        ({"options": {"teacher_epochs": 0}}, {}, "the teacher has no epochs"),
        ({"parent": 0}, {"teacher": 0}, "hold a teacher already"),
        (
            {"parent": 0, "options": {"distill": False}, "epochs": 4},
            {},
            r"`distill: False`.* \(got True\)\. Use --distill, or",
        ),
        ({"parent": 1}, {}, r"`distill: True`, so it has other layers \(got False\)\. Use --no-distill, or"),
    ],
)
def test_teachers_that_do_not_fit_are_refused_before_any_work(
    build: Path, runs: list[Path], tmp_path: Path, changes: dict[str, Any], files: dict[str, int], message: str
) -> None:
    plain: dict[str, Any] = {"preset": "tiny-askd", "epochs": 2, "options": {"teacher_epochs": 1}, **changes}
    if "parent" in plain:
        plain["parent"] = runs[plain["parent"]]
    with pytest.raises(FaceloomError, match=message):
        train("askd", data=build, to=tmp_path / "run", files={name: runs[run] for name, run in files.items()},
              device="cpu", **plain)  # fmt: skip
    assert not (tmp_path / "run").exists()


def weights_of(run: Path) -> dict[str, Any]:
    from faceloom.models.checkpoint import read_card, read_network

    return {name: part.numpy() for name, part in read_network(run, read_card(run)).items()}


def test_pixels_are_compared_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same figures for any block, and never more vectors at a time than that."""
    chance, people = np.random.default_rng(0), [f"{number % 5}" for number in range(20)]
    rows = unit(chance.normal(size=(20, 6)))
    asked: list[int] = []

    def vectors(numbers: Any) -> Any:
        asked.append(len(numbers))
        return rows[numbers], rows[numbers]

    pairs, (gallery, probes) = draw_pairs(people), gallery_of(people)
    found = []
    for block in (3, 256):
        asked.clear()
        monkeypatch.setattr(module, "BLOCK", block)
        found.append((alike_pairs(vectors, pairs), ranks_in_gallery(vectors, people, gallery, probes)))
        assert max(asked) <= block
    assert np.allclose(found[0][0], (rows[pairs.first] * rows[pairs.second]).sum(1))
    assert np.allclose(found[0][0], found[1][0])
    wanted = ranks_of(rows[probes] @ rows[gallery].T, [people[one] for one in probes], [people[one] for one in gallery])
    assert found[0][1].tolist() == found[1][1].tolist() == wanted.tolist()


def test_a_split_without_pairs_is_refused_before_any_work(build: Path, runs: list[Path]) -> None:
    task = prepare_job("askd", runs, str(build), "test", device="cpu")
    check_askd(task)
    single = {key: frozenset({key}) for key in task.people}
    with pytest.raises(FaceloomError, match="too few pairs"):
        check_askd(replace(task, people=single))


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
    assert small.upsampled is not None and small.upsampled.max() == 0 and small.native.max() == 0
    assert small.native.shape == (56, 56, 3) and smaller(face, 112).upsampled is face


def test_pixels_do_not_depend_on_light() -> None:
    face = np.random.default_rng(0).integers(0, 100, (4, 4, 3)).astype(np.uint8)
    rows = pixels([face, face + 50, np.full_like(face, 7)])
    assert np.allclose(rows[0], rows[1]) and (rows[2] == 0).all()
    assert unit(np.array([[3.0, 4.0]])).tolist() == [[0.6, 0.8]]
