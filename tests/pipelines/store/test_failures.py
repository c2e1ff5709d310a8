"""Photos that failed between analysis and render are forgotten, and nothing else is."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from faceloom.pipelines.store.failures import failed_photos, forget_failed, note_failure, refuse_failed
from faceloom.pipelines.store.parquet_tables import read_faces, write_faces
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import SourceError
from faceloom.schemas.faces import AnalysedPhoto


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


def analysed(*names: str) -> list[AnalysedPhoto]:
    rows = []
    for name in names:
        row = AnalysedPhoto(f"s/{name}", 9, "stamp", "ab" * 32, 0, 0, 1, (), code="no_face", message="m")
        rows.append(row)
    return rows


def held(storage: Storage) -> SimpleNamespace:
    return SimpleNamespace(**{
        Path(path).stem: [row.photo_id for row in read_faces(storage, path)] for path in storage.list("faces")
    })  # fmt: skip


def test_what_is_noted_comes_back(storage: Storage) -> None:
    assert failed_photos(storage) == {}
    note_failure(storage, "aa", {"s/ä.jpg": "changed", "s/b.jpg": "vanished"})
    note_failure(storage, "bb", {"s/c.jpg": "changed"})
    assert failed_photos(storage) == {"s/ä.jpg": "changed", "s/b.jpg": "vanished", "s/c.jpg": "changed"}


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b'{"s/b": 1}', b"[" * 9999, b'{"s/b": null}', b"\xff"])
def test_a_damaged_note_counts_as_none_and_goes(storage: Storage, note: bytes) -> None:
    note_failure(storage, "aa", {"s/c.jpg": "changed"})
    with storage.write("work/bb.failed.json") as stream:
        stream.write(note)
    os.mkfifo(storage.local("work/cc.failed.json"))
    assert failed_photos(storage) == {"s/c.jpg": "changed"}
    forget_failed(storage)
    assert storage.list("work") == []


def test_rows_of_failed_photos_go_and_all_others_stay(storage: Storage) -> None:
    write_faces(storage, "faces/x/one.parquet", analysed("a", "b", "c"))
    write_faces(storage, "faces/x/two.parquet", analysed("d"))
    write_faces(storage, "faces/y/three.parquet", analysed("b"))
    untouched = storage.read_bytes("faces/x/two.parquet")
    note_failure(storage, "aa", {"s/b": "changed"})
    forget_failed(storage)
    now = held(storage)
    assert (now.one, now.two, now.three) == (["s/a", "s/c"], ["s/d"], [])
    assert storage.read_bytes("faces/x/two.parquet") == untouched
    assert failed_photos(storage) == {}


def test_without_failures_nothing_is_touched(storage: Storage) -> None:
    write_faces(storage, "faces/x/one.parquet", analysed("a"))
    before = storage.local("faces/x/one.parquet").stat().st_mtime_ns
    forget_failed(storage)
    assert storage.local("faces/x/one.parquet").stat().st_mtime_ns == before


def test_other_work_is_left_alone(storage: Storage) -> None:
    with storage.write("work/aa.tar") as stream:
        stream.write(b"x")
    note_failure(storage, "aa", {"s/a": "changed"})
    forget_failed(storage)
    assert storage.list("work") == ["work/aa.tar"]


def test_a_run_in_which_photos_failed_ends_with_their_names(storage: Storage) -> None:
    refuse_failed(storage, "nothing happened")
    note_failure(storage, "aa", {f"s/{number}": "changed" for number in range(5)})
    with pytest.raises(SourceError, match=r"5 photos changed or vanished .*; nothing happened") as caught:
        refuse_failed(storage, "nothing happened")
    assert "s/0: changed; s/1: changed; s/2: changed" in str(caught.value) and "s/3" not in str(caught.value)
    assert "Run the same command again" in caught.value.remedy
