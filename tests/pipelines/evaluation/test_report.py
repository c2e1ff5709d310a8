"""Reports: what the table says, that JSON has all of it, and that files come whole."""

from __future__ import annotations

import doctest
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from rich.console import Console

from faceloom.models.checkpoint import BEST
from faceloom.models.curve import CURVE, write_table
from faceloom.models.metrics import Scores
from faceloom.models.training import EpochLoss
from faceloom.pipelines.cli.summary import evaluation_summary, print_blocks
from faceloom.pipelines.evaluation import report as evaluation_report
from faceloom.pipelines.evaluation.evaluate import Evaluation
from faceloom.pipelines.evaluation.figures import METRICS, Figure, Row, make_row
from faceloom.pipelines.evaluation.report import (
    FIGURES,
    HEADS,
    SHEET,
    TABLE,
    as_json,
    cells,
    check_report,
    facts,
    figure_text,
    markdown,
    write_report,
)
from faceloom.pipelines.evaluation.task import prepare_evaluation
from faceloom.schemas.errors import StorageError
from faceloom.schemas.model_card import ParentCard

pytest.importorskip("torch")
pytest.importorskip("webdataset")
pytest.importorskip("safetensors")


def rows() -> tuple[Row, ...]:
    good = Scores(mse=0.0123, psnr=20, ssim=0.9, iou=0.8, detail=50, target_detail=100, changed=2)
    bad = replace(good, mse=0.0223, psnr=10, ssim=0.7)
    people = [frozenset(one) for one in "abc"]
    return make_row("net", [good, bad, None], people), make_row("none", [None] * 3, people)


@pytest.fixture(scope="module")
def evaluation(masked_build: Path, tmp_path_factory: pytest.TempPathFactory, synthetic: SimpleNamespace) -> Evaluation:
    run = synthetic.tiny_run(tmp_path_factory.mktemp("runs") / "net")
    write_table(run, [EpochLoss(1, 0.75, 0.5, 12.34)])
    task = prepare_evaluation([run], str(masked_build), "test", device="cpu")
    sheet = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    return Evaluation(task, {"all people": rows(), "held-out people": rows()[:1]}, sheet)


def test_examples_in_docstrings_hold() -> None:
    assert doctest.testmod(evaluation_report).failed == 0


@pytest.mark.parametrize(("samples", "people", "few"), [(20, 5, False), (19, 5, True), (20, 4, True), (1, 1, True)])
def test_figures_of_few_samples_or_people_are_marked(
    evaluation: Evaluation, samples: int, people: int, few: bool
) -> None:
    task = replace(evaluation.task, protocol=replace(evaluation.task.protocol, samples=samples, people=people))
    assert ("decide nothing" in markdown(replace(evaluation, task=task))) == few
    assert ("few samples" in facts(replace(evaluation, task=task))) == few


def test_one_sample_of_one_person_is_no_samples_of_people(evaluation: Evaluation) -> None:
    task, run = evaluation.task, evaluation.task.runs[0]
    card = run.card.model_copy(update={"data": run.card.data.model_copy(update={"train": 1})})
    one = replace(task, protocol=replace(task.protocol, samples=1, people=1), runs=(replace(run, card=card),))
    found = facts(replace(evaluation, task=one))
    assert found["split"] == "test: 1 sample of 1 person" and ", 1 pair of another build" in found["network net"]


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        (Figure(0.12345, 0.1, 0.2), "0.123 ± 0.050"),
        (Figure(-0.5, None, None), "-0.500"),
        (Figure(0.0, 0.0, 0.0), "0.000 ± 0.000"),
        (Figure(None, None, None), "–"),
    ],
)
def test_figures_as_text(figure: Figure, text: str) -> None:
    assert figure_text(figure, 3, True) == text
    assert figure_text(figure, 3, False) == text.split(" ±")[0]


def test_cells_stand_under_their_heads() -> None:
    found, none = cells(rows(), intervals=False)
    assert len(found) == len(none) == len(HEADS)
    at = dict(zip(HEADS, found, strict=True))
    assert (at[""], at["MSE ↓"], at["PSNR ↑"], at["sharpness"], at["samples"]) == (
        "net", "0.0173", "15.00", "0.50", "2 (not 1)",
    )  # fmt: skip
    assert none == ["none", *["–"] * len(METRICS), "0 (not 3)"]


def test_facts_say_what_was_evaluated_and_what_on(evaluation: Evaluation) -> None:
    said = facts(evaluation)
    assert said["build"].startswith("pairs, ") and said["device"] == "cpu"
    assert said["split"].startswith(f"test: {evaluation.task.protocol.samples} samples of ")
    unknown = "another build: whether its people are held out is unknown"
    assert said["protocol"] == f"{unknown} (split by per_identity)"
    own = replace(evaluation.task.runs[0], own_build=True)
    said_own = facts(replace(evaluation, task=replace(evaluation.task, runs=(own,))))["protocol"]
    assert said_own.startswith("mixed: ") and "unknown" not in said_own
    both = facts(replace(evaluation, task=replace(evaluation.task, runs=(own, *evaluation.task.runs))))["protocol"]
    assert both.startswith("mixed: ") and "of networks of another build: whether" in both
    assert "tiny-compact" in said["network net"] and "another build, made-up" in said["network net"]


def test_a_network_of_the_same_build_and_one_that_is_not_finished_are_called_so(evaluation: Evaluation) -> None:
    (run,) = evaluation.task.runs
    changed = replace(run, own_build=True, card=run.card.model_copy(update={"finished": False}))
    said = facts(replace(evaluation, task=replace(evaluation.task, runs=(changed,))))["network net"]
    assert "pairs of this build" in said and "weights of epoch 1 of 1 so far" in said and "another build" not in said


def test_a_run_that_started_from_another_one_states_it(evaluation: Evaluation) -> None:
    (run,) = evaluation.task.runs
    assert "started from" not in markdown(evaluation) and as_json(evaluation)["networks"][0]["parent"] is None
    data = run.card.data.model_copy(update={"name": "older", "digest": "2" * 64})
    parent = ParentCard(folder="first|", weights="3" * 64, data=data)
    child = replace(run, card=run.card.model_copy(update={"parent": parent}))
    changed = replace(evaluation, task=replace(evaluation.task, runs=(child,)))
    text = ", started from 'first|' of another build, older: the protocol does not cover it"
    assert facts(changed)["network net"].endswith(text)
    assert as_json(changed)["networks"][0]["parent"] == {
        "name": "first|",
        "weights": "3" * 64,
        "trained_on_this_build": False,
        "trained_on": {"name": "older", "digest": "2" * 64, "pairs": 7},
    }
    own = parent.model_copy(update={"data": data.model_copy(update={"digest": evaluation.task.digest})})
    child = replace(run, card=run.card.model_copy(update={"parent": own}))
    changed = replace(evaluation, task=replace(evaluation.task, runs=(child,)))
    assert facts(changed)["network net"].endswith(", started from 'first|' of this build")
    assert as_json(changed)["networks"][0]["parent"]["trained_on_this_build"] is True


def test_the_epoch_is_that_of_the_weights_that_were_used(evaluation: Evaluation) -> None:
    (run,) = evaluation.task.runs
    card = run.card.model_copy(update={"epochs_done": 1320, "metrics": {"best_epoch": 1180.0}})
    best = replace(evaluation, task=replace(evaluation.task, runs=(replace(run, card=card),)))
    assert "weights of epoch 1,180 of 1,320, " in facts(best)["network net"]
    (network,) = as_json(best)["networks"]
    assert (network["weights_of_epoch"], network["epochs"]) == (1180, 1320)
    assert network["weights"] == card.files[BEST].sha256


def test_markdown_is_a_table_that_can_be_pasted(evaluation: Evaluation) -> None:
    text, training = markdown(evaluation).split("\n## Training\n")
    assert "| net | 1 | 1 | 12.3 | 0.7500 | 0.7500 | 0.5000 | 0.5000 |" in training
    assert "| 1 (used) | 0.7500 | 0.5000 |" in training
    lines = text.splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert len(tables) == (2 + 2) + (2 + 1) and len({line.count("|") for line in tables}) == 1
    assert "All people:" in lines and "Held-out people:" in lines and "| net | 0.0173 ± 0.0050 |" in tables[2]


def test_a_terminal_shows_facts_and_tables_without_folding_them(evaluation: Evaluation) -> None:
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    with console.file:
        print_blocks(console, evaluation_summary(evaluation))
    text = console.export_text()
    assert text.count("\nnet  ") == 3 and "12.3" in text and text.count(HEADS[1]) == 2
    assert "0.0173" in text and "±" not in text.replace("95 %", "")


def test_json_has_everything_but_the_sheet(evaluation: Evaluation) -> None:
    plain = json.loads(json.dumps(as_json(evaluation)))
    assert set(plain) == {"build", "protocol", "device", "networks", "training", "tables", "sheet"}
    figures = plain["tables"]["all people"][0]["figures"]
    assert set(figures) == {metric.name for metric in METRICS}
    assert figures["mse"]["value"] == pytest.approx(0.0173)
    assert figures["mse"]["low"] <= figures["mse"]["value"] <= figures["mse"]["high"]
    (network,) = plain["networks"]
    assert network["name"] == "net" and network["trained_on_this_build"] is False
    assert plain["sheet"] == list(evaluation.task.shown) and plain["protocol"]["text"].startswith("another build: ")


def test_json_names_no_path_of_this_machine(evaluation: Evaluation) -> None:
    text = json.dumps(as_json(evaluation)) + markdown(evaluation)
    assert str(evaluation.task.out) not in text and str(evaluation.task.runs[0].folder) not in text


def test_a_report_is_four_files(evaluation: Evaluation, tmp_path: Path) -> None:
    write_report(evaluation, str(tmp_path / "a" / "report"))
    assert {path.name for path in (tmp_path / "a" / "report").iterdir()} == {FIGURES, TABLE, SHEET, CURVE}
    assert json.loads((tmp_path / "a" / "report" / FIGURES).read_text()) == as_json(evaluation)
    assert (tmp_path / "a" / "report" / TABLE).read_text() == markdown(evaluation)
    sheet = cv2.imread(str(tmp_path / "a" / "report" / SHEET))
    assert np.array_equal(cv2.cvtColor(sheet, cv2.COLOR_BGR2RGB), evaluation.sheet)


def test_a_second_report_takes_the_place_of_the_first_with_the_same_bytes(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    write_report(evaluation, str(tmp_path))
    check_report(str(tmp_path), evaluation.task)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write_report(evaluation, str(tmp_path))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first


def test_a_second_report_without_losses_leaves_no_picture_of_the_first(evaluation: Evaluation, tmp_path: Path) -> None:
    write_report(evaluation, str(tmp_path))
    (run,) = evaluation.task.runs
    bare = replace(evaluation, task=replace(evaluation.task, runs=(replace(run, losses=(), lacks="none"),)))
    write_report(bare, str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {FIGURES, TABLE, SHEET}
    assert (tmp_path / TABLE).read_text().endswith("net: no losses, none.\n")


def test_a_new_and_an_empty_folder_may_take_a_report(evaluation: Evaluation, tmp_path: Path) -> None:
    (tmp_path / f"{SHEET}.partial-1-2").write_bytes(b"half")  # as a kill leaves it
    for folder in (tmp_path, tmp_path / "new" / "folder"):
        check_report(str(folder), evaluation.task)
    assert len(list(tmp_path.iterdir())) == 1, "a check writes nothing"


def test_a_report_that_was_stopped_is_taken_up_and_one_among_other_files_is_not(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    (tmp_path / TABLE).mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        write_report(evaluation, str(tmp_path))
    (tmp_path / TABLE).rmdir()
    assert [path.name for path in tmp_path.iterdir()] == [FIGURES]
    check_report(str(tmp_path), evaluation.task)
    (tmp_path / "thesis.docx").write_bytes(b"mine")
    with pytest.raises(StorageError, match=r"no report of faceloom \(got thesis.docx\)"):
        check_report(str(tmp_path), evaluation.task)


def test_a_report_in_the_output_folder_of_the_build_is_refused(evaluation: Evaluation) -> None:
    with pytest.raises(StorageError, match="lies in the output folder"):
        check_report(f"{evaluation.task.out}/shards/report", evaluation.task)


@pytest.mark.parametrize("figures", [None, b"", b"[]", b"\xff", b'{"build": {}, "tables": {}}'])
def test_files_of_others_are_refused_even_under_our_names(
    evaluation: Evaluation, tmp_path: Path, figures: bytes | None
) -> None:
    (tmp_path / SHEET).write_bytes(b"mine")
    if figures is not None:
        (tmp_path / FIGURES).write_bytes(figures)
    with pytest.raises(StorageError, match=r"no report of faceloom \(got .*sheet.png\)"):
        check_report(str(tmp_path), evaluation.task)


def test_a_folder_that_cannot_be_made_is_refused(evaluation: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="folder"):
        write_report(evaluation, str(tmp_path / "file" / "report"))
