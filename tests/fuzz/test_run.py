from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("skimage")

from tests.fuzz.base import read_case
from tests.fuzz.kinds import KINDS
from tests.fuzz.mutate import mutate, tweak
from tests.fuzz.run import Report, all_inputs, delete_input, main, save_input, summary


@pytest.mark.parametrize("kind", ["tars", "csv", "recordio", "recipes"])
def test_a_seed_repeats_its_inputs(kind: str) -> None:
    by_hand = len(KINDS[kind].seeds())
    first, again, other = (list(all_inputs(KINDS[kind], seed, 20)) for seed in (1, 1, 2))
    assert first == again and first != other
    assert len(first) == by_hand + 20


def test_most_changes_change_something() -> None:
    data, document = bytes(range(256)) * 4, {"a": [1, 2], "b": {"c": "x"}}
    assert sum(mutate(Random(n), data) != data for n in range(200)) > 150
    assert sum(repr(tweak(Random(n), document)) != repr(document) for n in range(200)) > 150
    assert document == {"a": [1, 2], "b": {"c": "x"}}


def test_a_saved_input_is_read_back_and_deleted(tmp_path: Path) -> None:
    saved = save_input(tmp_path, "tars", "a b/c", {"set.tar": b"x", "d/e": b""})
    assert read_case(saved) == {"set.tar": b"x", "d/e": b""}
    delete_input(saved)
    assert not saved.exists()


def test_a_report_counts_inputs_and_keeps_two_for_each_fault() -> None:
    report = Report("tars", seed=1, wanted=4)
    good = {"seen": ["build: ok"], "faults": [], "seconds": 0.1, "bytes": 10}
    bad = {
        "seen": ["build: ok", "reject scan: empty"],
        "faults": ["KeyError at a.py:1\n'x'"],
        "seconds": 3.0,
        "bytes": 5,
    }
    for name, facts in (("a", good), ("b", bad), ("c", bad), ("d", bad)):
        report.add({"end": name, **facts})
    assert (report.inputs, report.accepted) == (4, 1)
    assert report.faults == {"KeyError at a.py:1": {"inputs": 3, "example": "'x'", "names": ["b", "c"]}}
    assert report.slowest == (3.0, "d") and report.largest == (10, "a")
    assert report.saved() == {"b", "c"}
    assert json.loads(report.as_json())["outcomes"]["build: ok"] == 4
    assert "KeyError at a.py:1 (3 inputs, such as b)" in summary(report)


@pytest.mark.slow
def test_the_long_run_writes_a_report_and_repeats_an_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["csv", "--count", "3", "--seed", "5", "--report", str(tmp_path)])
    assert capsys.readouterr().out.startswith("seed 5;")
    report = json.loads((tmp_path / "csv.json").read_text())
    assert report["inputs"] == report["wanted"] == len(KINDS["csv"].seeds()) + 3
    saved = save_input(tmp_path, "csv", "again", KINDS["csv"].seeds()["valid"])
    assert main(["--replay", str(saved)]) == 0
    assert "build: ok" in capsys.readouterr().out
