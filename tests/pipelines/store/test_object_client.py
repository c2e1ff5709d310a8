"""Opening stores: which URLs, with which credentials, and what errors state."""

from __future__ import annotations

import errno
import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.store import object_client
from faceloom.pipelines.store.object_client import as_os_error, check_url, object_errors, open_store, raise_object_error
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from tests.object_stores import _KEYS, fresh_clients, s3_server
from tests.patience import on_busy_machine


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("ftp://host/a", "not supported"),
        ("http://host/a", "not supported"),
        ("s3://", "does not name a folder"),
        ("s3:bucket/a", "does not name a folder"),
        ("s3:///a", "does not name a folder"),
        ("s3://bucket/a//b", "does not name a folder"),
        ("s3://bucket/../b", "does not name a folder"),
        ("gs://bucket/a?x=1", "does not name a folder"),
    ],
)
def test_urls_that_name_no_folder_of_a_bucket(url: str, what: str) -> None:
    with pytest.raises(StorageError, match=what):
        check_url(url)


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/a b/ü", "gs://my_bucket.x/a", "az://container/a"])
def test_urls_that_do(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize("address", ["127.0.0.1:9000", "http://", "store"])
def test_an_endpoint_that_is_no_address(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library would panic."""
    pytest.importorskip("obstore")
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    with fresh_clients(), pytest.raises(StorageError, match=r"AWS_ENDPOINT_URL .* such as http://127.0.0.1:9000"):
        open_store("s3://bucket/a")


def test_a_server_that_cannot_be_reached_is_named_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("obstore")
    for name, value in {**_KEYS, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(object_client, "PATIENCE", object_client.Patience(0.0))
    found = r"cannot be reached: connection refused\)\. Check AWS_ENDPOINT_URL .now http://127.0.0.1:1"
    with fresh_clients(), pytest.raises(StorageError, match=found):
        Storage("s3://bucket/out").names()


def test_the_message_states_that_no_credentials_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = PermissionError(errno.EACCES, "permission denied")
    for given in (True, False):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x") if given else monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        with pytest.raises(StorageError) as caught:
            object_client.raise_object_error(refused, "cannot be read", "s3://bucket/a")
        assert ("not set" in str(caught.value)) != given


def test_without_the_extra_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with fresh_clients(), pytest.raises(StorageError, match=r"Run: pip install 'faceloom\[cloud\]'"):
        Storage("s3://bucket/out").exists("a")


class Unauthenticated(Exception):
    """Looks like an error of the library."""


Unauthenticated.__name__ = "UnauthenticatedError"
Unauthenticated.__module__ = "obstore.exceptions"


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (FileNotFoundError("Object not found\nstatus code: 404 Not Found"), errno.ENOENT, "No such file"),
        (FileNotFoundError("… <Code>NoSuchBucket</Code>"), errno.ENODEV, "there is no such bucket"),
        (ValueError("status code: 403 Forbidden: <Code>Denied</Code>"), errno.EACCES, "403 Forbidden, Denied"),
        (Unauthenticated("no token"), errno.EACCES, "permission denied"),
        (ValueError("x after 8 retries - status code: 503 Slow Down"), errno.EIO, "503 Slow Down, 9 tries"),
        (ValueError("x - HTTP error: operation timed out"), errno.ETIMEDOUT, "no answer in time"),
        (ValueError("x - HTTP error: error sending request\n"), errno.EIO, "the store cannot be reached"),
        (ValueError("Generic S3 error: odd\nDebug"), errno.EIO, "odd"),
    ],
)  # fmt: skip
def test_errors_of_the_library_become_those_of_a_disk(error: Exception, code: int, text: str) -> None:
    found = as_os_error(error)
    assert found.errno == code and text in str(found.strerror)
    with (
        pytest.raises(StorageError, match=r"^a/b: cannot be read \(") as caught,
        object_errors("cannot be read", "a/b"),
    ):
        raise error
    assert caught.value.remedy and isinstance(caught.value.__cause__, OSError)


def test_errors_of_others_pass() -> None:
    with pytest.raises(ZeroDivisionError), object_errors("cannot be read", "a"):
        _ = 1 / 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_is_told_at_once_and_a_spawned_one_reads() -> None:
    """Threads of the library do not survive a fork: without the check, each call would wait forever."""
    with s3_server() as url:
        storage = Storage(f"{url}/out")
        with storage.write("a") as stream:
            stream.write(b"data")
        answer = _in_process("fork", storage)
        assert answer.startswith("StorageError") and "a forked process cannot use an object store" in answer
        assert "multiprocessing_context='spawn'" in answer
        assert _in_process("spawn", storage) == "data"
        assert storage.read_bytes("a") == b"data"


def _in_process(method: str, storage: Storage) -> str:
    context: Any = multiprocessing.get_context(method)
    answers = context.SimpleQueue()
    process = context.Process(target=_read, args=(storage, answers))
    process.start()
    process.join(on_busy_machine(60))
    assert process.exitcode == 0, "it waits forever" if process.exitcode is None else "it died"
    return str(answers.get())


def _read(storage: Storage, answers: Any) -> None:
    try:
        answers.put(storage.read_bytes("a").decode())
    except Exception as error:
        answers.put(f"{type(error).__name__} {error}")


def test_clients_are_kept_by_url(tmp_path: Path) -> None:
    make: Callable[[str], object] = open_store
    with s3_server() as url:
        assert make(f"{url}/a") is make(f"{url}/a") is not make(f"{url}/b")
        assert object_client._Process.used


@pytest.mark.parametrize(("scheme", "named"), [("s3", "AWS_"), ("gs", "GOOGLE_"), ("az", "AZURE_")])
def test_a_refused_request_names_the_credentials_of_its_store(scheme: str, named: str) -> None:
    with pytest.raises(StorageError, match=f"what your credentials permit in this bucket: {named}"):
        raise_object_error(PermissionError(errno.EACCES, "no"), "cannot be read", f"{scheme}://bucket/a")
