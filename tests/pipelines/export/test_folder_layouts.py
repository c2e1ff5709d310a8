"""Plain files and image folders: where each member goes, and that a loader of image folders finds one picture."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from faceloom.pipelines.export.folder_layouts import FolderFormat, ImageFolderFormat, file_paths
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.index import IndexRow, Member

CONTENT = {
    "face.jpg": b"face",
    "json": b"{}",
    "landmarks.npy": b"points",
    "mask.png": b"mask",
    "masked.jpg": b"masked",
}
MEMBERS = tuple(Member(name, 0, len(data), hashlib.sha256(data).hexdigest()) for name, data in CONTENT.items())


def a_row(**changes: object) -> IndexRow:
    row = IndexRow(
        key="ab-f00-m000", identity="Ada", split="train", part="p", inputs="1" * 64, offset=0, length=1, mask="A",
        members=MEMBERS, source="s", uri="a.jpg", photo_sha256="ab", face=0,
        people=("Ada",), parents=(), operations="[]", renderer="1", licence=None, consent=None,
    )  # fmt: skip
    return dataclasses.replace(row, **changes)  # type: ignore[arg-type]


def test_the_masked_picture_bears_the_key_alone() -> None:
    assert file_paths(a_row()) == {
        "masked.jpg": "train/Ada/ab-f00-m000.jpg",
        "face.jpg": "members/train/Ada/ab-f00-m000.face.jpg",
        "mask.png": "members/train/Ada/ab-f00-m000.mask.png",
        "landmarks.npy": "members/train/Ada/ab-f00-m000.landmarks.npy",
        "json": "members/train/Ada/ab-f00-m000.json",
    }


def test_without_a_mask_the_face_does() -> None:
    row = a_row(members=tuple(Member(name, 0, 1, "0") for name in ("face.webp", "json", "landmarks.npy")))
    assert file_paths(row)["face.webp"] == "train/Ada/ab-f00-m000.webp"


def test_a_split_of_any_name_stays_in_the_target() -> None:
    assert file_paths(a_row(split="../x"))["json"].startswith("members/x-")
    assert file_paths(a_row(split="nul"))["masked.jpg"][3] == "-"


def test_only_a_picture_bears_the_key_alone() -> None:
    row = a_row(members=tuple(Member(name, 0, 1, "0") for name in ("face.jpg", "json", "masked.json")))
    assert len(set(file_paths(row).values())) == 3


def test_a_split_called_members_has_a_folder_of_its_own() -> None:
    for split in ("members", "Members"):
        place = file_paths(a_row(split=split))["masked.jpg"].partition("/")[0]
        assert place.casefold().startswith("members-") and place != "members"


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_of_a_split_holds_one_picture_per_sample(tmp_path: Path) -> None:
    layout, row = FolderFormat(Storage(str(tmp_path))), a_row()
    assert not layout.holds(row)
    layout.add(row, CONTENT)
    assert layout.holds(row)
    assert set(files(tmp_path / "train")) == {"Ada/ab-f00-m000.jpg"} and len(files(tmp_path)) == 5


@pytest.mark.parametrize(("pictures", "data"), [((), b"masked"), (("face",), b"face"), (("mask.png",), b"mask")])
def test_an_image_folder_holds_that_picture_alone(tmp_path: Path, pictures: tuple[str, ...], data: bytes) -> None:
    layout, row = ImageFolderFormat(Storage(str(tmp_path)), pictures), a_row()
    ending = "png" if data == b"mask" else "jpg"
    assert not layout.holds(row)
    layout.add(row, CONTENT)
    assert layout.holds(row) and files(tmp_path) == {f"train/Ada/ab-f00-m000.{ending}": data}
    (tmp_path / f"train/Ada/ab-f00-m000.{ending}").write_bytes(b"x" * len(data))
    assert not layout.holds(row)
    assert layout.takes(["json"]) == ()


def test_an_image_folder_may_keep_the_names_of_the_photos(tmp_path: Path) -> None:
    layout = ImageFolderFormat(Storage(str(tmp_path)), names={"ab-f00-m000": "Ada_0001"})
    layout.add(a_row(), CONTENT)
    assert files(tmp_path) == {"train/Ada/Ada_0001.jpg": b"masked"} and layout.holds(a_row())
