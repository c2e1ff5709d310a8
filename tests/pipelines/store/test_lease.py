"""Leases: of several processes one holds it, a killed holder loses it, and one that lost it writes no more."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import obstore
import pytest

from faceloom.pipelines.store import lease, object_client
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from tests.object_stores import Fault, fresh_clients, gcs_server, s3_server

FAULT = Fault()


@pytest.fixture(scope="module", params=["s3", pytest.param("gs", marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with {"s3": s3_server, "gs": gcs_server}[request.param](FAULT.proxy) as bucket:
        yield bucket


@pytest.fixture
def storage(url: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    monkeypatch.setattr(lease, "SECONDS", 4.0)  # S3 has whole seconds
    monkeypatch.setattr(object_client, "PATIENCE", object_client.Patience(20, first=0.005))
    FAULT.answers = lambda method, path: None
    with fresh_clients():
        yield Storage(f"{url}/{request.node.name.split('[')[0]}")


def put(storage: Storage, path: str = "a") -> None:
    with storage.write(path) as stream:
        stream.write(b"data")


def test_a_lease_is_renewed_while_it_is_held(storage: Storage) -> None:
    with storage.exclusive():
        first = storage.stamp(".lock")
        _wait_until(lambda: storage.stamp(".lock") != first)
        assert storage.stamp(".lock") != first
        with pytest.raises(StorageError, match=r"process \d+ on .*, seen \d seconds ago. Wait"), storage.exclusive():
            pytest.fail("held twice")
        put(storage)
    assert storage.list() == ["a"], "neither the lease nor a probe stays"


def test_the_lease_of_a_killed_process_is_taken_over(storage: Storage) -> None:
    program = (
        "import sys, time\nfrom faceloom.pipelines.store import lease\nlease.SECONDS = 3.0\n"
        "from faceloom.pipelines.store.storage import Storage\n"
        "with Storage(sys.argv[1]).exclusive():\n    print('held', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, storage.root], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        holder.kill()
    with pytest.raises(StorageError, match=r"If it was killed, wait \d seconds"), storage.exclusive():
        pytest.fail("taken at once")
    time.sleep(4.2)  # the times of S3 are whole seconds
    with storage.exclusive():
        put(storage)


def test_of_many_that_take_over_one_succeeds(storage: Storage) -> None:
    client = object_client.open_store(storage.root)
    old = lease._Lease(client, storage.root, ".lock", 0.1)
    old.put("create")
    time.sleep(1.5)
    held, ready = list[int](), threading.Barrier(6)

    def take(number: int) -> None:
        ready.wait()
        try:
            lease._acquire(client, storage.root, ".lock")
            held.append(number)
        except StorageError as error:
            assert "another process" in str(error)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(held) == 1


def test_the_clock_of_this_machine_does_not_matter(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(datetime):
        """A clock that is a day ahead."""

        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now() + timedelta(days=1)

    monkeypatch.setattr(lease, "datetime", Wrong)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    with storage.exclusive(), pytest.raises(StorageError, match="another process"), storage.exclusive():
        pytest.fail("held twice")


def test_a_holder_whose_lease_is_gone_writes_no_more(storage: Storage) -> None:
    with storage.exclusive():
        put(storage)
        client = object_client.open_store(storage.root)
        obstore.put(client, ".lock", b'{"owner": "another", "seconds": 60}')
        _wait_until(lambda: is_lost(storage))
        uses: tuple[Callable[[], object], ...] = (lambda: put(storage), lambda: storage.remove("a"))
        for use in uses:
            with pytest.raises(StorageError, match="no longer holds the lock: another process took it over"):
                use()
    assert storage.exists("a") and storage.exists(".lock"), "the lease of the other one stays"
    put(storage)


def test_a_holder_that_cannot_reach_the_store_stops_before_others_may_begin(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_client, "PATIENCE", object_client.Patience(0.05, first=0.005))
    with storage.exclusive():
        begin = time.monotonic()
        FAULT.answers = lambda method, path: 503 if method == "PUT" and "lock" in path else None
        asked = begin
        while not is_lost(storage):
            assert asked - begin < lease.SECONDS, "others may take it over then"
            time.sleep(0.02)
            asked = time.monotonic()  # before the question: a busy machine may answer late
        with pytest.raises(StorageError, match="no longer holds the lock: it could not be renewed for too long"):
            put(storage)
        FAULT.answers = lambda method, path: None
        _wait_until(lambda: not is_lost(storage))  # its lease was not taken meanwhile
        put(storage)


def test_a_renewal_whose_answer_was_lost_is_still_ours(storage: Storage) -> None:
    with storage.exclusive():
        FAULT.times(1, "drop-answer", "PUT", "lock")
        time.sleep(1.5)
        put(storage)


def test_a_lease_is_held_although_the_answer_was_lost(storage: Storage) -> None:
    FAULT.times(1, "drop-answer", "PUT", "lock")
    with storage.exclusive():
        put(storage)
        with pytest.raises(StorageError, match="another process"), storage.exclusive():
            pytest.fail("held twice")
    assert storage.list() == ["a"]


def test_a_lease_that_was_renewed_late_is_renewed_before_writing(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a pause of the whole process: no other process took it, so the work goes on."""
    monkeypatch.setattr(lease._Lease, "keep", lambda held: None)
    with storage.exclusive():
        time.sleep(3)
        assert lease.now() > lease._HELD[storage.root].until
        put(storage)
        assert lease.now() < lease._HELD[storage.root].until
        client = object_client.open_store(storage.root)
        obstore.put(client, ".lock", b'{"owner": "another", "seconds": 60}')
        time.sleep(3)
        with pytest.raises(StorageError, match="another process took it over"):
            put(storage, "b")


def test_an_old_lease_is_taken_over_although_the_answer_was_lost(storage: Storage) -> None:
    lease._Lease(object_client.open_store(storage.root), storage.root, ".lock", 0.1).put("create")
    time.sleep(1.5)
    asked = list[str]()

    def answers(method: str, path: str) -> str | None:
        if method == "PUT" and path.split("?")[0].endswith("lock"):
            asked.append(path)
            return "drop-answer" if len(asked) == 2 else None  # the first one would create it
        return None

    FAULT.answers = answers
    with storage.exclusive():
        put(storage)
    assert len(asked) >= 3
    assert storage.list() == ["a"]


def test_a_lease_is_not_deleted_once_another_process_may_hold_it(storage: Storage) -> None:
    deleted = list[float]()

    def answers(method: str, path: str) -> int | None:
        if method == "DELETE" or (method == "POST" and "delete" in path):
            deleted.append(time.monotonic())
            return 503
        return None

    with storage.exclusive():
        FAULT.answers = answers
    assert deleted and deleted[-1] - deleted[0] < lease.SECONDS, "others may take it over then"
    assert storage.exists(".lock")


def test_a_write_is_not_repeated_once_the_lease_is_lost(storage: Storage) -> None:
    errors = list[str]()

    def write() -> None:
        try:
            put(storage)
        except StorageError as error:
            errors.append(str(error))

    client = object_client.open_store(storage.root)
    with storage.exclusive():
        FAULT.seen.clear()
        FAULT.answers = lambda method, path: 503 if method == "PUT" and "lock" not in path else None
        writer = threading.Thread(target=write)
        writer.start()
        _wait_until(lambda: any(method == "PUT" and "lock" not in path for method, path in FAULT.seen))
        obstore.put(client, ".lock", b'{"owner": "another", "seconds": 60}')
        _wait_until(lambda: is_lost(storage))
        FAULT.answers = lambda method, path: None
        writer.join(30)
    assert "no longer holds the lock: another process took it over" in errors[0]
    assert storage.list() == [".lock"]


def test_a_renewal_that_is_not_permitted_is_not_repeated(storage: Storage) -> None:
    with storage.exclusive():
        FAULT.answers = lambda method, path: 403 if method == "PUT" and "lock" in path else None
        _wait_until(lambda: is_lost(storage))
        begin = time.monotonic()
        with pytest.raises(StorageError, match=r"the lock cannot be renewed \(permission denied"):
            put(storage)
        assert time.monotonic() - begin < 10, "patience lasts 20 seconds"
        FAULT.answers = lambda method, path: None


def test_the_lease_of_the_next_holder_is_not_deleted_if_the_answer_was_lost(storage: Storage) -> None:
    """The first delete is done, another process creates its lease, and the first process repeats its delete."""
    client = object_client.open_store(storage.root)
    deletes = list[str]()

    def answers(method: str, path: str) -> str | None:
        if method == "DELETE" or (method == "POST" and "delete" in path):
            deletes.append(path)
            return "drop-answer" if len(deletes) == 1 else None
        if len(deletes) == 1 and not created:
            created.append(path)
            obstore.put(client, ".lock", b'{"owner": "another", "seconds": 60}')
        return None

    created = list[str]()
    with storage.exclusive():
        FAULT.answers = answers
    assert created and storage.read_bytes(".lock") == b'{"owner": "another", "seconds": 60}'


def test_a_store_that_is_away_after_a_take_over_whose_answer_was_lost(storage: Storage) -> None:
    lease._Lease(object_client.open_store(storage.root), storage.root, ".lock", 0.1).put("create")
    time.sleep(1.5)
    asked = list[str]()

    def answers(method: str, path: str) -> int | str | None:
        if "lock" in path and "partial" not in path and method in ("GET", "PUT"):
            asked.append(method)
            if method == "PUT" and asked.count("PUT") == 2:
                return "drop-answer"
            if method == "GET" and asked.count("PUT") == 3 and asked[-3:] != ["GET"] * 3:
                return 503  # to the question whether the lease is ours
        return None

    FAULT.answers = answers
    with storage.exclusive():
        put(storage)
    assert asked.count("PUT") >= 4 and asked.count("GET") >= 4


def test_a_renewal_without_an_answer_does_not_take_the_whole_time(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "REQUEST_SECONDS", 0.5)
    silent = threading.Event()

    def answers(method: str, path: str) -> None:
        if method == "PUT" and "lock" in path and not silent.is_set():
            silent.set()
            time.sleep(6)  # longer than the lease lasts

    with storage.exclusive():
        FAULT.answers = answers
        _wait_until(silent.is_set)
        begin = lease.now()
        _wait_until(lambda: lease._HELD[storage.root].until > begin + 2)  # it was renewed by another request
        assert lease.now() - begin < lease.SECONDS


def is_lost(storage: Storage) -> bool:
    try:
        lease.refuse_lost(storage.root)
    except StorageError:
        return True
    return False


def _wait_until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)
