"""RecordIO as InsightFace and others hand it around."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path

import pytest

from faceloom.pipelines.recordio.record_writer import RecordWriter
from faceloom.pipelines.sources.recordio import RecordIo
from faceloom.pipelines.sources.registry import open_source
from faceloom.schemas.errors import PhotoError, SourceError
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.source_spec import SourceSpec

Records = list[tuple[int, float | tuple[float, ...], bytes]]

INSIGHTFACE: Records = [
    (0, (4.0, 6.0), b""),
    (1, (0.0, 1.0), b"ada one"),
    (2, 0.0, b"ada two"),
    (3, 1.0, b"grace"),
    (4, (1.0, 3.0), b""),
    (5, (3.0, 4.0), b""),
]
"""A first record that says where identities begin, the pictures, and a record per identity."""


def write(path: Path, records: Records, index: bool = True) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as rec, path.with_suffix(".idx").open("wb") as idx:
        writer = RecordWriter(rec, idx)
        for record in records:
            writer.write(*record)
    if not index:
        path.with_suffix(".idx").unlink()
    return path


def scan(path: Path, **spec: object) -> list[Photo | Reject]:
    return list(open_source(SourceSpec.model_validate({"path": str(path), **spec})).scan())


@pytest.mark.parametrize("index", [True, False])
def test_as_insightface_hands_it_around(index: bool, tmp_path: Path) -> None:
    path = write(tmp_path / "train.rec", INSIGHTFACE, index)
    source = open_source(SourceSpec(path=str(path)))
    assert isinstance(source, RecordIo) and source.name == "train.rec"
    rows = list(source.scan())
    assert [(row.uri, row.identity, row.attributes) for row in rows if isinstance(row, Photo)] == [
        ("train.rec::000000001", "0", (("label_1", 1.0),)),
        ("train.rec::000000002", "0", ()),
        ("train.rec::000000003", "1", ()),
    ]
    assert len(rows) == 3
    assert [source.read(row.uri) for row in rows] == [b"ada one", b"ada two", b"grace"]


def test_a_folder_with_its_companions(tmp_path: Path) -> None:
    write(tmp_path / "faces" / "train.rec", INSIGHTFACE)
    write(tmp_path / "faces" / "more" / "b.rec", [(7, 2.5, b"x")], index=False)
    (tmp_path / "faces" / "property").write_text("2,112,112")
    (tmp_path / "faces" / "lfw.bin").write_bytes(b"pairs")
    (tmp_path / "faces" / "README.md").write_text("read me")
    rows = scan(tmp_path / "faces")
    assert [row.uri for row in rows if isinstance(row, Photo)] == [
        "more/b.rec::000000000", *(f"train.rec::00000000{number}" for number in (1, 2, 3)),
    ]  # fmt: skip
    assert next(row.identity for row in rows if isinstance(row, Photo)) == "2.5"
    assert [(row.uri, row.code) for row in rows if isinstance(row, Reject)] == [("README.md", "not_a_record_file")]


@pytest.mark.parametrize("index", [True, False])
def test_a_truncated_file_is_reported_and_the_rest_used(index: bool, tmp_path: Path) -> None:
    path = write(tmp_path / "train.rec", [(n, float(n), b"picture %d" % n) for n in range(5)], index)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    rows = scan(path)
    assert [row.uri for row in rows if isinstance(row, Photo)] == ["train.rec::000000000", "train.rec::000000001"]
    rejects = [row for row in rows if isinstance(row, Reject)]
    assert [row.code for row in rejects] == ["damaged_record"] * (3 if index else 1)
    assert "the file ends inside the record at byte" in rejects[0].message


def test_one_damaged_record_of_many_costs_only_itself(tmp_path: Path) -> None:
    path = write(tmp_path / "train.rec", [(n, float(n), b"picture %d!!" % n) for n in range(3)])
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0xFF
    path.write_bytes(data)
    rows = scan(path)
    assert [type(row) for row in rows] == [Photo, Reject, Photo]
    assert rows[1].uri == "train.rec::000000001" and "no record begins" in rows[1].message  # type: ignore[union-attr]


def test_odd_indices(tmp_path: Path) -> None:
    path = write(tmp_path / "train.rec", [(1, 0.0, b"x"), (1, 0.0, b"y"), (3, 0.0, b"")])
    assert [(row.uri[-1], getattr(row, "code", "")) for row in scan(path)] == [
        ("1", ""), ("1", "duplicate_uri"), ("3", "empty"),
    ]  # fmt: skip
    path.with_suffix(".idx").write_text("one\ttwo\n")
    (row,) = scan(path)
    assert isinstance(row, Reject) and row.code == "unreadable" and ".idx" in row.message
    path.with_suffix(".idx").write_text("")
    (row,) = scan(path)
    assert isinstance(row, Reject) and row.code == "empty"


def test_a_place_that_cannot_be_costs_only_its_own_record(tmp_path: Path) -> None:
    path = write(tmp_path / "train.rec", [(n, float(n), b"picture %d" % n) for n in range(6)])
    offsets = [int(line.split()[1]) for line in path.with_suffix(".idx").read_text().splitlines()]
    numbers = [0, 1, 2, 3, -4, 2**63]
    offsets[1], offsets[2] = -8, 2**64
    lines = (f"{number}\t{offset}\n" for number, offset in zip(numbers, offsets, strict=True))
    path.with_suffix(".idx").write_text("".join(lines))
    rows = scan(path)
    assert [row.uri for row in rows if isinstance(row, Photo)] == ["train.rec::000000000", "train.rec::000000003"]
    assert {(row.uri, row.code) for row in rows if isinstance(row, Reject)} == {
        (f"train.rec::{number}", "damaged_record") for number in ("000000001", "000000002", "-00000004", 2**63)
    }


def test_a_bad_place_on_the_disk_costs_only_its_own_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "train.rec", [(n, float(n), b"picture %d" % n) for n in range(3)])
    bad = int(path.with_suffix(".idx").read_text().splitlines()[1].split()[1])
    read = os.pread

    def pread(file: int, length: int, offset: int) -> bytes:
        if offset == bad:
            raise OSError(errno.EIO, "Input/output error")
        return read(file, length, offset)

    monkeypatch.setattr(os, "pread", pread)
    rows = scan(path)
    assert [getattr(row, "code", "") for row in rows] == ["", "unreadable", ""]
    assert rows[1].uri == "train.rec::000000001"


def test_stamps_are_of_place_and_time(tmp_path: Path) -> None:
    path = write(tmp_path / "train.rec", INSIGHTFACE)
    before = scan(path)
    assert scan(path) == before
    write(path, [*INSIGHTFACE[:1], (1, 0.0, b"another"), *INSIGHTFACE[2:]])
    assert all(one != other for one, other in zip(before, scan(path), strict=True))


def test_what_read_says_of_trouble(tmp_path: Path) -> None:
    path = write(tmp_path / "train.rec", INSIGHTFACE)
    source: RecordIo = pickle.loads(pickle.dumps(open_source(SourceSpec(path=str(path)))))
    with pytest.raises(PhotoError) as caught:
        source.read("train.rec::000000099")
    assert caught.value.code == "vanished"
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(PhotoError) as caught:
        source.read("train.rec::000000003")
    assert caught.value.code == "unreadable" and caught.value.where == "train.rec::000000003"
    path.unlink()
    with pytest.raises(SourceError):
        source.read("train.rec::000000001")
    with pytest.raises(SourceError):
        list(source.scan())


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    (tmp_path / "property").write_text("1,112,112")
    with pytest.raises(SourceError, match=r"no \.rec file"):
        scan(tmp_path, kind="recordio")


def test_companions_are_files_and_nothing_else_by_such_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "train.rec", INSIGHTFACE)
    (tmp_path / "lost.bin").symlink_to("nowhere")
    (tmp_path / "loop.idx").symlink_to("loop.idx")
    os.mkfifo(tmp_path / "pipe.lst")
    (tmp_path / "closed.bin").mkdir()
    (tmp_path / "._a.bin").write_bytes(b"x")
    (tmp_path / "myproperty").write_bytes(b"x")
    scandir = os.scandir

    def guarded(path: object) -> object:
        if str(path).endswith("closed.bin"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)  # type: ignore[call-overload]

    monkeypatch.setattr(os, "scandir", guarded)
    assert {row.uri: row.code for row in scan(tmp_path, kind="recordio") if isinstance(row, Reject)} == {
        "lost.bin": "dangling_link",
        "loop.idx": "symlink_loop",
        "pipe.lst": "not_a_file",
        "closed.bin": "unreadable_directory",
        "._a.bin": "resource_fork",
        "myproperty": "not_a_record_file",
    }


def test_odd_labels_and_names(tmp_path: Path) -> None:
    labels = (float("inf"), float("-inf"), float("nan"), -1.0)
    path = write(tmp_path / "train.rec", [(number, label, b"x") for number, label in enumerate(labels)])
    rows = scan(path)
    assert [getattr(row, "code", "") for row in rows] == ["damaged_record", "damaged_record", "", ""]
    assert [row.identity for row in rows if isinstance(row, Photo)] == [None, "-1"]
    write(tmp_path / "a::b.rec", INSIGHTFACE)
    assert ("a::b.rec", "bad_name") in {(row.uri, getattr(row, "code", "")) for row in scan(tmp_path)}


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    path = write(tmp_path / "train.rec", INSIGHTFACE)
    source = open_source(SourceSpec(path=str(path)))
    rows = list(source.scan())
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(PhotoError) as caught:
        source.read(rows[0].uri)
    assert caught.value.code == "unreadable"
    with pytest.raises(SourceError, match="pipe, socket or device"):
        list(source.scan())
