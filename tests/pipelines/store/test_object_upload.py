"""Writes into object stores: whole or in parts, over a lost answer, and never over another object."""

from __future__ import annotations

import io
from collections.abc import Iterator

import obstore
import pytest

from faceloom.pipelines.store import object_client, object_upload
from faceloom.pipelines.store.object_client import Patience, open_store
from faceloom.pipelines.store.object_upload import create, delete, upload
from tests.object_stores import Fault, fresh_clients, gcs_server, s3_server

FAULT = Fault()


@pytest.fixture(scope="module", params=["s3", "gs"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with {"s3": s3_server, "gs": gcs_server}[request.param](FAULT.proxy) as bucket:
        yield bucket


@pytest.fixture
def root(url: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(object_client, "PATIENCE", Patience(20, first=0.005, longest=0.02))
    FAULT.answers = lambda method, path: None
    FAULT.seen.clear()
    with fresh_clients():
        yield f"{url}/{request.node.name.split('[')[0]}"


def content(root: str, key: str) -> bytes:
    return bytes(obstore.get(open_store(root), key).bytes())


@pytest.mark.parametrize("parts", [False, True])
def test_an_upload_replaces_an_object(root: str, parts: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytes(range(256)) * 25_000  # more than one part of 5 MB
    monkeypatch.setattr(object_upload, "_LONG", len(data) + (not parts))
    obstore.put(open_store(root), "a", b"old")
    stream = io.BytesIO(data)
    stream.seek(7)  # it is read from its beginning
    done = upload(root, "a", stream, len(data))
    assert done["e_tag"] == obstore.head(open_store(root), "a")["e_tag"]
    assert content(root, "a") == data
    assert any("partNumber=2" in path for _, path in FAULT.seen) == parts


def test_an_upload_is_repeated_whole(root: str) -> None:
    FAULT.times(2, "drop", "PUT")
    upload(root, "a", io.BytesIO(b"data"), 4)
    assert content(root, "a") == b"data"


def test_one_of_two_writers_creates_an_object_even_if_both_write_the_same(root: str) -> None:
    from obstore.exceptions import AlreadyExistsError, PreconditionError

    create(root, "a", b"data")
    for data in (b"data", b"other"):
        with pytest.raises((AlreadyExistsError, PreconditionError)):
            create(root, "a", data)
    assert content(root, "a") == b"data"


def test_a_created_object_is_known_again_if_the_answer_was_lost(root: str) -> None:
    FAULT.times(1, "drop-answer", "PUT")
    done = create(root, "a", b"data")
    assert done["e_tag"] == obstore.head(open_store(root), "a")["e_tag"] and done["size"] == 4


def test_two_conditional_writes_at_once_are_no_existing_object(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 answers 409, and the library raises what it raises for an object that exists."""
    from obstore.exceptions import AlreadyExistsError

    put, failed = obstore.put, list[str]()

    def conflict(store: object, key: str, *values: object, **options: object) -> object:
        if not failed:
            failed.append(key)
            raise AlreadyExistsError("status code: 409 Conflict: <Code>ConditionalRequestConflict</Code>")
        return put(store, key, *values, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(obstore, "put", conflict)
    create(root, "a", b"data")
    assert failed and content(root, "a") == b"data"


@pytest.mark.parametrize("other", [b"more than that", b"DATA"])
def test_an_object_of_another_writer_is_no_result(root: str, other: bytes) -> None:
    from obstore.exceptions import AlreadyExistsError, PreconditionError

    obstore.put(open_store(root), "a", other)
    FAULT.times(1, 503, "PUT")
    with pytest.raises((AlreadyExistsError, PreconditionError)):
        create(root, "a", b"data")
    assert content(root, "a") == other


def test_a_deleted_object_is_gone(root: str) -> None:
    obstore.put(open_store(root), "a", b"data")
    FAULT.times(2, 503)
    delete(root, "a")
    with pytest.raises(FileNotFoundError):
        obstore.head(open_store(root), "a")
