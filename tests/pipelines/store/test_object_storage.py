"""Storage in an object store while the store, or the way to it, has faults."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.store import object_client, object_upload
from faceloom.pipelines.store.object_client import Patience
from faceloom.pipelines.store.object_storage import ObjectStorage
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from tests.object_stores import Fault, fresh_clients, gcs_server, s3_server

FAULT = Fault()
DATA = os.urandom(200_000)


@pytest.fixture(scope="module", params=["s3", "gs"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with {"s3": s3_server, "gs": gcs_server}[request.param](FAULT.proxy) as bucket:
        yield bucket


@pytest.fixture
def storage(url: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStorage]:
    """A storage that is given up soon, and the file `old` in it."""
    monkeypatch.setattr(object_client, "PATIENCE", Patience(0.1, first=0.005, longest=0.02))
    monkeypatch.setattr(object_client, "TIMEOUTS", {"timeout": timedelta(seconds=2)})
    FAULT.delay, FAULT.answers = 0.0, lambda method, path: None
    with fresh_clients():
        made = Storage(f"{url}/{request.node.name.split('[')[0]}")
        assert isinstance(made, ObjectStorage)
        put(made, "old")
        FAULT.seen.clear()
        yield made
        FAULT.delay, FAULT.answers = 0.0, lambda method, path: None


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Many short waits, until the store is back."""
    monkeypatch.setattr(object_client, "PATIENCE", Patience(20, first=0.005, longest=0.02))
    with fresh_clients():
        yield


def put(storage: Storage, path: str, data: bytes = DATA, new: bool = False) -> None:
    with storage.write(path, new=new) as stream:
        stream.write(data)


def use_all(storage: Storage) -> None:
    """Every kind of request."""
    put(storage, "a")
    assert storage.read_bytes("a") == DATA and storage.read_range("a", 5, 7) == DATA[5:12]
    assert storage.list() == ["a", "old"]
    with storage.open("a") as stream:
        assert b"".join(iter(lambda: stream.read(30_000), b"")) == DATA
    storage.remove("a")
    assert not storage.exists("a")


@pytest.mark.parametrize("answer", [503, 500, "drop", "cut"])
def test_faults_that_end_are_not_noticed(storage: Storage, patient: None, answer: int | str) -> None:
    failed: set[tuple[str, str]] = set()

    def once(method: str, path: str) -> int | str | None:
        """The first time that something is asked, and each time in the middle of an upload."""
        if (method, path) in failed or (answer == "cut" and method != "GET"):
            return None
        failed.add((method, path))
        return answer

    FAULT.answers = once
    use_all(storage)
    assert failed


@pytest.mark.parametrize("answer", [503, 429, "drop-answer"])
def test_every_request_waits_until_the_store_is_back(
    storage: ObjectStorage, patient: None, monkeypatch: pytest.MonkeyPatch, answer: int | str
) -> None:
    """Twelve times in vain, although some of them were done and only the answer was lost."""
    monkeypatch.setattr(object_upload, "_LONG", len(DATA))  # which is sent in parts
    for name in ("removed", "read"):
        put(storage, name, b"few")
    asked = Counter[tuple[str, str]]()

    def away(method: str, path: str) -> int | str | None:
        asked[method, path.partition("?")[0]] += 1
        return answer if asked[method, path.partition("?")[0]] <= 12 else None

    FAULT.answers = away
    uses: list[Callable[[], object]] = [
        lambda: storage.read_bytes("read"), lambda: storage.read_range("read", 1, 2), lambda: storage.size("read"),
        storage.list, storage.names, lambda: [*storage.entries()], lambda: storage.remove("removed"),
        lambda: put(storage, "short", b"few"), lambda: put(storage, "long"), lambda: put(storage, "new", new=True),
    ]  # fmt: skip
    with ThreadPoolExecutor(len(uses)) as threads:
        found = [one.result() for one in [threads.submit(use) for use in uses]]
    assert len(asked) > 6 and min(asked.values()) > 12
    assert found[:3] == [b"few", b"ew", 3]
    assert storage.sizes() == {"long": len(DATA), "new": len(DATA), "old": len(DATA), "read": 3, "short": 3}


def test_an_object_of_another_writer_is_not_taken_for_our_own(storage: ObjectStorage, patient: None) -> None:
    FAULT.times(1, 503, "PUT", "old")
    with pytest.raises(StorageError, match="this file exists already"):
        put(storage, "old", b"other", new=True)
    assert storage.read_bytes("old") == DATA


def test_a_store_that_answers_too_late_is_asked_again(storage: Storage, patient: None) -> None:
    slow = threading.Event()

    def late(method: str, path: str) -> None:
        if not slow.is_set():
            slow.set()
            threading.Event().wait(2.5)

    FAULT.answers = late
    assert storage.read_bytes("old") == DATA
    assert slow.is_set() and len(FAULT.seen) == 2


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (503, r"the store answers 503 Service Unavailable.*\)"),
        (403, r"permission denied.*Check what your credentials permit in this bucket: (AWS|GOOGLE)_"),
        ("drop", r"the store cannot be reached(, \d+ tries)?\)"),
    ],
)
def test_faults_that_stay_are_named(storage: Storage, answer: int | str, what: str) -> None:
    FAULT.answers = lambda method, path: answer
    uses: dict[str, Callable[[], object]] = {
        "read": lambda: storage.read_bytes("old"), "accessed": lambda: storage.size("old"),
        "listed": storage.list, "written": lambda: put(storage, "b"), "removed": lambda: storage.remove("old"),
    }  # fmt: skip
    for verb, use in uses.items():
        with pytest.raises(StorageError, match=rf"cannot be {verb} \({what}") as caught:
            use()
        assert caught.value.remedy and "\n" not in str(caught.value)
        assert isinstance(caught.value.__cause__, OSError), "nothing is wrong with the file"
    with pytest.raises(StorageError, match=r"cannot be accessed"):
        storage.exists("old")
    FAULT.answers = lambda method, path: None
    assert storage.list() == ["old"]


def test_a_store_that_is_gone_is_named(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "STORAGE_EMULATOR_HOST"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with (
        fresh_clients(),
        pytest.raises(
            StorageError, match=r"cannot be reached: connection refused(, \d+ tries)?\). Check \w+ .now http://127"
        ),
    ):
        storage.check_folder()


def test_a_bucket_that_does_not_exist_is_named(storage: Storage) -> None:
    scheme = storage.root.partition(":")[0]
    other = Storage(f"{scheme}://no-such-bucket/out")
    for use in (other.check_folder, lambda: put(other, "a"), other.check_writable, lambda: other.read_bytes("a")):
        with pytest.raises(StorageError, match=r"there is no such bucket.*Create the bucket first"):
            use()


@pytest.mark.parametrize("size", [200_000, 40_000_000])
def test_a_truncated_upload_is_found(storage: Storage, size: int) -> None:
    """The store accepts half of what was sent; a long file is sent in parts, and the last one is cut."""
    last = size // (5 * 2**20) + 1
    FAULT.answers = lambda method, path: (
        "half" if method == "PUT" and (size < 2**25 or f"partNumber={last}" in path) else None
    )
    message = rf"a: the upload was cut: the store holds [\d,]+ bytes of {size:,}"
    for new in (False, True):
        with pytest.raises(StorageError, match=message):
            put(storage, "a", bytes(size), new=new and size < 2**25)
        assert storage.list() == ["old"], "no half file has a final name"


def test_a_part_of_an_upload_that_is_lost_is_found(storage: Storage) -> None:
    """The store answers that it has the part, and does not."""
    FAULT.answers = lambda method, path: "lose" if "partNumber=3" in path else None
    with pytest.raises(StorageError, match=r"a: (cannot be written|the upload was cut)"):
        put(storage, "a", bytes(40_000_000))
    assert storage.list() == ["old"]


def test_a_writer_that_is_killed_while_it_uploads_leaves_nothing(storage: Storage) -> None:
    program = (
        "import sys\nfrom faceloom.pipelines.store.storage import Storage\n"
        "with Storage(sys.argv[1]).write('a') as stream:\n    stream.write(bytes(40_000_000))\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, storage.root]) as writer:

        def kill(method: str, path: str) -> str | None:
            if "partNumber=3" not in path:
                return None
            writer.kill()
            return "drop"

        FAULT.answers = kill
        assert writer.wait(60) == -signal.SIGKILL
    assert storage.list() == ["old"] and not storage.exists("a")


@pytest.mark.parametrize("answer", ["late", "drop-answer"])
def test_a_removal_without_an_answer_is_repeated(storage: Storage, patient: None, answer: str) -> None:
    failed: list[str] = []

    def once(method: str, path: str) -> str | None:
        if failed or method not in ("DELETE", "POST"):
            return None
        failed.append(path)
        threading.Event().wait(2.5 if answer == "late" else 0)
        return None if answer == "late" else answer

    FAULT.answers = once
    storage.remove("old")
    assert failed and storage.list() == []


def test_a_truncated_answer_is_an_error(storage: Storage) -> None:
    FAULT.answers = lambda method, path: "cut" if method == "GET" else None
    uses: tuple[Callable[[], object], ...] = (
        lambda: storage.read_bytes("old"),
        lambda: storage.read_range("old", 0, 100_000),
    )
    for use in uses:
        with pytest.raises(StorageError, match=r"old: cannot be read"):
            use()


def test_a_store_that_stays_away_is_not_asked_for_the_size_of_a_range_too(storage: ObjectStorage) -> None:
    FAULT.answers = lambda method, path: 503
    with pytest.raises(StorageError, match="503"):
        storage.read_range("old", 0, 100)
    assert {method for method, _ in FAULT.seen} == {"GET"}


def test_an_upload_that_breaks_off_leaves_nothing(storage: Storage) -> None:
    FAULT.answers = lambda method, path: 503 if "partNumber=3" in path else None
    with pytest.raises(StorageError, match="cannot be written"):
        put(storage, "a", bytes(40_000_000))
    FAULT.answers = lambda method, path: None
    assert storage.list() == ["old"] and not storage.exists("a")


def test_a_file_that_is_replaced_while_it_is_read_is_an_error(storage: Storage) -> None:
    with storage.open("old") as stream:
        stream.read(10)
        put(storage, "old", DATA[::-1])
        with pytest.raises(StorageError, match="old: cannot be read"):
            stream.seek(100_000)
            stream.read(10)


def test_single_ranges_take_one_request_and_files_in_order_few(storage: Storage) -> None:
    storage.read_range("old", 1000, 50)
    storage.read_bytes("old")
    assert len(FAULT.seen) == 2
    FAULT.seen.clear()
    with storage.open("old") as stream:
        while stream.read(100):
            pass
    assert len(FAULT.seen) <= 4


def test_copies_on_this_machine_follow_the_object(storage: Storage) -> None:
    first = storage.fetch("old")
    assert first.read_bytes() == DATA and storage.fetch("old") == first
    put(storage, "old", b"new")
    assert storage.fetch("old").read_bytes() == b"new"
    with pytest.raises(StorageError, match="an object has no path on this machine"):
        storage.local("old")


def test_threads_may_copy_one_object_at_the_same_time(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    with storage.write("shared") as stream:
        stream.write(DATA)
    both, real = threading.Barrier(2), shutil.copyfileobj

    def copy(*given: Any) -> None:
        both.wait(10)
        real(*given)
        both.wait(10)

    monkeypatch.setattr(shutil, "copyfileobj", copy)
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(storage.fetch, ("shared", "shared"))
    assert first == second and first.read_bytes() == DATA
    assert not [one for one in first.parent.iterdir() if one.name.startswith("tmp")]


def test_a_temporary_folder_without_space_is_named(storage: Storage) -> None:
    message = r"a, in the temporary folder .*: cannot be written \(No space left on device\)"
    with pytest.raises(StorageError, match=message), storage.write("a"):
        raise OSError(28, os.strerror(28))
    assert storage.list() == ["old"]


def test_what_a_killed_locker_left_is_swept(storage: Storage) -> None:
    put(storage, ".lock.partial-12-345")
    assert storage.partials() == storage.sweep_partials() == [".lock.partial-12-345"]
    assert storage.list() == ["old"]


def test_only_folders_of_this_machine_have_paths_in_our_code() -> None:
    """`Storage.local` does not exist for object stores, so nothing outside of these modules may need it."""
    root = Path(__file__).resolve().parents[3]
    users = {
        path.relative_to(root).as_posix()
        for room in ("pipelines", "faceloom", "models")
        for path in (root / room).rglob("*.py")
        if ".local(" in path.read_text()
    }
    own = {"pipelines/store/storage.py", "pipelines/cards/gallery_mark.py", "pipelines/cli/view_page.py"}
    assert users == own
