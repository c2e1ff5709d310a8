"""`faceloom apply swap`: what it writes and lists."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from faceloom.pipelines.apply import swap
from faceloom.pipelines.apply.swap import Swapped
from faceloom.pipelines.cli.app import app


def test_swap_lists_what_it_wrote_and_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.jpg").write_bytes(b"x")
    monkeypatch.setattr(swap, "swap_folder", lambda *words: Swapped(("a.png",), {"b": "no face was found"}))
    words = ["apply", "swap", str(tmp_path), "--face", str(tmp_path / "mine.jpg"), "--to", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    plain = json.loads(done.stdout)
    assert plain["written"] == ["a.png"] and plain["left_out"] == {"b": "no face was found"}
    assert "no face was found" in CliRunner().invoke(app, words).output
