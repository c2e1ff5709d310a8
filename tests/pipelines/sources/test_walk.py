from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.pipelines.sources.walk import Found, ending, is_unsafe, safe_text, walk
from faceloom.schemas.errors import SourceError
from faceloom.schemas.photos import Reject


def put(root: Path, *names: str, data: bytes = b"x") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


def found(root: Path, **options: Any) -> list[str]:
    return [row.uri for row in walk(root, "s", **options) if isinstance(row, Found)]


def rejects(root: Path, **options: Any) -> dict[str, str]:
    return {row.uri: row.code for row in walk(root, "s", **options) if isinstance(row, Reject)}


def test_size_and_time_are_the_files(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", data=b"12345")
    os.utime(tmp_path / "a.jpg", ns=(1, 1_700_000_000_123_456_789))
    assert list(walk(tmp_path, "s")) == [Found("a.jpg", 5, (tmp_path / "a.jpg").stat().st_mtime_ns)]


def test_odd_but_good_names(tmp_path: Path) -> None:
    names = [
        "a.b.jpg",
        "a b.jpg",
        "A.JPEG",
        "x.PnG",
        "ü.webp",
        "u\u0308.webp",
        "名前\u3000.tiff",
        "100%.pgm",
        "a\\b.jpg",
    ]
    put(tmp_path, *names)
    assert found(tmp_path) == sorted(names)
    assert rejects(tmp_path) == {}


def test_bad_names_are_rejected_with_a_safe_text(tmp_path: Path) -> None:
    put(tmp_path, "new\nline.jpg", "bell\a.jpg")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg")).write_bytes(b"x")
    put(tmp_path, "tab\tfolder/fine.jpg")
    assert found(tmp_path) == []
    assert rejects(tmp_path) == {
        "new\\x0aline.jpg": "bad_name",
        "bell\\x07.jpg": "bad_name",
        "caf\\xe9.jpg": "bad_name",
        "tab\\x09folder/fine.jpg": "bad_name",
    }
    for uri in rejects(tmp_path):
        assert uri.isprintable()
        uri.encode()


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    put(tmp_path, "notes.txt", "points.tem", ".DS_Store", "Thumbs.db", "._a.jpg", "._b.txt", ".hidden.jpg", "noending")
    put(tmp_path, "jpg", "a.jpg.bak")
    assert found(tmp_path) == []
    assert rejects(tmp_path) == {
        "notes.txt": "not_a_picture",
        "points.tem": "not_a_picture",
        ".DS_Store": "not_a_picture",
        "Thumbs.db": "not_a_picture",
        "._a.jpg": "resource_fork",
        "._b.txt": "resource_fork",
        ".hidden.jpg": "hidden_file",
        "noending": "not_a_picture",
        "jpg": "not_a_picture",
        "a.jpg.bak": "not_a_picture",
    }


def test_hidden_folders_are_one_row(tmp_path: Path) -> None:
    put(tmp_path, ".git/a.jpg", ".git/b/c.jpg", "d.jpg")
    assert found(tmp_path) == ["d.jpg"]
    assert rejects(tmp_path) == {".git": "hidden_folder"}


def test_empty_files(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", data=b"")
    assert rejects(tmp_path) == {"a.jpg": "empty"}


def test_pipes_and_sockets_are_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.jpg")
        (tmp_path / "link.jpg").symlink_to("pipe.jpg")
        assert rejects(tmp_path) == dict.fromkeys(["link.jpg", "pipe.jpg", "socket.jpg"], "not_a_file")


def test_links_to_files_are_followed_and_dangling_ones_named(tmp_path: Path) -> None:
    put(tmp_path, "real.jpg")
    (tmp_path / "also.jpg").symlink_to("real.jpg")
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    assert found(tmp_path) == ["also.jpg", "real.jpg"]
    assert rejects(tmp_path) == {"gone.jpg": "dangling_link", "self.jpg": "symlink_loop"}


def test_link_loops_end(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    put(root, "a/one.jpg", "b/two.jpg")
    (root / "a" / "up").symlink_to(root)
    (root / "a" / "self").symlink_to(root / "a")
    (root / "a" / "other").symlink_to(root / "b")
    (root / "b" / "other").symlink_to(root / "a")
    assert len(found(root)) < 10
    assert set(found(root)) >= {"a/one.jpg", "b/two.jpg"}
    assert rejects(root)["a/up"] == rejects(root)["a/self"] == "symlink_loop"


def test_many_links_to_each_other_end_soon(tmp_path: Path) -> None:
    for one in range(12):
        put(tmp_path, f"{one:02d}/a.jpg")
        for other in range(12):
            (tmp_path / f"{one:02d}" / f"to{other:02d}").symlink_to(tmp_path / f"{other:02d}")
    assert len(found(tmp_path)) <= 24


def test_links_out_of_the_root_are_followed_once(tmp_path: Path) -> None:
    put(tmp_path, "pool/x.jpg", "photos/y.jpg")
    (tmp_path / "photos" / "one").symlink_to(tmp_path / "pool")
    (tmp_path / "photos" / "two").symlink_to(tmp_path / "pool")
    assert found(tmp_path / "photos") == ["one/x.jpg", "y.jpg"]
    assert rejects(tmp_path / "photos") == {"two": "symlink_loop"}


def test_an_unreadable_folder_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a/1.jpg", "b/2.jpg", "c/3.jpg")
    scandir = os.scandir

    def guarded(path: Any) -> Any:
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    assert found(tmp_path) == ["a/1.jpg", "c/3.jpg"]
    assert rejects(tmp_path) == {"b": "unreadable_directory"}


def test_a_folder_that_vanishes_is_a_row_and_the_root_an_error(tmp_path: Path) -> None:
    put(tmp_path / "root", "a/1.jpg", "b/2.jpg", "c/3.jpg")
    rows = walk(tmp_path / "root", "s")
    assert next(rows).uri == "a/1.jpg"
    (tmp_path / "root" / "b").rename(tmp_path / "b")
    row = next(rows)
    assert isinstance(row, Reject)
    assert (row.uri, row.code) == ("b", "vanished")
    (tmp_path / "root").rename(tmp_path / "moved")
    with pytest.raises(SourceError, match="mounted"):
        next(rows)


def test_an_unreadable_root_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        next(walk(tmp_path / "nothing", "s"))


def test_unwanted_files_leave_no_row(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.jpg", "c.txt")
    assert found(tmp_path, wanted=lambda uri: uri == "a.jpg") == ["a.jpg"]
    assert rejects(tmp_path, wanted=lambda uri: uri == "a.jpg") == {}


def test_other_endings(tmp_path: Path) -> None:
    put(tmp_path, "a.tar", "b.jpg")
    options = {"endings": frozenset({"tar"}), "other": "not_a_shard"}
    assert found(tmp_path, **options) == ["a.tar"]
    assert rejects(tmp_path, **options) == {"b.jpg": "not_a_shard"}


NAME = st.text("ab.-/é 0", min_size=1, max_size=6).map(lambda text: "x" + text.replace("/", "") + ".jpg")


@settings(max_examples=40, deadline=None)
@given(tree=st.sets(st.lists(NAME, min_size=1, max_size=3).map(tuple), max_size=12))
def test_every_file_is_listed_once_in_order(
    tree: set[tuple[str, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("tree")
    for parts in sorted(tree, key=len, reverse=True):
        path = root.joinpath(*parts)
        if not path.exists() and not any(parent.is_file() for parent in path.parents):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
    expected = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    assert found(root) == expected


def test_ending() -> None:
    assert [ending(name) for name in ("a.JPG", "a.b.jpg", "jpg", ".jpg", "a.")] == ["jpg", "jpg", "", "jpg", ""]


@given(st.binary(max_size=20))
def test_any_name_becomes_safe(raw: bytes) -> None:
    name = raw.decode("utf-8", "surrogateescape")
    safe = safe_text(name)
    assert not is_unsafe(safe)
    safe.encode()
    assert is_unsafe(name) == (safe != name)


def test_known_formats_that_are_not_read_have_advice(tmp_path: Path) -> None:
    (tmp_path / "a.jxl").write_bytes(b"x")
    (row,) = walk(tmp_path, "s")
    assert isinstance(row, Reject)
    assert (row.code, row.message) == ("not_a_picture", "JPEG XL is not supported; convert it to PNG or JPEG")
