"""`evaluate`: plain arguments in, figures out, and a report only where one is requested."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from faceloom.pipelines.evaluation.api import evaluate
from faceloom.pipelines.evaluation.report import as_json
from faceloom.schemas.errors import FaceloomError

pytest.importorskip("torch")
pytest.importorskip("webdataset")
pytest.importorskip("safetensors")
pytest.importorskip("skimage")


@pytest.fixture
def net(tmp_path: Path, synthetic: SimpleNamespace) -> Path:
    path: Path = synthetic.tiny_run(tmp_path / "net")
    return path


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*")}


def test_figures_come_back_and_nothing_is_written(masked_build: Path, net: Path) -> None:
    before = files(net.parent)
    evaluation = evaluate(net, data=masked_build, device="cpu")
    names = [row.name for row in evaluation.tables["all people"]]
    assert names == ["target", "net", "black polygon", "another template", "no mask"]
    similarity = {row.name: row.figures["ssim"].value for row in evaluation.tables["all people"]}
    assert similarity["target"] == pytest.approx(1) and similarity["net"] is not None
    assert evaluation.sheet.ndim == 3 and files(net.parent) == before


def test_the_report_is_that_of_the_result(masked_build: Path, net: Path, tmp_path: Path) -> None:
    evaluation = evaluate([str(net)], data=str(masked_build), to=tmp_path / "report", device="cpu")
    assert files(tmp_path / "report") == {"metrics.json", "metrics.md", "sheet.png"}
    assert json.loads((tmp_path / "report" / "metrics.json").read_text()) == json.loads(json.dumps(as_json(evaluation)))


def test_several_networks_and_the_progress(
    masked_build: Path, net: Path, tmp_path: Path, synthetic: SimpleNamespace
) -> None:
    calls: list[tuple[str, int, int | None]] = []

    def progress(stage: str, done: int, total: int | None) -> None:
        calls.append((stage, done, total))

    other = synthetic.tiny_run(tmp_path / "lees", "tiny-paper")
    evaluation = evaluate((net, other), data=masked_build, split="train", device="cpu", progress=progress)
    assert [run.name for run in evaluation.task.runs] == ["net", "lees"]
    assert (
        evaluation.task.protocol.split == "train" and calls[-1][1] == calls[-1][2] == evaluation.task.protocol.samples
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"runs": []}, "no network to evaluate"),
        ({"runs": "nowhere"}, "nowhere: the folder does not exist"),
        ({"split": "val"}, "split"),
        ({"device": "abacus"}, "unknown device"),
        ({"data": "nowhere"}, "nowhere"),
    ],
)
def test_wrong_arguments_are_refused_before_any_work(
    masked_build: Path, net: Path, tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    given = {"runs": net, "data": masked_build, "to": tmp_path / "report", **arguments}
    with pytest.raises(FaceloomError, match=message):
        evaluate(**given)
    assert not (tmp_path / "report").exists()


def test_a_folder_with_other_files_is_refused_before_any_work(
    masked_build: Path, net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faceloom.pipelines.evaluation.api.run_evaluation", None)  # would fail, in another way
    with pytest.raises(FaceloomError, match="report"):
        evaluate(net, data=masked_build, to=net)


def test_all_but_the_runs_are_keywords_and_documented() -> None:
    parameters = inspect.signature(evaluate).parameters
    assert all(one.kind is one.KEYWORD_ONLY for name, one in parameters.items() if name != "runs")
    described = inspect.getdoc(evaluate) or ""
    assert [name for name in parameters if f"    {name}: " not in described] == []
