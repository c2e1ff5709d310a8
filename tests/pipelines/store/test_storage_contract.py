"""What every storage must do, whether it is a folder, S3 or Google Cloud Storage."""

from __future__ import annotations

import io
import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from tests.object_stores import gcs_server, s3_server

KINDS = ("folder", "s3", "gs")
_numbers = iter(range(10_000))


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture(scope="module")
def gs() -> Iterator[str]:
    with gcs_server() as url:
        yield url


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("storages"))


@pytest.fixture(params=KINDS)
def storage(request: pytest.FixtureRequest) -> Storage:
    """An empty storage whose root has the same name each time, beside others."""
    return Storage(f"{request.getfixturevalue(request.param)}/{next(_numbers)}/out")


def put(storage: Storage, path: str, data: bytes = b"data", new: bool = False) -> None:
    with storage.write(path, new=new) as stream:
        stream.write(data)


def test_what_was_written_can_be_read(storage: Storage) -> None:
    put(storage, "shards/a.tar", b"0123456789")
    assert storage.exists("shards/a.tar") and storage.is_taken("shards/a.tar")
    assert storage.size("shards/a.tar") == 10
    assert storage.read_bytes("shards/a.tar") == storage.fetch("shards/a.tar").read_bytes() == b"0123456789"
    assert storage.read_range("shards/a.tar", 3, 4) == b"3456"
    assert storage.read_range("shards/a.tar", 10, 0) == b""
    put(storage, "empty", b"")
    assert storage.read_bytes("empty") == b"" and storage.size("empty") == 0
    assert storage.place("empty") == f"{storage.root}/empty"


def test_a_stream_seeks_and_reads_in_order(storage: Storage) -> None:
    data = np.random.default_rng(0).bytes(3_000_000)
    put(storage, "a.bin", data)
    with storage.open("a.bin", 3_000_000) as stream:
        assert stream.read(5) == data[:5] and stream.tell() == 5
        assert stream.seek(-7, io.SEEK_END) == 2_999_993 and stream.read() == data[-7:] and stream.read(1) == b""
        stream.seek(1000)
        pieces = [*iter(lambda: stream.read(70_001), b"")]
        assert b"".join(pieces) == data[1000:]
        assert storage.range_of(stream, "a.bin", 2_000_000, 500) == data[2_000_000:2_000_500]
        with pytest.raises(StorageError, match="damaged: the file ends before byte 3000001"):
            storage.range_of(stream, "a.bin", 2_999_999, 2)
    import pyarrow as pa

    with storage.open("a.bin") as stream, pa.PythonFile(stream, "r") as file:
        file.seek(10)
        assert file.read(10) == data[10:20]


def test_too_long_a_file_is_not_read(storage: Storage) -> None:
    put(storage, "a.bin", b"0123")
    assert storage.read_bytes("a.bin", 4) == b"0123"
    with pytest.raises(StorageError, match="it has 4 bytes; at most 3 are read"):
        storage.read_bytes("a.bin", 3)
    with pytest.raises(StorageError, match="at most 3 are read"), storage.open("a.bin", 3):
        pytest.fail("opened")


@pytest.mark.parametrize("offset, length", [(2, 4), (9, 1), (-1, 2), (1, -1)])
def test_a_short_range_is_damage(storage: Storage, offset: int, length: int) -> None:
    put(storage, "a.bin", b"0123")
    with pytest.raises(StorageError, match=f"damaged: the file ends before byte {offset + length}"):
        storage.read_range("a.bin", offset, length)


def test_what_does_not_exist(storage: Storage) -> None:
    assert not storage.exists("a/b") and not storage.is_taken("a/b")
    assert storage.list() == storage.list("a") == storage.names() == storage.partials() == []
    storage.remove("a/b")
    uses: tuple[Callable[[str], object], ...] = (storage.read_bytes, storage.size, storage.stamp)
    uses += (lambda path: storage.read_range(path, 0, 1),)
    for use in uses:
        with pytest.raises(StorageError, match=r"a/b: .*\(No such file or directory\)") as caught:
            use("a/b")
        assert isinstance(caught.value.__cause__, FileNotFoundError)
    with pytest.raises(StorageError, match="cannot be read"), storage.open("a/b"):
        pytest.fail("opened")


@pytest.mark.parametrize("path", ["/etc/passwd", "../a", "a/../../b", "a\0b"])
def test_paths_stay_inside(storage: Storage, path: str) -> None:
    uses: tuple[Callable[[str], object], ...] = (storage.read_bytes, storage.place, storage.remove, storage.exists)
    uses += (lambda path: put(storage, path),)
    for use in uses:
        with pytest.raises(StorageError, match="stay inside"):
            use(path)


def test_lists_are_sorted_deep_and_by_folder(storage: Storage) -> None:
    for path in ["b.txt", "index/z.parquet", "index/a/1.parquet", "index2/y.parquet"]:
        put(storage, path, path.encode())
    assert storage.list() == ["b.txt", "index/a/1.parquet", "index/z.parquet", "index2/y.parquet"]
    assert storage.list("index") == storage.list("index/") == ["index/a/1.parquet", "index/z.parquet"]
    assert storage.list("ind") == []
    assert storage.sizes("index") == {"index/a/1.parquet": 17, "index/z.parquet": 15}
    assert storage.names() == ["b.txt", "index", "index2"]


def test_a_long_list_is_whole(storage: Storage) -> None:
    paths = [f"work/{number:04d}" for number in range(120)]  # the emulator lists a hundred at a time
    for path in paths:
        put(storage, path, b"")
    assert storage.list("work") == paths and storage.names() == ["work"]


def test_a_file_has_its_final_name_only_when_complete(storage: Storage) -> None:
    put(storage, "a/b.bin", b"old and long")
    with storage.write("a/b.bin") as stream:
        stream.write(b"....")
        stream.seek(0)
        stream.write(b"new!")
        assert stream.tell() == 4
        assert storage.read_bytes("a/b.bin") == b"old and long" and storage.list() == ["a/b.bin"]
    assert storage.read_bytes("a/b.bin") == b"new!" and storage.list() == ["a/b.bin"]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_error_in_the_block_passes_and_leaves_nothing(storage: Storage, error: type[BaseException]) -> None:
    put(storage, "old", b"old")
    for path in ("a.bin", "old"):
        with pytest.raises(error), storage.write(path) as stream:
            stream.write(bytes(10_000_000))
            raise error
    assert storage.list() == ["old"] and storage.read_bytes("old") == b"old" and storage.partials() == []


def test_a_new_file_replaces_none(storage: Storage) -> None:
    put(storage, "release.json", b"first", new=True)
    with pytest.raises(StorageError, match=r"release\.json: this file exists already"):
        put(storage, "release.json", b"second", new=True)
    assert storage.read_bytes("release.json") == b"first"


def test_of_many_writers_of_a_new_file_one_succeeds(storage: Storage) -> None:
    won, ready = list[bytes](), threading.Barrier(8)

    def write(data: bytes) -> None:
        try:
            with storage.write("release.json", new=True) as stream:
                stream.write(data)
                ready.wait()
            won.append(data)
        except StorageError as error:
            assert "exists already" in str(error)

    threads = [threading.Thread(target=write, args=(b"%d" % number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [storage.read_bytes("release.json")] and storage.list() == ["release.json"]


def test_what_is_written_already_is_left_alone(storage: Storage) -> None:
    for data in (b"old", b"old", b"new", b"newer"):
        storage.write_if_changed("a.json", data)
        assert storage.read_bytes("a.json") == data
    stamp = storage.stamp("a.json")
    storage.write_if_changed("a.json", b"newer")
    assert storage.stamp("a.json") == stamp
    storage.write_if_changed("a.json", b"other")
    assert storage.stamp("a.json") != stamp


def test_it_pickles_compares_and_knows_what_it_holds(storage: Storage) -> None:
    again = pickle.loads(pickle.dumps(storage))
    assert again == storage and type(again) is type(storage) and hash(again) == hash(storage)
    assert storage.holds(storage.root) and storage.holds(f"{storage.root}/a") and not storage.holds(f"{storage.root}2")
    assert not Storage(f"{storage.root}/a").holds(storage.root)


def test_it_can_be_checked_before_work(storage: Storage) -> None:
    storage.check_folder()
    storage.check_writable()
    assert storage.list() == [] and storage.sweep_partials() == []
    put(storage, "shards/a")
    storage.sync_folders("shards", "")
    storage.remove_folder("shards")
    assert storage.list() == ["shards/a"] and storage.missing_folders() == []


def test_one_holder_at_a_time(storage: Storage) -> None:
    with storage.exclusive():
        message = r"another process is writing to this folder.*Wait until"
        with pytest.raises(StorageError, match=message), storage.exclusive():
            pytest.fail("held twice")
        put(storage, "a")
    with storage.exclusive():
        assert storage.read_bytes("a") == b"data"


def test_a_lock_file_of_another_program_is_kept(storage: Storage) -> None:
    put(storage, ".lock", b"precious")
    with pytest.raises(StorageError, match="no lock file of faceloom"), storage.exclusive():
        pytest.fail("locked")
    assert storage.read_bytes(".lock") == b"precious"


_LETTERS = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="/\\")
_NAME = st.text(_LETTERS, min_size=1, max_size=20).filter(
    lambda name: name not in (".", "..") and len(name.encode()) < 99
)


@pytest.mark.parametrize("kind", KINDS)
@given(names=st.lists(_NAME, min_size=1, max_size=3), data=st.binary(max_size=50))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_names_of_all_kinds_come_back(request: pytest.FixtureRequest, kind: str, names: list[str], data: bytes) -> None:
    storage = Storage(f"{request.getfixturevalue(kind)}/{next(_numbers)}")
    path = "/".join(names)
    put(storage, path, data)
    assert storage.list() == [path] and storage.names() == [names[0]]
    assert storage.read_bytes(path) == data and storage.size(path) == len(data)
    storage.remove(path)
    assert storage.list() == [] and not storage.exists(path)


def test_urls_and_paths(tmp_path: Path) -> None:
    assert type(Storage(str(tmp_path))) is Storage
    assert Storage(str(Path("s3://bucket/a/b"))).root == Storage("s3://bucket/a/b/").root == "s3://bucket/a/b"
    assert type(Storage("./s3:a")) is Storage, "a file name with a colon"
