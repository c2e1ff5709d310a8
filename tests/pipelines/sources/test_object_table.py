"""Tables whose photos lie in a store; that they give the rows of a folder is in test_sources_in_stores.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.sources import object_table
from faceloom.pipelines.sources.registry import kind_of, open_source
from faceloom.pipelines.store.object_list import ObjectEntry
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.store_path import StorePath
from faceloom.schemas.errors import SourceError, TableError
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.source_spec import SourceSpec
from tests.object_stores import Fault, s3_server

FAULT = Fault()


@pytest.fixture(scope="module")
def store() -> Iterator[Storage]:
    with s3_server(FAULT.proxy) as url:
        storage = Storage(f"{url}/set")
        for name in ("photos/a.jpg", "photos/b/c.jpg", "photos/d e.jpg", "photos/empty.jpg"):
            put(storage, name, b"" if "empty" in name else name.encode())
        yield storage


def put(storage: Storage, name: str, data: bytes) -> str:
    with storage.write(name) as stream:
        stream.write(data)
    return storage.place(name)


def facts(spec: SourceSpec) -> list[Any]:
    rows = open_source(spec).scan()
    return [(row.uri, row.identity) if isinstance(row, Photo) else (row.uri, row.code) for row in rows]


def test_cells_are_paths_below_the_root_or_urls(store: Storage) -> None:
    cells = ["a.jpg", f"{store.root}/photos/b/c.jpg", "./d e.jpg", "../x.jpg", "/data/x.jpg", "empty.jpg", "none.jpg"]
    cells += ["s3://other/bucket/x.jpg", "a.jpg", ""]
    table = put(store, "photos/faces.csv", "\n".join(["uri,identity", *(f"{one},Ada" for one in cells)]).encode())
    found = facts(SourceSpec(path=table))
    assert [one for one in found if one[1] == "Ada"] == [("a.jpg", "Ada"), ("b/c.jpg", "Ada"), ("d e.jpg", "Ada")]
    codes = {code: sum(one[1] == code for one in found) for _, code in found if code != "Ada"}
    assert codes == {"outside_root": 3, "missing_file": 1, "empty": 1, "duplicate_uri": 1, "empty_uri": 1}


def test_a_table_of_this_machine_lists_photos_of_a_store(store: Storage, tmp_path: Path) -> None:
    file = tmp_path / "faces.csv"
    file.write_text("uri,identity\nphotos/a.jpg,Ada\n")
    source = open_source(SourceSpec(path=str(file), root=store.root))
    assert kind_of(source) == "table" and source.name == "faces.csv"
    assert [row.uri for row in source.scan()] == ["photos/a.jpg"]
    assert source.read("photos/a.jpg") == b"photos/a.jpg"


def test_photos_of_this_machine_are_refused(store: Storage, tmp_path: Path) -> None:
    table = put(store, "photos/faces.csv", b"uri\na.jpg\n")
    with pytest.raises(SourceError, match="lie in a store too"):
        open_source(SourceSpec(path=table, root=str(tmp_path)))


def test_photos_are_looked_up_in_a_list(store: Storage) -> None:
    many = Storage(f"{store.root}/many")
    for number in range(40):
        put(many, f"{number:02d}.jpg", b"x")
    table = put(many, "t.csv", "\n".join(["uri", *(f"{number:02d}.jpg" for number in range(40))]).encode())
    FAULT.seen.clear()
    rows = [*open_source(SourceSpec(path=table)).scan()]
    assert len(rows) == 40 and len(FAULT.seen) < 8 and len({row.stamp for row in rows if isinstance(row, Photo)}) == 1


def test_errors_name_the_table_by_its_url(store: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    table = put(store, "photos/bad.csv", b"path\na.jpg\n")
    with pytest.raises(SourceError, match="no column uri") as caught:
        facts(SourceSpec(path=table))
    assert caught.value.where == table
    broken = put(store, "photos/bad.parquet", b"PAR1 and nothing more")
    with pytest.raises(TableError) as damaged:
        facts(SourceSpec(path=broken))
    assert damaged.value.where == broken
    with pytest.raises(SourceError, match="No such file"):
        facts(SourceSpec(path=f"{store.root}/none.csv"))
    monkeypatch.setattr(object_table, "MOST_BYTES", 5)
    with pytest.raises(SourceError, match="at most 5"):
        facts(SourceSpec(path=table))


def test_a_row_that_is_no_photo_is_a_reject(store: Storage) -> None:
    table = put(store, "photos/odd.csv", b"uri,landmarks\na.jpg,[1]\nb/c.jpg\n")
    rows = [*open_source(SourceSpec(path=table)).scan()]
    assert [row.code for row in rows if isinstance(row, Reject)] == ["bad_row", "bad_landmarks"]


class List:
    """A list of objects, and how many of it were taken."""

    def __init__(self, paths: list[str]) -> None:
        self.paths, self.taken = paths, 0

    def __call__(self, folder: StorePath) -> Iterator[ObjectEntry]:
        for path in self.paths:
            self.taken += 1
            yield ObjectEntry(path.rstrip("/"), 0 if path.endswith(("/", "empty.jpg")) else 9, f"tag of {path}")


def scan_of(rows: list[str], listed: List, folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Photo | Reject]:
    patch.setattr(object_table, "entries_of", listed)
    file = folder / "faces.csv"
    file.write_text("\n".join(["uri", *rows]), "utf-8")
    return open_source(SourceSpec(path=str(file), root="s3://bucket/photos")).scan()


def test_the_list_is_read_along_with_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{number:04d}.jpg" for number in range(1000)]
    found = scan_of(names[::-1], listed := List(names), tmp_path, monkeypatch)
    for number, (name, row) in enumerate(zip(names, found), 1):
        assert isinstance(row, Photo) and (row.uri, row.stamp) == (name, f"tag of {name}") and listed.taken == number


def test_rows_and_objects_of_every_name_are_matched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in a list with empty objects for folders; `a/` is listed behind `a-b/1.jpg`."""
    keys = sorted(["a-b/", "a-b/1.jpg", "a/", "a/1.jpg", "a/empty.jpg", "a.jpg", "Z.jpg", "é.jpg", "写真/1.jpg",
                   "🙂.jpg"], key=lambda key: key.encode())  # fmt: skip
    rows = [
        "🙂.jpg",
        "a/1.jpg",
        "a.jpg",
        "no.jpg",
        "写真/1.jpg",
        "Z.jpg",
        "é.jpg",
        "a-b/1.jpg",
        "a/empty.jpg",
        "~.jpg",
        "zz",
    ]
    found = [*scan_of(rows, List(keys), tmp_path, monkeypatch)]
    assert sorted(row.uri for row in found) == sorted(rows)
    assert {row.uri: row.code for row in found if isinstance(row, Reject)} == {
        "no.jpg": "missing_file", "~.jpg": "missing_file", "zz": "missing_file", "a/empty.jpg": "empty",
    }  # fmt: skip


def test_a_store_that_lists_in_no_order_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match="does not list objects in order"):
        list(scan_of(["z.jpg"], List(["b.jpg", "a.jpg"]), tmp_path, monkeypatch))
