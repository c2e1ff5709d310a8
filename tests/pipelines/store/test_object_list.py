"""Lists of objects: complete and in order, in one range or in several at once, also if an answer breaks off."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from faceloom.pipelines.sources.registry import open_source
from faceloom.pipelines.store import object_client, object_list
from faceloom.pipelines.store.object_client import Patience, open_store
from faceloom.pipelines.store.object_list import end_of, list_objects
from faceloom.pipelines.store.object_storage import ObjectStorage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.source_spec import SourceSpec
from tests.object_stores import gcs_server, s3_server

obstore = pytest.importorskip("obstore", reason="needs the extra `cloud`")
PATHS = sorted(
    [f"person {number:02d}/{photo}.jpg" for number in range(12) for photo in range(number % 5)]
    + ["a.jpg", "person 03-b/x.jpg", "person 03.jpg", "person 05", "person 07/deep/down.jpg", "zoë/é.jpg", "zz.jpg"]
)


@pytest.fixture(scope="module", params=["s3", "gs"])
def storage(request: pytest.FixtureRequest) -> Iterator[ObjectStorage]:
    with {"s3": s3_server, "gs": gcs_server}[request.param]() as url:
        made = ObjectStorage(f"{url}/sets/photos")
        for path in PATHS:
            with made.write(path) as stream:
                stream.write(path.encode())
        yield made


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short waits."""
    monkeypatch.setattr(object_client, "PATIENCE", Patience(20, first=0.001))


class Lists:
    """What is listed, with an answer that breaks off after some pages of each request."""

    def __init__(self) -> None:
        self.offsets: list[str | None] = []
        self.threads: set[int] = set()
        self.pages: int | None = None
        self._original: Any = obstore.list

    def __call__(self, store: Any, *, offset: str | None, chunk_size: int) -> Iterator[Any]:
        self.offsets.append(offset)
        self.threads.add(threading.get_ident())
        for number, page in enumerate(self._original(store, offset=offset, chunk_size=chunk_size)):
            if number == self.pages:
                raise obstore.exceptions.GenericError("error decoding response body")
            yield page


@pytest.fixture
def lists(monkeypatch: pytest.MonkeyPatch) -> Lists:
    made = Lists()
    monkeypatch.setattr(obstore, "list", made)
    monkeypatch.setattr(object_list, "_PAGE", 4)
    monkeypatch.setattr(object_list, "_ALONE", 2)
    return made


@pytest.mark.parametrize("pages", [None, 1])
@pytest.mark.parametrize(("length", "held"), [(1, 1), (1, 20), (3, 2), (1000, 1), (1000, 20)])
def test_ranges_together_hold_every_object_once_and_in_order(
    storage: ObjectStorage, lists: Lists, monkeypatch: pytest.MonkeyPatch, length: int, held: int, pages: int | None
) -> None:
    monkeypatch.setattr(object_list, "_LENGTH", length)
    monkeypatch.setattr(object_list, "_HELD", held)
    lists.pages = pages
    entries = list(storage.entries(in_folders=True))
    assert [entry.path for entry in entries] == PATHS
    assert [entry.size for entry in entries] == [len(path.encode()) for path in PATHS]
    assert all(entry.e_tag for entry in entries) and len(lists.threads) > 1
    assert entries == list(storage.entries())


def test_a_list_that_breaks_off_goes_on_where_it_stopped(
    storage: ObjectStorage, lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists.pages = 1
    assert [entry.path for entry in storage.entries()] == PATHS
    assert lists.offsets == [None, *PATHS[3::4]][: len(lists.offsets)] and len(lists.offsets) >= len(PATHS) // 4
    lists.pages, lists.offsets[:] = 0, []
    monkeypatch.setattr(object_client, "PATIENCE", Patience(0.1, first=0.001))
    with pytest.raises(StorageError, match="cannot be listed"):
        list(storage.entries())
    assert {*lists.offsets} == {None}, "without any progress it gives up"


@pytest.mark.parametrize(("page", "pages"), [(1, None), (2, None), (2, 2), (3, None), (3, 2), (5, 1)])
def test_objects_for_folders_that_are_listed_late_double_no_other(
    monkeypatch: pytest.MonkeyPatch, page: int, pages: int | None
) -> None:
    """The library lists `a/` as `a`, behind `a-b/1`: behind `a` the list must not begin again."""
    folders = [f"p{number}{end}" for number in range(4) for end in ("", "-b", "-c")]
    keys = sorted([f"{folder}/" for folder in folders] + [f"{folder}/{n}.jpg" for folder in folders for n in range(2)])

    def listed(store: Any, *, offset: str | None, chunk_size: int) -> Iterator[Any]:
        left = [key for key in keys if offset is None or key > offset]
        for number, at in enumerate(range(0, len(left), page)):
            if number == pages:
                raise obstore.exceptions.GenericError("error decoding response body")
            some = left[at : at + page]
            yield [{"path": key.rstrip("/"), "size": not key.endswith("/"), "e_tag": "x"} for key in some]

    monkeypatch.setattr(obstore, "list", listed)
    monkeypatch.setattr(object_list, "_ALONE", 2)
    monkeypatch.setattr(object_list, "_HELD", 2)
    for whole in (list_objects(None, lambda: folders), list_objects(None)):  # type: ignore[arg-type]
        assert [one.path for one in whole if one.size] == [key for key in keys if not key.endswith("/")]


def test_a_fault_of_one_range_ends_the_list(
    storage: ObjectStorage, lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = list_objects(open_store(storage.root), lambda: ["person 02", "person 08"])
    assert [next(found).path for _ in range(8)] == PATHS[:8]
    lists.pages = 0
    monkeypatch.setattr(object_client, "PATIENCE", Patience(0.1, first=0.001))
    with pytest.raises(obstore.exceptions.GenericError):
        list(found)


def test_a_folder_with_nearly_all_objects_is_not_held_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = []

    def endless(store: Any, *, offset: str | None, chunk_size: int) -> Iterator[Any]:
        for number in range(int((offset or "train/0").partition("/")[2] or 0), 10**6):
            listed.append(number)
            yield [{"path": f"train/{number + 1:07d}", "size": 1, "e_tag": '"x"'}]

    monkeypatch.setattr(obstore, "list", endless)
    found: Any = list_objects(None, lambda: ["train"])  # type: ignore[arg-type]
    paths = [next(found).path for _ in range(200)]
    assert paths == [f"train/{number:07d}" for number in range(1, 201)]
    assert len(listed) <= 200 + object_list._AT_ONCE * object_list._HELD
    found.close()


def test_short_lists_take_one_request(storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = Lists()
    monkeypatch.setattr(obstore, "list", lists)
    monkeypatch.setattr(ObjectStorage, "_folders", None)
    assert len(list(storage.entries(in_folders=True))) == len(PATHS) and lists.offsets == [None]


def test_photos_of_people_are_listed_in_ranges(storage: ObjectStorage, lists: Lists) -> None:
    for kind, several in (("flat", False), ("people", True)):
        source = open_source(SourceSpec.model_validate({"path": storage.root, "kind": kind}))
        lists.threads.clear()
        assert len(list(source.scan())) == len(PATHS)
        assert (len(lists.threads) > 1) == several


def test_behind_an_empty_page_a_list_goes_on_where_it_was() -> None:
    assert end_of([], "a/b.jpg") == "a/b.jpg" and end_of([], "") == ""
