from __future__ import annotations

import errno
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import pytest

from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from tests.patience import on_busy_machine


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path / "out"))


def put(storage: Storage, path: str, data: bytes = b"data") -> None:
    with storage.write(path) as stream:
        stream.write(data)


def everything(storage: Storage) -> list[str]:
    root = Path(storage.root)
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def fails_with(code: int, filename: str | None = None) -> Any:
    def fail(*args: object, **kwargs: object) -> NoReturn:
        raise OSError(code, os.strerror(code), filename)

    return fail


def test_what_was_written_can_be_read(storage: Storage) -> None:
    put(storage, "shards/train-0.tar", b"0123456789")
    assert storage.exists("shards/train-0.tar")
    assert storage.size("shards/train-0.tar") == 10
    assert storage.read_bytes("shards/train-0.tar") == b"0123456789"
    assert storage.read_range("shards/train-0.tar", 3, 4) == b"3456"
    assert storage.read_range("shards/train-0.tar", 10, 0) == b""


def test_a_file_has_its_final_name_only_when_complete(storage: Storage) -> None:
    with storage.write("a/b.bin") as stream:
        stream.write(b"half")
        stream.flush()
        assert not storage.exists("a/b.bin")
        assert storage.list() == []
    assert everything(storage) == ["a/b.bin"]


def test_what_is_written_already_is_left_alone(storage: Storage) -> None:
    for data, renewed in ((b"old", True), (b"old", False), (b"new", True)):
        before = storage.local("a.json").stat().st_ino if storage.exists("a.json") else 0
        storage.write_if_changed("a.json", data)
        assert storage.read_bytes("a.json") == data
        assert (storage.local("a.json").stat().st_ino != before) == renewed


def test_an_error_in_the_block_passes_through_and_leaves_nothing(storage: Storage) -> None:
    with pytest.raises(ZeroDivisionError), storage.write("a.bin") as stream:
        stream.write(b"half")
        _ = 1 / 0
    assert everything(storage) == []


def test_an_interrupt_leaves_nothing(storage: Storage) -> None:
    with pytest.raises(KeyboardInterrupt), storage.write("a.bin"):
        raise KeyboardInterrupt
    assert everything(storage) == []


def test_a_failed_rewrite_keeps_the_old_file(storage: Storage) -> None:
    put(storage, "a.bin", b"old")
    with pytest.raises(ValueError, match="no"), storage.write("a.bin") as stream:
        stream.write(b"new")
        raise ValueError("no")
    assert storage.read_bytes("a.bin") == b"old"


def test_writing_again_replaces(storage: Storage) -> None:
    put(storage, "a.bin", b"old and long")
    put(storage, "a.bin", b"new")
    assert storage.read_bytes("a.bin") == b"new"
    assert everything(storage) == ["a.bin"]


def test_a_tar_can_seek_in_it(storage: Storage) -> None:
    with storage.write("a.bin") as stream:
        stream.write(b"....")
        stream.seek(0)
        stream.write(b"head")
        assert stream.tell() == 4
    assert storage.read_bytes("a.bin") == b"head"


def test_list_is_sorted_deep_and_by_folder(storage: Storage) -> None:
    for path in ["b.txt", "index/z.parquet", "index/a/1.parquet", "index2/y.parquet"]:
        put(storage, path)
    assert storage.list() == ["b.txt", "index/a/1.parquet", "index/z.parquet", "index2/y.parquet"]
    assert storage.list("index") == storage.list("index/") == ["index/a/1.parquet", "index/z.parquet"]
    assert storage.list("nothing") == []


def test_list_before_the_root_exists(storage: Storage) -> None:
    assert storage.list() == []
    assert storage.sweep_partials() == []


def test_list_of_an_unreadable_folder_is_an_error(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    put(storage, "a.bin")
    monkeypatch.setattr(os, "scandir", fails_with(errno.EACCES))
    with pytest.raises(StorageError, match="cannot be listed"):
        storage.list()


def test_remove_may_be_repeated(storage: Storage) -> None:
    put(storage, "a.bin")
    storage.remove("a.bin")
    storage.remove("a.bin")
    assert not storage.exists("a.bin")


@pytest.mark.parametrize("path", ["/etc/passwd", "../a", "a/../../b"])
def test_paths_stay_inside(storage: Storage, path: str) -> None:
    with pytest.raises(StorageError, match="stay inside"):
        storage.read_bytes(path)
    with pytest.raises(StorageError, match="stay inside"):
        put(storage, path)


def test_reading_what_is_not_there(storage: Storage) -> None:
    assert not storage.exists("a.bin")
    for call in (storage.read_bytes, storage.size):
        with pytest.raises(StorageError, match=r"a\.bin"):
            call("a.bin")


def test_a_short_range_is_damage(storage: Storage) -> None:
    put(storage, "a.bin", b"0123")
    with pytest.raises(StorageError, match="damaged: the file ends before byte 6"):
        storage.read_range("a.bin", 2, 4)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_disk_full_in_the_block(storage: Storage, code: int) -> None:
    with pytest.raises(StorageError) as caught, storage.write("shards/a.tar") as stream:
        stream.write(b"half")
        raise OSError(code, os.strerror(code))
    text = str(caught.value)
    assert "shards/a.tar: disk full while writing" in text
    assert "MB" in text
    assert "run the same command again; finished tasks are kept" in text
    assert everything(storage) == []


def test_disk_full_at_the_last_flush(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StorageError, match="disk full"), storage.write("a.tar") as stream:
        stream.write(b"half")
        monkeypatch.setattr(os, "fsync", fails_with(errno.ENOSPC))
    assert everything(storage) == []


def test_an_error_without_a_number_shows_its_text(storage: Storage) -> None:
    with pytest.raises(StorageError, match=r"cannot be written \(10 requested and 3 written\)"), storage.write("a.npy"):
        raise OSError("10 requested and 3 written")  # as numpy raises it


def test_errors_outside_of_the_block_are_those_of_the_file(storage: Storage) -> None:
    with pytest.raises(StorageError, match=r"^a.rec: disk full"), storage.write_errors("a.rec"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which Linux has")
def test_a_device_that_is_really_full(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open
    monkeypatch.setattr(Path, "open", lambda path, mode: opened(Path("/dev/full"), "wb"))
    with pytest.raises(StorageError, match="disk full"), storage.write("a.tar") as stream:
        for _ in range(100):
            stream.write(b"0" * 100_000)
    assert everything(storage) == []


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.EACCES, "Make it writable"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "Check the disk"),
        (errno.EMFILE, "ulimit -n"),
        (errno.EFBIG, r"cannot be written \(File too large\).*larger than the system allows, see `ulimit -f`"),
    ],
)
def test_a_folder_that_cannot_be_written(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, code: int, remedy: str
) -> None:
    monkeypatch.setattr(Path, "open", fails_with(code, "out/a.tar"))
    with pytest.raises(StorageError, match=remedy):
        put(storage, "a.tar")


def test_a_rename_that_fails_leaves_nothing(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "replace", fails_with(errno.EACCES))
    with pytest.raises(StorageError, match="cannot be written"):
        put(storage, "a.tar")
    assert everything(storage) == []


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_any_trouble_while_writing_is_told_as_ours(storage: Storage, code: int) -> None:
    with pytest.raises(StorageError, match=r"a\.tar: cannot be written"), storage.write("a.tar"):
        raise OSError(code, os.strerror(code))
    assert everything(storage) == []


def test_errors_that_are_no_trouble_of_the_disk_pass(storage: Storage) -> None:
    with pytest.raises(ValueError, match="mine"), storage.write("a.tar"):
        raise ValueError("mine")
    assert everything(storage) == []


def test_check_writable_creates_the_root_and_leaves_no_file(storage: Storage) -> None:
    storage.check_writable()
    assert Path(storage.root).is_dir()
    assert everything(storage) == []


def test_check_writable_says_what_is_wrong(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "mkdir", fails_with(errno.EACCES, "out"))
    with pytest.raises(StorageError, match="another output folder"):
        storage.check_writable()


def test_a_file_in_the_place_of_the_root(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(StorageError, match="A file exists where a folder is needed"):
        Storage(str(tmp_path / "out")).check_writable()


@pytest.mark.parametrize("below", [".", "new", "new/deeper"])
def test_a_file_in_the_way_is_found_without_writing(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(StorageError, match=r"file: a file exists where a folder is needed.*choose another") as caught:
        Storage(str(tmp_path / "file" / below)).check_folder()
    assert caught.value.where == str(tmp_path / "file")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    for name in ("link", "dangling"):
        with pytest.raises(StorageError, match=name):
            Storage(str(tmp_path / name)).check_folder()


def test_folders_and_links_to_them_may_be_used(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    for root in (str(tmp_path), "new", ".", "link", "link/new/deeper"):
        Storage(root).check_folder()
    storage.check_folder()
    assert [path.name for path in tmp_path.iterdir()] == ["link"], "a check writes nothing"


def test_sweep_takes_only_leftovers(storage: Storage) -> None:
    put(storage, "shards/a.tar")
    left = Path(storage.root, "shards", "b.tar.partial-123-4")
    left.write_bytes(b"half")
    Path(storage.root, "mine").mkdir()
    for name in ("c.partial-x", "mine/d.partial-1-2", "shards/e.partial-1-2.txt"):
        Path(storage.root, name).write_text("a file of the user")
    assert storage.sweep_partials() == ["shards/b.tar.partial-123-4"]
    assert everything(storage) == ["c.partial-x", "mine/d.partial-1-2", "shards/a.tar", "shards/e.partial-1-2.txt"]


def test_a_killed_writer_leaves_no_final_name_and_is_swept(storage: Storage) -> None:
    program = (
        "import sys, time\nfrom faceloom.pipelines.store.storage import Storage\n"
        "with Storage(sys.argv[1]).write('a.tar') as stream:\n"
        "    stream.write(b'half'); stream.flush(); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, storage.root]) as writer:
        for _ in range(600):
            if Path(storage.root).is_dir() and everything(storage):
                break
            time.sleep(0.05)
        writer.send_signal(signal.SIGKILL)
    assert storage.list() == []
    assert len(storage.sweep_partials()) == 1
    assert everything(storage) == []


def test_one_process_at_a_time_holds_the_root(storage: Storage) -> None:
    with storage.exclusive():
        begin = time.monotonic()
        with pytest.raises(StorageError, match=r"another process is writing.*Wait until"), storage.exclusive():
            pytest.fail("held twice")
        assert time.monotonic() - begin < on_busy_machine(1), "it does not wait"
    with storage.exclusive():
        assert everything(storage) == [".lock"]


def test_a_killed_process_gives_its_lock_back(storage: Storage) -> None:
    program = (
        "import sys, time\nfrom faceloom.pipelines.store.storage import Storage\n"
        "with Storage(sys.argv[1]).exclusive():\n"
        "    print('held', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, storage.root], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StorageError, match="another process"), storage.exclusive():
            pytest.fail("held twice")
        holder.send_signal(signal.SIGKILL)
    with storage.exclusive():
        pass


def test_a_folder_that_cannot_be_locked_is_an_error(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    Path(storage.root).mkdir()
    monkeypatch.setattr(fcntl, "flock", fails_with(errno.ENOLCK))
    with pytest.raises(StorageError, match="cannot be locked"), storage.exclusive():
        pytest.fail("not locked")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc, which Linux has")
def test_a_folder_that_cannot_be_created_is_an_error_with_its_path() -> None:
    message = r"^/proc/out: this folder cannot be created. Choose another output folder$"
    with pytest.raises(StorageError, match=message), Storage("/proc/out").exclusive():
        pytest.fail("locked")
    with pytest.raises(StorageError, match=message):
        put(Storage("/proc/out"), "a")


def test_the_lock_file_is_no_link(storage: Storage, tmp_path: Path) -> None:
    Path(storage.root).mkdir()
    Path(storage.root, ".lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="a link inside an output folder"), storage.exclusive():
        pytest.fail("locked through a link")
    assert not (tmp_path / "elsewhere").exists()


def test_a_lock_file_of_another_program_is_kept(storage: Storage) -> None:
    Path(storage.root).mkdir()
    Path(storage.root, ".lock").write_text("precious")
    with pytest.raises(StorageError, match="no lock file of faceloom"), storage.exclusive():
        pytest.fail("locked")
    assert Path(storage.root, ".lock").read_text() == "precious"


def test_the_root_may_vanish(storage: Storage) -> None:
    put(storage, "a.tar")
    shutil.rmtree(storage.root)
    with pytest.raises(StorageError, match="still there"):
        storage.read_bytes("a.tar")


def test_it_pickles(storage: Storage) -> None:
    assert pickle.loads(pickle.dumps(storage)) == storage


@pytest.mark.parametrize("root", ["ftp://host/out", ""])
def test_other_roots_are_refused(root: str) -> None:
    with pytest.raises(StorageError):
        Storage(root)


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_a_system_that_cannot_sync_folders_stops_nothing(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    put(storage, "a")
    monkeypatch.setattr(os, "fsync", fails_with(code))
    storage.sync_folders("")


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_a_folder_that_fails_to_sync_is_an_error(storage: Storage, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    put(storage, "a")
    monkeypatch.setattr(os, "fsync", fails_with(code))
    with pytest.raises(StorageError, match=r"cannot be synced|disk full"):
        storage.sync_folders("")
