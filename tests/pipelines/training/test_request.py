"""Requests: what is wrong with one is refused by name, before any work and before anything is written."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("webdataset")
pytest.importorskip("safetensors")
pytest.importorskip("matplotlib")

from faceloom.models.checkpoint import BEST, read_card, write_card  # noqa: E402
from faceloom.models.presets import PRESETS  # noqa: E402
from faceloom.pipelines.training.request import change_preset, check_request  # noqa: E402
from faceloom.schemas.errors import CheckpointError, FaceloomError, StorageError, TrainingError  # noqa: E402
from faceloom.schemas.recipe import Align  # noqa: E402
from tests.pipelines.training.runs import TINY, request, run  # noqa: E402


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 3}, "seed 0, now 3"),
        ({"preset": dataclasses.replace(TINY, batch=3)}, "batch 4, now 3"),
        ({"preset": dataclasses.replace(TINY, schedule="cosine")}, "schedule constant, now cosine"),
        ({"preset": PRESETS["tiny-paper"]}, r"got preset tiny-compact, now tiny-paper\)"),
    ],
)
def test_other_settings_are_refused_by_name(
    whole: Path, pairs_build: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        check_request(request(pairs_build, whole, **changes))


def test_a_file_that_is_no_longer_given_is_noticed(whole: Path, pairs_build: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, folder := tmp_path / "run")
    write_card(folder, read_card(folder).model_copy(update={"uses": {"teacher": "0" * 64}}))
    with pytest.raises(TrainingError, match=rf"teacher {'0' * 64}, now None"):
        check_request(request(pairs_build, folder))


def test_files_that_the_job_does_not_know_are_refused(pairs_build: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"takes no such file \(got teacher\)\. Allowed: none"):
        check_request(request(pairs_build, tmp_path / "run", files={"teacher": tmp_path}))


def test_epochs_must_not_change_where_the_learning_rate_depends_on_them(
    whole: Path, pairs_build: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    card = read_card(folder)
    write_card(folder, card.model_copy(update={"hyper_parameters": {**card.hyper_parameters, "schedule": "cosine"}}))
    with pytest.raises(TrainingError, match="epochs 4, now 9"):
        check_request(request(pairs_build, folder, preset=dataclasses.replace(TINY, schedule="cosine", epochs=9)))


def test_a_finished_run_takes_no_more_epochs(whole: Path, pairs_build: Path) -> None:
    more = dataclasses.replace(TINY, epochs=6)
    with pytest.raises(TrainingError, match=r"finished, after fewer epochs \(got 4\).*--from"):
        check_request(request(pairs_build, whole, preset=more))


def test_a_parent_that_does_not_fit_is_refused(whole: Path, pairs_build: Path, tmp_path: Path) -> None:
    def ask(to: Path = tmp_path / "x", **changes: Any) -> None:
        check_request(request(pairs_build, to, **changes))

    with pytest.raises(TrainingError, match=r"preset `tiny-paper` \(got tiny-compact\)\. Use --preset tiny-compact"):
        ask(preset=PRESETS["tiny-paper"], parent=whole)
    with pytest.raises(CheckpointError, match="the folder does not exist"):
        ask(parent=tmp_path / "nowhere")
    with pytest.raises(TrainingError, match="cannot start from itself"):
        ask(to=whole, parent=whole)
    other = tmp_path / "other"
    run(pairs_build, other)
    card = read_card(other)
    values, data = {**card.hyper_parameters, "size": 32}, card.data.model_copy(update={"align": Align(size=32)})
    write_card(other, card.model_copy(update={"size": 32, "hyper_parameters": values, "data": data}))
    with pytest.raises(TrainingError, match="takes crops of 32 pixels"):
        ask(parent=other)
    (other / BEST).write_bytes(b"")
    write_card(other, card)
    with pytest.raises(CheckpointError, match="is damaged"):
        ask(parent=other)


def test_a_folder_with_other_files_is_refused(pairs_build: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(TrainingError, match=r"files that no training run writes \(got thesis.tex\)"):
        check_request(request(pairs_build, tmp_path))
    with pytest.raises(StorageError, match="a file exists where a folder is needed"):
        check_request(request(pairs_build, tmp_path / "thesis.tex"))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("folder", ["run", "work/run"])
def test_a_run_in_the_output_folder_of_the_build_is_refused(pairs_build: Path, folder: str) -> None:
    with pytest.raises(StorageError, match="lies in the output folder"):
        check_request(request(pairs_build, pairs_build / folder))
    assert not (pairs_build / folder).exists()


def test_a_run_with_a_report_of_an_evaluation_can_be_resumed(pairs_build: Path, tmp_path: Path) -> None:
    report = tmp_path / "evaluation" / "metrics.md"
    report.parent.mkdir()
    report.write_text("kept")
    check_request(request(pairs_build, tmp_path))
    assert report.read_text() == "kept"


def test_absent_cuda_is_refused_before_the_data_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match="CUDA is not available"):
        check_request(request(tmp_path / "nothing", tmp_path / "run", device="cuda"))
    assert not (tmp_path / "run").exists()


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FaceloomError, match=r"got torch.*pip install 'faceloom\[torch\]'"):
        check_request(request(tmp_path, tmp_path / "run"))


def test_only_the_values_that_are_given_change_a_preset() -> None:
    assert change_preset("compact") == PRESETS["compact"]
    changed = change_preset("paper", epochs=2, learning_rate=0.5)
    assert changed == dataclasses.replace(PRESETS["paper"], epochs=2, learning_rate=0.5)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("large", {}, r"preset: unknown preset \(got large\). Allowed: paper, compact"),
        ("compact", {"epochs": 0}, r"epochs: must be at least 1 \(got 0\)"),
        ("compact", {"batch": -1}, "batch: must be at least 1"),
        ("compact", {"save_every": 0}, "save_every: must be at least 1"),
        ("compact", {"learning_rate": 0.0}, "learning_rate: the learning rate must be greater than 0"),
        ("compact", {"learning_rate": float("nan")}, "learning rate must be greater than 0"),
        ("compact", {"learning_rate": float("inf")}, "learning rate must be greater than 0"),
    ],
)
def test_values_out_of_range_are_refused(name: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        change_preset(name, **values)


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    """Reading it would wait forever."""
    from faceloom.pipelines.training.request import _digest

    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TrainingError, match=r"--features .*pipe: the file cannot be read"):
        _digest("features", tmp_path / "pipe")
