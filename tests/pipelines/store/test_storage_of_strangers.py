"""Links, pipes, devices and impossible sizes below an output folder harm nothing."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from faceloom.pipelines.store.paths import FOLDERS
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.regular_files import read_regular_file
from tests.pipelines.store.test_storage import fails_with, put


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path / "out"))


def uses(storage: Storage, path: str) -> list[Callable[[], object]]:
    """Everything that can be done with a file and its folder."""
    folder = path.rpartition("/")[0]
    return [
        lambda: storage.exists(path), lambda: storage.size(path), lambda: storage.read_bytes(path),
        lambda: storage.read_range(path, 0, 1), lambda: storage.list(folder), lambda: storage.remove(path),
        lambda: storage.write_if_changed(path, b"new"), lambda: put(storage, path), lambda: storage.local(path),
        lambda: storage.sync_folders(path),
    ]  # fmt: skip


@pytest.mark.parametrize("link", ["a.tar", "shards", "shards/deep", "shards/deep/a.tar"])
def test_no_link_below_the_root_is_followed(storage: Storage, tmp_path: Path, link: str) -> None:
    """Nothing is listed, read, written or removed through a link, and the message names it."""
    path = "a.tar" if link == "a.tar" else "shards/deep/a.tar"
    victim = tmp_path / "victim" / path
    victim.parent.mkdir(parents=True)
    victim.write_text("precious")
    Path(storage.root, link).parent.mkdir(parents=True)
    Path(storage.root, link).symlink_to(tmp_path / "victim" / link)
    for use in uses(storage, path):
        with pytest.raises(StorageError, match="a link inside an output folder") as caught:
            use()
        assert caught.value.where == str(Path(storage.root, link)) and "remove the link" in caught.value.remedy
    assert victim.read_text() == "precious" and [*victim.parent.iterdir()] == [victim]
    if "/" in link or link in FOLDERS:
        with pytest.raises(StorageError, match="a link inside"):
            storage.sweep_partials()


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    storage = Storage(str(tmp_path / "out"))
    with storage.exclusive():
        put(storage, "shards/a.tar")
    assert storage.list("shards") == ["shards/a.tar"] and (tmp_path / "disk/shards/a.tar").is_file()


def test_a_link_under_the_name_of_a_partial_file_is_not_written_through(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "victim").write_text("precious")
    Path(storage.root).mkdir()
    monkeypatch.setattr("secrets.randbits", lambda bits: 7)
    Path(storage.root, f"a.tar.partial-{os.getpid()}-7").symlink_to(tmp_path / "victim")
    with pytest.raises(StorageError, match="cannot be written"):
        put(storage, "a.tar")
    assert (tmp_path / "victim").read_text() == "precious"


def test_writers_of_one_file_with_the_same_numbers_do_not_meet(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Machines that share a folder have processes and threads of the same numbers."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    with storage.write("a.tar") as first, storage.write("a.tar") as second:
        first.write(b"data")
        second.write(b"data")
    assert storage.read_bytes("a.tar") == b"data" and storage.partials() == []


def test_what_is_no_regular_file_is_not_read(storage: Storage) -> None:
    Path(storage.root, "folder").mkdir(parents=True)
    os.mkfifo(Path(storage.root, "pipe"))
    for path in ("folder", "pipe"):
        assert not storage.exists(path)
        for use in (storage.read_bytes, storage.size, lambda path: storage.read_range(path, 0, 1)):
            with pytest.raises(StorageError, match=r"not a file\. Move it away"):
                use(path)
    assert storage.list() == []
    put(storage, "pipe")
    storage.write_if_changed("pipe", b"more")
    assert storage.read_bytes("pipe") == b"more"


def test_a_file_that_is_too_long_is_not_read(storage: Storage) -> None:
    put(storage, "a.json", b"12345")
    with pytest.raises(StorageError, match=r"a\.json: cannot be read: it has 5 bytes; at most 4 are read"):
        storage.read_bytes("a.json", 4)
    with Path(storage.root, "a.json").open("wb") as stream:
        stream.truncate(2**40)  # takes no room on the disk
    with pytest.raises(StorageError, match="at most"):
        storage.read_bytes("a.json")
    storage.write_if_changed("a.json", b"new")
    assert storage.read_bytes("a.json") == b"new"


@pytest.mark.parametrize(("offset", "length"), [(0, 2**62), (2**62, 1), (-1, 2), (0, -1), (3, 2), (2**63, 2**63)])
def test_a_range_that_the_file_does_not_have_is_damage(storage: Storage, offset: int, length: int) -> None:
    put(storage, "a.bin", b"0123")
    with pytest.raises(StorageError, match="damaged"):
        storage.read_range("a.bin", offset, length)


@pytest.mark.parametrize("path", ["a\0b", "shards/\0", "\ud800"])
def test_names_that_no_file_has(storage: Storage, path: str) -> None:
    with pytest.raises(StorageError):
        storage.read_bytes(path)


def test_a_reader_without_permission_is_advised_to_ask_for_it(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(storage, "index/a.parquet")
    for function, use in (
        ("open", storage.read_bytes), ("scandir", lambda _: storage.list("index")), ("lstat", storage.exists),
        ("lstat", storage.size),
    ):  # fmt: skip
        with monkeypatch.context() as patch:
            patch.setattr(os, function, fails_with(errno.EACCES))
            with pytest.raises(StorageError) as caught:
                use("index/a.parquet")
        assert caught.value.remedy == "Ask its owner for permission to read it"


def test_a_small_file_takes_little_memory(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    storage = Storage(str(tmp_path))
    (tmp_path / "a").write_bytes(b"12345")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), before[1]))
        assert storage.read_bytes("a") == b"12345"
        assert read_regular_file(storage.local("a"), 1 << 30) == b"12345"
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
