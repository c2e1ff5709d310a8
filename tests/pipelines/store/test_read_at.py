from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from faceloom.pipelines.store import read_at as places
from faceloom.pipelines.store.object_storage import ObjectStorage
from faceloom.pipelines.store.read_at import (
    StreamReader,
    Window,
    length_of,
    one_at_a_time,
    opened,
    read_at,
    up_to_date,
    version_of,
)
from faceloom.pipelines.store.store_path import StorePath
from faceloom.schemas.errors import StorageError
from faceloom.schemas.regular_files import UnfitFileError
from tests.object_stores import Fault, s3_server

FAULT = Fault()
DATA = np.random.default_rng(0).bytes(3_000_000)


@pytest.fixture(scope="module")
def folder() -> Iterator[StorePath]:
    with s3_server(FAULT.proxy) as url:
        yield StorePath(ObjectStorage(f"{url}/files"))


def put(file: StorePath, data: bytes) -> StorePath:
    with file.storage.write(file.path) as stream:
        stream.write(data)
    return file


def test_a_file_and_an_object_are_read_alike(folder: StorePath, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(DATA)
    for place in (tmp_path / "a", put(folder / "a", DATA)):
        with opened(place) as file:
            assert length_of(file) == len(DATA)
            for offset, length in ((0, 10), (4, 8), (2_900_000, 5), (10, 2_000_000), (2_999_990, 99), (3_000_001, 5)):
                assert read_at(file, length, offset) == DATA[offset : offset + length]
        assert version_of(place)[0] == len(DATA)
    with pytest.raises(UnfitFileError), opened(tmp_path):
        pass
    with pytest.raises(FileNotFoundError):
        version_of(tmp_path / "none")
    with pytest.raises(StorageError, match="No such file"), opened(folder / "none"):
        pass


def test_reads_that_follow_each_other_take_few_requests(folder: StorePath) -> None:
    place = put(folder / "in-order", DATA)
    FAULT.seen.clear()
    with opened(place) as file:
        for offset in range(0, len(DATA), 500):
            assert read_at(file, 100, offset) == DATA[offset : offset + 100]
    assert len(FAULT.seen) < 10, "6,000 reads"


def test_long_gaps_are_skipped() -> None:
    reads: list[int] = []

    class Counted(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            reads.append(size or 0)
            return super().read(size)

    data = DATA * 8
    reader = StreamReader(Counted(data), len(data))
    for offset in (0, 20_000_000, 100, 20_000_000):
        assert reader.read_at(50, offset) == data[offset : offset + 50]
    assert len(reads) == 4 and sum(reads) <= 4 * places._BLOCK


def test_a_long_record_is_joined_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adding piece after piece would move 16 GB here."""
    monkeypatch.setattr(places, "_BLOCK", 1024)
    monkeypatch.setattr(places, "_SKIP", 512)
    data = bytes(6_000_000)
    reader = StreamReader(io.BytesIO(data), len(data))
    begin = time.process_time()
    assert reader.read_at(len(data), 0) == data and time.process_time() - begin < 0.5
    assert reader.read_at(100, len(data) - 50) == bytes(50)


def test_bytes_that_were_read_ahead_are_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_BLOCK", 64)
    monkeypatch.setattr(places, "_SKIP", 100)
    reader = StreamReader(io.BytesIO(DATA), 5000)
    for offset, length in ((0, 10), (5, 300), (290, 30), (400, 1), (410, 4590), (4990, 50), (3, 7), (4000, 1)):
        assert reader.read_at(length, offset) == DATA[:5000][offset : offset + length]


def test_a_window_holds_a_range_and_no_more() -> None:
    window = Window(DATA[100:200], 100, 150)
    assert window.read_at(20, 110) == DATA[110:130] and window.read_at(50, 140) == DATA[140:150]
    for length, offset in ((5, 90),):
        with pytest.raises(EOFError):
            window.read_at(length, offset)
    with pytest.raises(EOFError):
        Window(b"1234", 0, 100).read_at(5, 0)


def test_an_old_version_is_read_again(folder: StorePath) -> None:
    place = put(folder / "changing", b"first")
    size, e_tag = version_of(place)

    def read() -> bytes:
        return place.storage.read_range(place.path, 0, 5, str(version_of(place)[1]))

    assert up_to_date(place, read) == b"first"
    put(place, b"other bytes")
    assert version_of(place) == (size, e_tag), "not asked for each time"
    with pytest.raises(StorageError):
        read()
    assert up_to_date(place, read) == b"other" and version_of(place)[0] == 11


def test_all_threads_that_read_an_old_version_read_again(folder: StorePath) -> None:
    place, threads = put(folder / "shared", b"first"), 8
    version_of(place)
    put(place, b"other bytes")
    together = threading.Barrier(threads)
    began = threading.local()

    def read() -> bytes:
        tag = str(version_of(place)[1])
        if not hasattr(began, "once"):  # all threads have the old version in hand
            began.once = together.wait(10)
        return place.storage.read_range(place.path, 0, 5, tag)

    with ThreadPoolExecutor(threads) as pool:
        found = [pool.submit(up_to_date, place, read) for _ in range(threads)]
    assert [one.result() for one in found] == [b"other"] * threads


def test_an_error_of_the_same_version_is_an_error(folder: StorePath) -> None:
    place = put(folder / "same", b"first")
    version_of(place)
    calls = []

    def fail() -> bytes:
        calls.append(1)
        raise StorageError("away")

    for file in (place, Path("a")):
        with pytest.raises(StorageError, match="away"):
            up_to_date(file, fail)
    assert len(calls) == 2


def test_only_objects_are_locked(folder: StorePath) -> None:
    assert isinstance(one_at_a_time(Path("a")), nullcontext)
    assert one_at_a_time(folder / "a") is one_at_a_time(folder / "a") is not one_at_a_time(folder / "b")
