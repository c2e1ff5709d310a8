"""Evaluation of a small build: every sample by every method, figures that repeat, and a sheet that shows them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from faceloom.models.metrics import score
from faceloom.pipelines.evaluation import evaluate as evaluation
from faceloom.pipelines.evaluation.evaluate import Evaluation, open_methods, run_evaluation
from faceloom.pipelines.evaluation.figures import Row
from faceloom.pipelines.evaluation.methods import Masked, Method, NoMask, Pair, Polygon, Target
from faceloom.pipelines.evaluation.report import as_json
from faceloom.pipelines.evaluation.sheet import CELL, GAP, HEAD
from faceloom.pipelines.evaluation.task import Task, prepare_evaluation
from faceloom.pipelines.read.split_reader import open_split
from faceloom.pipelines.run.watcher import Watcher
from faceloom.schemas.errors import StorageError

pytest.importorskip("torch")
pytest.importorskip("webdataset")
pytest.importorskip("safetensors")


@dataclass(frozen=True)
class Grey:
    """A method whose figures are known: grey where the truth is, which it peeps at."""

    name: str = "grey"
    skip: str = ""

    def mask(self, pairs: Sequence[Pair]) -> list[Masked | None]:
        grey = np.uint8(128)
        return [
            None if pair.key == self.skip else Masked(np.where(pair.truth[..., None], grey, pair.face), pair.truth)
            for pair in pairs
        ]


class Counting(Watcher):
    """Remembers all reports."""

    def __init__(self) -> None:
        self.reports_found: list[object] = []

    def stage(self, name: str, total: int | None, unit: str) -> None:
        self.reports_found.append((name, total, unit))

    def done(self, count: int) -> None:
        self.reports_found.append(count)


@pytest.fixture(scope="module")
def task(masked_build: Path, tmp_path_factory: pytest.TempPathFactory, synthetic: SimpleNamespace) -> Task:
    folder = tmp_path_factory.mktemp("runs")
    runs = [synthetic.tiny_run(folder / "ours"), synthetic.tiny_run(folder / "lees", "tiny-paper")]
    return prepare_evaluation(runs, str(masked_build), "test", device="cpu")


@pytest.fixture(scope="module")
def done(task: Task) -> Evaluation:
    return run_evaluation(task, open_methods(task), Watcher())


@pytest.fixture(scope="module")
def pairs(masked_build: Path) -> list[Pair]:
    return [Pair.from_sample(sample) for sample in open_split(masked_build, "test")]


def test_a_sample_of_another_size_is_named(task: Task) -> None:
    run = replace(task.runs[0], card=task.runs[0].card.model_copy(update={"size": 16}))
    with pytest.raises(StorageError, match=r"another size than 16x16"):
        run_evaluation(replace(task, runs=(run,)), [NoMask()], Watcher())


def rows(done: Evaluation, title: str = "all people") -> dict[str, Row]:
    return {row.name: row for row in done.tables[title]}


def value(row: Row, metric: str) -> float:
    found = row.figures[metric].value
    assert found is not None
    return found


def test_every_method_is_measured_on_every_sample(done: Evaluation, pairs: list[Pair]) -> None:
    assert list(rows(done)) == ["target", "ours", "lees", "black polygon", "another template", "no mask"]
    assert all(row.samples == len(pairs) and row.missing == 0 for row in rows(done).values())


def test_the_ends_of_the_table_are_where_they_must_be(done: Evaluation) -> None:
    best, bare = rows(done)["target"], rows(done)["no mask"]
    assert [value(best, name) for name in ("mse", "ssim", "iou", "sharpness")] == pytest.approx([0, 1, 1, 1])
    assert value(bare, "iou") == value(bare, "changed") == 0 and bare.figures["sharpness"].value is None
    assert value(bare, "psnr") < value(best, "psnr")


def test_masks_from_landmarks_lie_where_the_truth_does(done: Evaluation) -> None:
    for name in ("black polygon", "another template"):
        assert value(rows(done)[name], "iou") > 0.6
    # Solid colour has no detail. Whatever a template is like, it has some.
    assert value(rows(done)["black polygon"], "sharpness") == pytest.approx(0, abs=1e-3)
    assert value(rows(done)["another template"], "sharpness") > 0.05


def test_figures_are_those_of_the_samples(task: Task, pairs: list[Pair]) -> None:
    (row,) = run_evaluation(task, [Grey()], Watcher()).tables["all people"]
    scores = [
        score(pair.face, pair.target, pair.truth, np.where(pair.truth[..., None], np.uint8(128), pair.face), pair.truth)
        for pair in pairs
    ]
    assert value(row, "mse") == pytest.approx(np.mean([one.mse for one in scores]))
    assert value(row, "ssim") == pytest.approx(np.mean([one.ssim for one in scores]))
    assert value(row, "iou") == 1 and value(row, "changed") == 0


def test_a_mixed_split_is_divided_by_who_was_trained_on(done: Evaluation, task: Task, pairs: list[Pair]) -> None:
    assert list(done.tables) == ["all people"], "the networks are of another build"
    runs = (replace(task.runs[0], own_build=True), *task.runs[1:])
    tables = run_evaluation(replace(task, runs=runs), [NoMask()], Watcher()).tables
    everyone, known, new = (tables[title][0].samples for title in tables)
    assert list(tables)[1:] == ["people that are also in train", "held-out people"]
    assert known == sum(pair.key in task.known for pair in pairs) and known + new == everyone


def test_a_split_of_one_kind_of_people_has_one_table(
    masked_build: Path, tmp_path: Path, synthetic: SimpleNamespace
) -> None:
    task = prepare_evaluation([synthetic.tiny_run(tmp_path / "net")], str(masked_build), "train", device="cpu")
    assert list(run_evaluation(task, [NoMask()], Watcher()).tables) == ["all people"]


@pytest.mark.parametrize("batch", [1, 2, 1000])
def test_figures_do_not_depend_on_how_samples_are_grouped(
    task: Task, done: Evaluation, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "BATCH", batch)
    again = run_evaluation(task, open_methods(task), Watcher())
    assert json.dumps(as_json(again)) == json.dumps(as_json(done)) and np.array_equal(again.sheet, done.sheet)


def test_progress_is_told(task: Task, pairs: list[Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "BATCH", 4)
    watcher = Counting()
    run_evaluation(task, [NoMask()], watcher)
    assert watcher.reports_found[0] == ("evaluate", len(pairs), "samples")
    assert watcher.reports_found[1:] == [*range(4, len(pairs), 4), len(pairs)]


def test_the_sheet_shows_input_target_and_every_method(task: Task, pairs: list[Pair]) -> None:
    methods: list[Method] = [Target(), Grey(), Polygon(), NoMask()]
    sheet = run_evaluation(task, methods, Watcher()).sheet
    by_key = {pair.key: pair for pair in pairs}
    side, factor = CELL, CELL // 32
    assert sheet.shape[1] == 4 * (side + GAP) - GAP  # faces without a mask are the input already
    for number, key in enumerate(task.shown):
        top, pair = HEAD + number * (side + GAP), by_key[key]
        shown = [sheet[top : top + side : factor, at : at + side : factor] for at in range(0, 4 * side, side + GAP)]
        grey = np.where(pair.truth[..., None], np.uint8(128), pair.face)
        for picture, expected in zip(shown, (pair.face, pair.target, grey), strict=False):
            assert np.array_equal(picture, expected)


def test_methods_may_have_any_name(task: Task) -> None:
    done = run_evaluation(task, [Target(), Grey("target"), Grey("input")], Watcher())
    assert [row.name for row in done.tables["all people"]] == ["target", "target", "input"]


def test_a_sample_that_a_method_cannot_mask_is_counted_and_its_place_stays_empty(task: Task) -> None:
    done = run_evaluation(task, [Target(), Grey(skip=task.shown[0])], Watcher())
    row = done.tables["all people"][1]
    assert row.missing == 1 and row.samples == task.protocol.samples - 1
    left = 2 * (CELL + GAP)
    first, second = (done.sheet[HEAD + at : HEAD + at + CELL, left:] for at in (0, CELL + GAP))
    assert np.ptp(first) == 0 < np.ptp(second)


def test_weights_that_were_changed_are_noticed_before_they_are_used(
    masked_build: Path, tmp_path: Path, task: Task
) -> None:
    from faceloom.schemas.errors import CheckpointError

    shutil.copytree(task.runs[0].folder, tmp_path / "net")
    weights = tmp_path / "net" / "best.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    spoiled = prepare_evaluation([tmp_path / "net"], str(masked_build), "test", device="cpu")
    with pytest.raises(CheckpointError, match="sha256 differs"):
        open_methods(spoiled)
