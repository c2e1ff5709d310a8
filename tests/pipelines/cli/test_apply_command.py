"""`faceloom apply`: what it writes and lists."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from faceloom.pipelines.apply import swap
from faceloom.pipelines.apply.swap import Swapped
from faceloom.pipelines.cli.app import app
from faceloom.transforms.decode import decode_rgb
from tests.transforms.pictures import open_sample


def test_swap_lists_what_it_wrote_and_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.jpg").write_bytes(b"x")
    monkeypatch.setattr(swap, "swap_folder", lambda *words: Swapped(("a.png",), {"b": "no face was found"}, ("b.png",)))
    words = ["apply", "swap", str(tmp_path), "--face", str(tmp_path / "mine.jpg"), "--to", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    plain = json.loads(done.stdout)
    assert plain["written"] == ["a.png"] and plain["left_out"] == {"b": "no face was found"}
    assert plain["removed"] == ["b.png"]
    printed = CliRunner().invoke(app, words).output
    assert "Left out: b: no face was found" in printed and "Deleted, a result of an earlier run: b.png" in printed


def test_detector_writes_a_map_of_each_photo_and_a_line_of_each_face(tmp_path: Path, write_detector: Any) -> None:
    pytest.importorskip("torch")
    run, photos = write_detector(tmp_path / "det"), tmp_path / "photos"
    photos.mkdir()
    with open_sample("grace_hopper.jpg") as file:
        (photos / "a.jpg").write_bytes(file.read())
    (photos / "note.jpg").write_bytes(b"x")
    words = ["apply", "detector", str(run), str(photos), "--to", str(tmp_path / "out"), "--device", "cpu"]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    plain = json.loads(done.stdout)
    assert plain["written"] == ["a.jpg.png"] and list(plain["left_out"]) == ["note.jpg"]
    lines = [json.loads(line) for line in (tmp_path / "out" / "faces.jsonl").read_text().splitlines()]
    assert len(lines) == plain["faces"] >= 1 and lines[0]["photo"] == "a.jpg" and 0 <= lines[0]["share"] <= 1
    size = decode_rgb((photos / "a.jpg").read_bytes()).shape
    assert decode_rgb((tmp_path / "out" / "a.jpg.png").read_bytes()).shape == size
    words[2] = str(tmp_path / "nowhere")
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code != 0 and "the folder does not exist" in refused.output


def test_swap_fails_if_nothing_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.jpg").write_bytes(b"x")
    monkeypatch.setattr(swap, "swap_folder", lambda *words: Swapped((), {"b": "no face was found"}, ()))
    words = ["apply", "swap", str(tmp_path), "--face", str(tmp_path / "mine.jpg"), "--to", str(tmp_path / "out")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1 and "Nothing was written: the photo shows no usable face" in done.output
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 1 and json.loads(done.stdout)["written"] == []


def test_editor_lists_what_it_wrote_and_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from faceloom.pipelines.apply import editor
    from faceloom.pipelines.apply.photos import PhotoResults

    done = [
        PhotoResults(("a.png",), 2, {"b": "no face wears a mask"}, ("b.png",)),
        PhotoResults((), 0, {"b": "no face was found"}, ()),
    ]
    limits: list[float] = []

    def edit(*words: object, above: float, device: str) -> PhotoResults:
        limits.append(above)
        return done[0]

    monkeypatch.setattr(editor, "edit_folder", edit)
    words = ["apply", "editor", "runs/edit", str(tmp_path), "--detector", "runs/det", "--to", str(tmp_path / "out")]
    made = CliRunner().invoke(app, [*words, "--json"])
    assert made.exit_code == 0, made.output
    plain = json.loads(made.stdout)
    assert plain["faces"] == 2 and plain["written"] == ["a.png"] and plain["removed"] == ["b.png"]
    printed = CliRunner().invoke(app, [*words, "--above", "0.1"]).output
    assert limits == [0.22, 0.1], "the gate's default without --above"
    assert "Deleted, a result of an earlier run: b.png" in printed
    assert "Left out: b: no face wears a mask" in printed and "1 photo with 2 painted faces" in printed
    done.pop(0)
    made = CliRunner().invoke(app, words)
    assert made.exit_code == 1 and "the photo shows no face with a mask" in made.output
