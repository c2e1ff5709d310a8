"""`faceloom view`: writes the page, opens it from disk, prints its path."""

from __future__ import annotations

import json
import shutil
import webbrowser
from pathlib import Path

import pytest

from tests.pipelines.cli.running import run


@pytest.fixture
def out(masked_build: Path, tmp_path: Path) -> Path:
    shutil.copytree(masked_build, tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    urls: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: not urls.append(url))  # type: ignore[func-returns-value]
    return urls


def test_opens_the_page_of_a_build_from_disk(out: Path, opened: list[str]) -> None:
    done = run("view", out)
    assert done.exit_code == 0 and done.stdout == f"{out}/gallery.html\n"
    assert opened == [(out / "gallery.html").as_uri()] and opened[0].startswith("file:///")


def test_only_writes_the_page_if_asked(out: Path, opened: list[str], tmp_path: Path) -> None:
    done = run("view", out, "--to", tmp_path / "p.html", "--no-open", "--json")
    assert json.loads(done.stdout) == {"page": str(tmp_path / "p.html"), "opened": False}
    assert opened == [] and not (out / "gallery.html").exists()


def test_without_a_browser_the_page_is_named(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    done = run("view", out)
    assert done.exit_code == 0 and "No browser was found; open this page in one." in done.stderr


def test_pictures_of_rejects_come_from_the_sources_that_are_given(out: Path, opened: list[str]) -> None:
    photos = out.parent / "photos"
    photos.mkdir()
    assert run("view", out, "--source", f"photos.csv={photos}").exit_code == 0
    missing = run("view", out, "--source", out.parent / "none")
    assert missing.exit_code == 2 and "no such file or folder" in missing.stderr


def test_wrong_arguments_and_missing_builds_end_with_their_codes(tmp_path: Path, opened: list[str]) -> None:
    wrong = run("view", "masked-faces@1.0.0")
    assert wrong.exit_code == 2 and "Give it with --root ROOT or FACELOOM_ROOT" in wrong.stderr
    missing = run("view", tmp_path)
    assert missing.exit_code == 1 and "no finished build in this folder" in missing.stderr and opened == []
