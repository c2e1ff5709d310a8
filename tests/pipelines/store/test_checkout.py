"""The commit of the checkout, if there is one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from faceloom.pipelines.store import checkout as module
from faceloom.pipelines.store.checkout import checkout


def test_code_that_is_installed_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROOT", tmp_path)
    assert checkout() == ("", False)


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_a_checkout_has_a_commit_and_changes_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*words: str) -> str:
        given = ["-c", "user.name=a", "-c", "user.email=a@b"]
        command = ["git", "-C", str(tmp_path), *given, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    monkeypatch.setattr(module, "_ROOT", tmp_path)
    (tmp_path / "pyproject.toml").write_text("one")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    assert checkout() == (git("rev-parse", "HEAD"), False)
    (tmp_path / "new.txt").write_text("not tracked")
    assert not checkout()[1]
    (tmp_path / "pyproject.toml").write_text("two")
    assert checkout() == (git("rev-parse", "HEAD"), True)


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.setattr(module, "_ROOT", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert checkout() == ("", False)
