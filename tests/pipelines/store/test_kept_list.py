"""Lists that are kept: continued after a kill, never used after a scan, and harmless if damaged."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

from faceloom.pipelines.store import kept_list
from faceloom.pipelines.store.kept_list import KeptLists, forget_lists
from faceloom.pipelines.store.object_list import ObjectEntry
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.table_reader import parse_stored_metadata
from faceloom.schemas.errors import StorageError

ROOT = "s3://bucket/photos"
OBJECTS = [ObjectEntry(f"a/{number:02d}.jpg", number, f"tag {number}") for number in range(11)]


class Store:
    """Objects, and behind which path they were listed."""

    def __init__(self, objects: list[ObjectEntry]) -> None:
        self.objects, self.asked = objects, list[str]()

    def behind(self, last: str) -> Iterator[ObjectEntry]:
        self.asked.append(last)
        yield from (one for one in self.objects if one.path > last)


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    monkeypatch.setattr(kept_list, "PIECE", 3)
    return Storage(str(tmp_path))


def killed_after(storage: Storage, count: int) -> None:
    """List so many objects in a run that is killed then."""
    found = KeptLists(storage, print).entries(ROOT, Store(OBJECTS).behind)
    assert [next(found) for _ in range(count)] == OBJECTS[:count]


def listed(storage: Storage, objects: list[ObjectEntry] = OBJECTS) -> tuple[list[ObjectEntry], list[str], list[str]]:
    """What the next run lists, behind which paths it asks the store, and its notes."""
    store, notes = Store(objects), list[str]()
    return [*KeptLists(storage, notes.append).entries(ROOT, store.behind)], store.asked, notes


@pytest.mark.parametrize("count", range(12))
def test_a_run_goes_on_behind_the_last_whole_piece(storage: Storage, count: int) -> None:
    killed_after(storage, count)
    whole = max(0, count // 3 * 3)
    assert listed(storage)[:2] == (OBJECTS, [OBJECTS[whole - 1].path if whole else ""])
    assert [*KeptLists(storage, print).entries("s3://bucket/other", Store(OBJECTS[:2]).behind)] == OBJECTS[:2]


def test_the_user_learns_of_it(storage: Storage) -> None:
    killed_after(storage, 2)
    assert not listed(storage)[2]
    killed_after(storage, 5)
    (note,) = listed(storage)[2]
    assert ROOT in note and "0 minutes ago" in note and "--no-resume" in note


def test_a_second_pass_of_a_scan_asks_no_more(storage: Storage) -> None:
    lists, store = KeptLists(storage, print), Store(OBJECTS)
    for _ in range(2):
        assert [*lists.entries(ROOT, store.behind)] == OBJECTS
    assert store.asked == [""]
    few = Store(OBJECTS[:2])
    for _ in range(2):
        assert [*lists.entries("s3://bucket/few", few.behind)] == OBJECTS[:2]
    assert few.asked == ["", ""], "a short list is not kept"


@pytest.mark.parametrize("count", [6, 9])
def test_a_list_that_ends_with_a_piece_is_whole(storage: Storage, count: int) -> None:
    lists, store = KeptLists(storage, print), Store(OBJECTS[:count])
    for _ in range(2):
        assert [*lists.entries(ROOT, store.behind)] == OBJECTS[:count]
    assert store.asked == [""]


def test_after_a_scan_nothing_is_left(storage: Storage, tmp_path: Path) -> None:
    lists = KeptLists(storage, print)
    assert [*lists.entries(ROOT, Store(OBJECTS).behind)] == OBJECTS and storage.list("work")
    lists.forget()
    assert storage.list() == [] and not [*tmp_path.iterdir()]
    assert listed(storage, OBJECTS[4:])[:2] == (OBJECTS[4:], [""])


def test_other_work_stays(storage: Storage) -> None:
    killed_after(storage, 7)
    with storage.write("work/part.tar") as stream:
        stream.write(b"x")
    forget_lists(storage)
    assert storage.list() == ["work/part.tar"]


@pytest.mark.parametrize("hours", [-1, 3])
def test_an_old_list_is_not_used(storage: Storage, monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    """Nor one that a later clock began."""
    killed_after(storage, 10)
    now = time.time() + 3600 * hours
    monkeypatch.setattr(time, "time", lambda: now)
    other = OBJECTS[2:]
    found, asked, notes = listed(storage, other)
    assert (found, asked, notes) == (other, [""], [])


def test_pieces_of_an_older_list_are_not_mixed_in(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_after(storage, 11)
    storage.remove(storage.list("work")[0])
    later = [one for one in OBJECTS if one.path != "a/01.jpg"]
    found = KeptLists(storage, print).entries(ROOT, Store(later).behind)
    assert [next(found) for _ in range(4)] == later[:4]
    assert listed(storage, later)[:2] == (later, [later[2].path])


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("damage", ["cut", "empty", "flipped"])
def test_a_damaged_piece_is_listed_again(storage: Storage, number: int, damage: str) -> None:
    killed_after(storage, 10)
    path = storage.list("work")[number]
    data = bytearray(storage.read_bytes(path))
    data[60] ^= 0xFF
    with storage.write(path) as stream:
        stream.write(bytes({"cut": data[: len(data) // 2], "empty": bytearray(), "flipped": data}[damage]))
    found, asked, _ = listed(storage)
    assert found == OBJECTS and asked == [OBJECTS[3 * number - 1].path if number else ""]


def test_a_folder_that_is_listed_late_doubles_no_other(storage: Storage) -> None:
    """The empty object of `a/` is listed as `a`, behind `a-b/1`."""
    raw = ["a-b/1", "a-b/2", "a/", "a/1", "a/2"]

    def behind(last: str) -> Iterator[ObjectEntry]:
        for key in raw:
            if key > last:
                yield ObjectEntry(key.rstrip("/"), len(key.split("/")[1]), "x")

    found = KeptLists(storage, print).entries(ROOT, behind)
    assert len([next(found) for _ in range(4)]) == 4
    again = [one.path for one in KeptLists(storage, print).entries(ROOT, behind) if one.size]
    assert again == [key for key in raw if not key.endswith("/")]


def test_a_fault_of_the_store_passes(storage: Storage) -> None:
    def behind(last: str) -> Iterator[ObjectEntry]:
        yield from takewhile(lambda one: one.size < 4, OBJECTS)
        raise StorageError("cannot be listed")

    with pytest.raises(StorageError, match="cannot be listed"):
        list(KeptLists(storage, print).entries(ROOT, behind))
    assert listed(storage)[1] == [OBJECTS[2].path]


@pytest.mark.parametrize("number", [0, 2])
def test_an_empty_piece_within_a_list_is_damaged(storage: Storage, number: int) -> None:
    killed_after(storage, 10)
    lists, path = KeptLists(storage, print), storage.list("work")[number]
    facts = parse_stored_metadata(storage.read_bytes(path), path)
    lists._write(path, [], {name: facts[name] for name in (b"began", b"start")})
    assert listed(storage)[:2] == (OBJECTS, [OBJECTS[3 * number - 1].path if number else ""])
