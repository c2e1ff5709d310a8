"""RecordIO exports: every sample with its label, and what InsightFace's tools look for."""

from __future__ import annotations

import csv
import errno
import os
import struct
from pathlib import Path
from typing import Any, NoReturn

import pytest

from faceloom.pipelines.export.recordio_layout import RecordIoFormat
from faceloom.pipelines.recordio.record_writer import RecordWriter
from faceloom.pipelines.sources.registry import open_source
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, StorageError
from faceloom.schemas.index import IndexRow
from faceloom.schemas.photos import Photo
from faceloom.schemas.source_spec import SourceSpec
from tests.pipelines.recordio.plain_reader import read_plainly, train_on


def png(level: int) -> bytes:
    import cv2
    import numpy as np

    return bytes(cv2.imencode(".png", np.full((96, 112, 3), level, np.uint8))[1].tobytes())


def row(key: str, identity: str, split: str) -> IndexRow:
    return IndexRow(
        key=key, identity=identity, split=split, part="p", inputs="", people=(identity,),
        offset=0, length=1, mask="A", source="s", members=(),
        uri="a.jpg", photo_sha256="ab", face=0, parents=(), operations="[]", renderer="1", licence=None, consent=None,
    )  # fmt: skip


def test_a_picture_that_cannot_be_read_is_an_error_of_ours(tmp_path: Path) -> None:
    layout = RecordIoFormat(Storage(str(tmp_path)))
    with pytest.raises(StorageError, match="a picture of the build cannot be read"):
        layout.add(row("k", "Ada", "train"), {"masked.png": b"no picture"})
    layout.abandon()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("code", [errno.EFBIG, errno.ENOSPC])
@pytest.mark.parametrize("at_the_end", [False, True])
def test_records_that_cannot_be_written_are_an_error_with_their_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, at_the_end: bool
) -> None:
    def fail(*_: object) -> NoReturn:
        raise OSError(code, os.strerror(code))

    layout = RecordIoFormat(Storage(str(tmp_path)))
    layout.add(row("k1", "Ada", "train"), {"face.png": png(1)})
    monkeypatch.setattr(RecordWriter, "write", fail)
    with pytest.raises(StorageError, match=r"^train/train.rec: .*(ulimit -f|Free some space)"):
        if at_the_end:
            layout.finish()
        else:
            layout.add(row("k2", "Ada", "train"), {"face.png": png(1)})
    layout.abandon()
    assert Storage(str(tmp_path)).list() == [] == Storage(str(tmp_path)).partials()


def test_a_split_of_any_name_stays_in_the_target(tmp_path: Path) -> None:
    layout = RecordIoFormat(Storage(str(tmp_path / "to")))
    layout.add(row("k", "Ada", "../x\0"), {"masked.png": png(1)})
    layout.finish()
    (folder,) = (tmp_path / "to").iterdir()
    assert folder.name.startswith("x-") and (folder / "train.rec").exists() and len(list(tmp_path.iterdir())) == 1


def exported(root: Path, *pictures: str, **options: Any) -> RecordIoFormat:
    layout = RecordIoFormat(Storage(str(root)), pictures, **options)
    samples = [
        ("k1", "Grace", "train"),
        ("k2", "Ada, L.", "train"),
        ("k3", "Grace", "train"),
        ("k4", "Ada, L.", "test"),
    ]
    for level, (key, identity, split) in enumerate(samples):
        members = {"face.png": png(200), "masked.png": png(level), "json": b"{}", "mask.png": png(255)}
        if key == "k4":
            members = {"face.png": png(level), "json": b"{}"}
        assert not layout.holds(row(key, identity, split))
        layout.add(row(key, identity, split), members)
    layout.finish()
    return layout


def test_an_export_has_every_sample_with_its_label(tmp_path: Path) -> None:
    exported(tmp_path)
    names = ("labels.csv", "property", "train.idx", "train.rec")
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")) == sorted(
        f"{split}/{name}" for split in ("train", "test") for name in names if "." in name
    )
    assert (tmp_path / "train" / "property").read_text() == "2,96,112\n"
    source = open_source(SourceSpec(path=str(tmp_path / "train")))
    photos = [photo for photo in source.scan() if isinstance(photo, Photo)]
    assert [photo.identity for photo in photos] == ["0", "0", "1"]
    assert [source.read(photo.uri) for photo in photos] == [png(level) for level in (0, 2, 1)]
    with (tmp_path / "train" / "labels.csv").open(newline="") as stream:
        assert list(csv.reader(stream)) == [["label", "identity"], ["0", "Grace"], ["1", "Ada, L."]]
    (only,) = open_source(SourceSpec(path=str(tmp_path / "test"))).scan()
    assert isinstance(only, Photo) and only.identity == "0"


def test_an_export_is_the_same_again(tmp_path: Path) -> None:
    for name in ("one", "two"):
        exported(tmp_path / name)
    one, two = (
        {
            path.relative_to(tmp_path / name): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in ("one", "two")
    )
    assert one == two and len(one) == 8


def test_nothing_has_its_final_name_before_the_end(tmp_path: Path) -> None:
    layout = RecordIoFormat(Storage(str(tmp_path)))
    layout.add(row("k1", "Ada", "train"), {"face.png": png(1)})
    assert Storage(str(tmp_path)).list() == []
    layout.finish()
    assert len(Storage(str(tmp_path)).list()) == 4


def test_an_export_that_ends_early_leaves_nothing(tmp_path: Path) -> None:
    layout = RecordIoFormat(Storage(str(tmp_path)))
    layout.add(row("k1", "Ada", "train"), {"face.png": png(1)})
    assert [path.name for path in (tmp_path / "train").iterdir()] != []
    layout.abandon()
    assert list((tmp_path / "train").iterdir()) == []
    layout.abandon()


def test_insightface_finds_every_picture_and_who_is_where(tmp_path: Path) -> None:
    exported(tmp_path)
    assert train_on(tmp_path / "train") == [(0, png(0)), (0, png(2)), (1, png(1))]
    assert train_on(tmp_path / "test") == [(0, png(3))]
    data = (tmp_path / "train" / "train.rec").read_bytes()
    lines = [line.split("\t") for line in (tmp_path / "train" / "train.idx").read_text().splitlines()]
    assert [number for number, _ in lines] == ["0", "1", "2", "3", "4", "5"]
    labels = [struct.unpack("<2f", read_plainly(data, int(lines[number][1]), 1)[0][24:]) for number in (0, 4, 5)]
    assert labels == [(4, 6), (1, 3), (3, 4)], "people from 4 to below 6; Grace from 1 to below 3; Ada has 3"


def test_more_than_float32_counts_are_pictures_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faceloom.pipelines.export.recordio_layout.MOST_COUNTED", 5)
    exported(tmp_path)
    assert train_on(tmp_path / "train") == [(0, png(0)), (0, png(2)), (1, png(1))]
    assert len(read_plainly((tmp_path / "train" / "train.rec").read_bytes())) == 3
    assert len(read_plainly((tmp_path / "test" / "train.rec").read_bytes())) == 3, "picture, person, and number 0"


def test_the_picture_can_be_chosen(tmp_path: Path) -> None:
    exported(tmp_path, "face.png")
    assert train_on(tmp_path / "train") == [(0, png(200)), (0, png(200)), (1, png(200))]
    assert train_on(tmp_path / "test") == [(0, png(3))]


@pytest.mark.parametrize(
    ("picture", "taken"),
    [
        (None, "masked.jpg"), ("face", "face.jpg"), ("face.jpg", "face.jpg"), ("lr", "lr.png"),
        ("lr_masked", "lr_masked.png"), ("mask", "mask.png"), ("face.png", None), ("landmarks", None), ("json", None),
    ],
)  # fmt: skip
def test_a_record_takes_one_picture_or_none(tmp_path: Path, picture: str | None, taken: str | None) -> None:
    names = ["face.jpg", "json", "landmarks.npy", "lr.png", "lr_masked.png", "mask.png", "masked.jpg"]
    layout = RecordIoFormat(Storage(str(tmp_path)), () if picture is None else (picture,))
    assert layout.takes(names) == ((taken,) if taken else ())


def test_without_a_mask_the_face_is_taken(tmp_path: Path) -> None:
    layout = RecordIoFormat(Storage(str(tmp_path)))
    assert layout.takes(["face.webp", "json", "lr.png"]) == ("face.webp",)
    assert layout.takes(["json", "lr.png"]) == ()


def test_records_without_an_index_are_read_too(tmp_path: Path) -> None:
    exported(tmp_path)
    (tmp_path / "train" / "train.idx").unlink()
    photos = list(open_source(SourceSpec(path=str(tmp_path / "train"))).scan())
    assert [photo.identity for photo in photos if isinstance(photo, Photo)] == ["0", "1", "0"]


def test_labels_are_kept_and_property_counts_a_class_for_each_number(tmp_path: Path) -> None:
    exported(tmp_path, labels={"Grace": 12, "Ada, L.": 4, "Nobody": 99})
    assert train_on(tmp_path / "train") == [(4, png(1)), (12, png(0)), (12, png(2))]
    assert train_on(tmp_path / "test") == [(4, png(3))]
    assert (tmp_path / "train" / "labels.csv").read_text() == 'label,identity\n4,"Ada, L."\n12,Grace\n'
    assert (tmp_path / "train" / "property").read_text() == "13,96,112\n"
    assert (tmp_path / "test" / "property").read_text() == "5,96,112\n"


def test_a_record_of_each_picture(tmp_path: Path) -> None:
    layout = exported(tmp_path, "face", "masked")
    assert sorted(train_on(tmp_path / "train")) == sorted(
        [(0, png(200)), (0, png(0)), (0, png(200)), (0, png(2)), (1, png(200)), (1, png(1))]
    )
    assert train_on(tmp_path / "test") == [(0, png(3))], "it has no masked picture"
    assert layout.pictures == {"face.png": 4, "masked.png": 3}


def test_one_of_two_pictures(tmp_path: Path) -> None:
    layout = exported(tmp_path, "face", "masked", second={"k3", "k4"})
    assert train_on(tmp_path / "train") == [(0, png(200)), (0, png(2)), (1, png(200))]
    assert train_on(tmp_path / "test") == [(0, png(3))]
    assert layout.pictures == {"face.png": 3, "masked.png": 1}


def test_pictures_of_several_sizes_are_refused(tmp_path: Path) -> None:
    import cv2
    import numpy as np

    layout = RecordIoFormat(Storage(str(tmp_path)))
    layout.add(row("k1", "Ada", "train"), {"face.png": png(1)})
    small = bytes(cv2.imencode(".png", np.zeros((8, 9, 3), np.uint8))[1].tobytes())
    layout.add(row("k2", "Ada", "test"), {"face.png": small})
    with pytest.raises(FaceloomError, match=r"k3: .*several sizes: 112 x 96, then 9 x 8 \(got face.png\).*imagefolder"):
        layout.add(row("k3", "Ada", "train"), {"face.png": small})
    layout.abandon()
    assert Storage(str(tmp_path)).list() == []
