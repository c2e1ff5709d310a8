"""What adapters share: paths, filters, and reading bytes safely."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from faceloom.pipelines.sources import source
from faceloom.pipelines.sources.registry import open_source
from faceloom.pipelines.sources.source import full_path, read_span, uri_filter
from faceloom.schemas.errors import PhotoError
from faceloom.schemas.source_spec import SourceSpec


def put(root: Path, name: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(b"x")


def test_full_path_holds_in_another_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "photos/a.jpg")
    monkeypatch.chdir(tmp_path)
    source = open_source(SourceSpec(path="photos"))
    monkeypatch.chdir("/")
    assert source.read("a.jpg") == b"x"
    assert full_path("~").is_absolute()


def test_uri_filter() -> None:
    assert uri_filter(SourceSpec(path="a")) is None
    chosen = uri_filter(SourceSpec(path="a", include=("Ada/*", "*.png"), exclude=("*/bad*",)))
    assert chosen is not None
    uris = ["Ada/1.jpg", "Ada/deep/2.jpg", "Eve/3.png", "Eve/4.jpg", "Ada/bad.jpg"]
    assert [uri for uri in uris if chosen(uri)] == ["Ada/1.jpg", "Ada/deep/2.jpg", "Eve/3.png"]
    without = uri_filter(SourceSpec(path="a", exclude=("*.png",)))
    assert without is not None
    assert without("new\nline.jpg")
    assert not without("a.png")


def test_read_span(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"0123456789")
    assert read_span(tmp_path, "a.bin") == b"0123456789"
    assert read_span(tmp_path, "a.bin", 2, 3) == b"234"
    with pytest.raises(PhotoError) as caught:
        read_span(tmp_path, "a.bin", 8, 3, uri="a.bin::x.jpg")
    assert (caught.value.code, caught.value.where) == ("unreadable", "a.bin::x.jpg")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(PhotoError) as caught:
        read_span(tmp_path, "a.jpg")
    assert caught.value.code == "unreadable"


def test_a_giant_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a.jpg")
    monkeypatch.setattr(source, "MOST_BYTES", 0)
    with pytest.raises(PhotoError) as caught:
        read_span(tmp_path, "a.jpg")
    assert caught.value.code == "too_many_bytes"


def test_a_file_that_became_a_pipe_since_it_was_looked_at_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "b.jpg")
    looked_at = (tmp_path / "b.jpg").stat()
    os.mkfifo(tmp_path / "a.jpg")
    monkeypatch.setattr(Path, "stat", lambda path, **kwargs: looked_at)
    with pytest.raises(PhotoError) as caught:
        read_span(tmp_path, "a.jpg")
    assert caught.value.code == "unreadable"


def test_a_giant_with_a_hole_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.jpg").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(PhotoError) as caught:
        read_span(tmp_path, "a.jpg")
    assert caught.value.code == "too_many_bytes"


def test_no_permission_concerns_one_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a.jpg")

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PhotoError, match="Permission denied") as caught:
        read_span(tmp_path, "a.jpg")
    assert caught.value.code == "unreadable"
