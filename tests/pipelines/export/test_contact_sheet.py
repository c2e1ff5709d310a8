"""The contact sheet: shows each mask before any twice, and what it shows is what the shards hold."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from faceloom.pipelines.export import contact_sheet
from faceloom.pipelines.export.contact_sheet import (
    CAPTION,
    GAP,
    GUIDE,
    draw_sheet,
    load_members,
    pick_samples,
    write_contact_sheet,
)
from faceloom.pipelines.store.build_record import RECORD_FORMAT, BuildRecord, shard_record, write_record
from faceloom.pipelines.store.parquet_tables import write_index
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.tar_writer import END, append_sample, sample_length
from faceloom.schemas.errors import FaceloomError, StorageError, UrlError
from faceloom.schemas.index import IndexRow
from faceloom.transforms.sample.encode import encode
from faceloom.transforms.types import Image

SIDE = 32
COLOURS = {"surgical": (0, 0, 255), "cloth": (0, 255, 0), "kn95": (255, 255, 255)}


def make_build(root: Path, samples: list[tuple[str, str]], photo: str = "0" * 64) -> Path:
    """A finished build of samples (mask, identity); the masked face is of one colour, which tells the mask."""
    storage, rows, offset = Storage(str(root)), [], 0
    face = np.full((SIDE, SIDE, 3), 100, np.uint8)
    mask = np.full((SIDE, SIDE), 255, np.uint8)
    name = "train-all-" + "ab" * 6
    with storage.write(shard_tar(name)) as stream:
        for number, (label, identity) in enumerate(samples):
            masked = np.full((SIDE, SIDE, 3), COLOURS[label], np.uint8)
            files = [("face.png", encode(face, "png", 1)), ("mask.png", encode(mask, "png", 1))]
            files.append(("masked.png", encode(masked, "png", 1)))
            key = f"{number:03d}-f00-m000"
            members = append_sample(stream, offset, key, files)
            rows.append(
                IndexRow(
                    key, identity, "train", "part", "", offset, sample_length(members), members, label, "s", "u", photo,
                    0, (identity,), (), "[]", "1", None, None,
                )
            )  # fmt: skip
            offset += sample_length(members)
        stream.write(END)
    sha256 = hashlib.sha256(storage.read_bytes(shard_tar(name))).hexdigest()
    write_index(storage, shard_index(name), rows, {"part": []}, length=offset + len(END), sha256=sha256)
    count = len(samples)
    shard = shard_record(storage, name, "train", count)
    record = BuildRecord(
        format=RECORD_FORMAT, code="1", libraries={}, recipe={"name": "x"},
        plan="0" * 64, analyser="1", renderer="1", photos=count, faces=count, planned=count,
        written=count, rejects={}, by_split={"train": count}, by_mask={"m": count}, by_source={"s": count},
        shards=(shard,),
    )  # fmt: skip
    write_record(storage, record)
    return root


def read_picture(path: Path) -> Image:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    return np.asarray(picture, np.uint8)


def small(side: int, colours: bool = True) -> Image:
    return np.zeros((side, side, 3) if colours else (side, side), np.uint8)


@pytest.mark.parametrize(
    "files",
    [
        {"mask.png": small(SIDE, False)},
        {"face.png": small(SIDE), "mask.png": small(SIDE - 1, False)},
        {"face.png": small(SIDE), "upper.png": small(SIDE // 2), "lower.png": small(SIDE // 2)},
        {"face.png": small(SIDE), "upper.png": small(SIDE)},
        {"face.png": small(SIDE), "lr_upsampled.png": small(8)},
    ],
)
def test_pictures_that_do_not_fit_together_are_an_error_of_ours(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, Image]
) -> None:
    data = {name: encode(picture, "png") for name, picture in files.items()}
    monkeypatch.setattr(contact_sheet, "read_sample", lambda *_: data)
    with pytest.raises(StorageError, match=r"^shards/x.tar::k: the pictures of a sample have other sizes"):
        load_members(Storage("out"), "x", SimpleNamespace(key="k"))  # type: ignore[arg-type]


SAMPLES = [("cloth", "a"), ("cloth", "a"), ("cloth", "b"), ("kn95", "a"), ("surgical", "a"), ("surgical", "b")]


def test_each_mask_is_shown_before_any_twice(tmp_path: Path) -> None:
    picked = pick_samples(Storage(str(make_build(tmp_path, SAMPLES))), 3)
    assert [row.mask for _, row in picked] == ["cloth", "kn95", "surgical"]


def test_people_take_turns(tmp_path: Path) -> None:
    picked = pick_samples(Storage(str(make_build(tmp_path, SAMPLES))), 5)
    assert [(row.mask, row.identity) for _, row in picked] == [
        ("cloth", "a"), ("kn95", "a"), ("surgical", "b"), ("cloth", "b"), ("surgical", "a"),
    ]  # fmt: skip


def test_no_sample_is_picked_twice_and_no_more_than_there_are(tmp_path: Path) -> None:
    picked = pick_samples(Storage(str(make_build(tmp_path, SAMPLES))), 50)
    assert sorted(row.key for _, row in picked) == [f"{number:03d}-f00-m000" for number in range(6)]


def test_members_come_from_their_byte_ranges(tmp_path: Path) -> None:
    storage = Storage(str(make_build(tmp_path, SAMPLES)))
    for shard, row in pick_samples(storage, 6):
        members = load_members(storage, shard, row)
        assert sorted(members) == ["face", "mask", "masked"]
        assert tuple(members["masked"][0, 0]) == COLOURS[row.mask]


def test_a_cell_shows_face_masked_and_mask_side_by_side() -> None:
    face, masked = np.full((SIDE, SIDE, 3), 10, np.uint8), np.full((SIDE, SIDE, 3), 90, np.uint8)
    mask = np.full((SIDE, SIDE), 200, np.uint8)
    sheet = draw_sheet([("one", {"face": face, "masked": masked, "mask": mask, "json": {}})] * 3, 2)
    assert sheet.shape == (2 * (SIDE + CAPTION + GAP), 2 * (3 * SIDE + GAP), 3)
    middle = CAPTION + SIDE // 2
    assert [int(sheet[middle, SIDE // 2 + at * SIDE, 0]) for at in range(3)] == [10, 90, 200]
    assert (sheet[-SIDE:, -SIDE:] == 255).all()  # the fourth cell is empty
    assert (sheet[:CAPTION] < 128).any()  # the caption is there


def test_a_sample_without_a_mask_shows_its_face_alone() -> None:
    sheet = draw_sheet([("none", {"face": np.zeros((SIDE, SIDE, 3), np.uint8)})], 1)
    assert sheet.shape == (SIDE + CAPTION + GAP, SIDE + GAP, 3)


def test_a_guide_is_laid_over_the_face_and_tints_nothing_else() -> None:
    face = np.full((SIDE, SIDE, 3), 10, np.uint8)
    guide = np.zeros((SIDE, SIDE), np.uint8)
    guide[: SIDE // 2] = 255
    overlay = draw_sheet([("g", {"face": face, "guide": guide})], 1)[CAPTION:, SIDE : 2 * SIDE][:SIDE]
    assert (overlay[SIDE // 2 :] == 10).all()
    assert np.allclose(overlay[0, 0], (10 + np.array(GUIDE)) / 2, atol=1)


def test_small_pictures_are_enlarged_pixel_by_pixel() -> None:
    face = np.zeros((SIDE, SIDE, 3), np.uint8)
    small = np.random.default_rng(1).integers(0, 256, (4, 4, 3), np.uint8)
    large = draw_sheet([("s", {"face": face, "lr": small})], 1)[CAPTION : CAPTION + SIDE, SIDE : 2 * SIDE]
    assert np.array_equal(large, small.repeat(SIDE // 4, axis=0).repeat(SIDE // 4, axis=1))


def test_halves_stand_on_top_of_each_other_with_a_line_between() -> None:
    face = np.zeros((SIDE, SIDE, 3), np.uint8)
    upper, lower = np.full((12, SIDE, 3), 50, np.uint8), np.full((20, SIDE, 3), 90, np.uint8)
    members = {"face": face, "upper": upper, "lower": lower}
    shown = draw_sheet([("h", members)], 1)[CAPTION : CAPTION + SIDE, SIDE : 2 * SIDE, 0]
    assert [int(row[0]) for row in shown] == [50] * 11 + [255] * 2 + [90] * 19


def test_samples_with_more_pictures_than_others_share_a_sheet() -> None:
    face, mask = np.full((SIDE, SIDE, 3), 9, np.uint8), np.full((SIDE, SIDE), 8, np.uint8)
    sheet = draw_sheet([("one", {"face": face}), ("two", {"face": face, "mask": mask})], 2)
    assert sheet.shape[1] == 2 * (2 * SIDE + GAP)
    assert (sheet[CAPTION:, SIDE : 2 * SIDE + GAP] == 255).all()


@pytest.mark.parametrize("name", ["sheet.png", "sheet.jpg"])
def test_the_sheet_is_written_in_true_colours(tmp_path: Path, name: str) -> None:
    out = make_build(tmp_path / "out", [("surgical", "a")])
    assert write_contact_sheet(out, tmp_path / name) == 1
    sheet = read_picture(tmp_path / name)
    assert np.allclose(sheet[CAPTION + SIDE // 2, SIDE + SIDE // 2], COLOURS["surgical"], atol=4)


def test_a_sheet_shows_as_many_samples_as_asked_for(tmp_path: Path) -> None:
    out, picture = make_build(tmp_path / "out", SAMPLES), tmp_path / "sheet.PNG"
    assert write_contact_sheet(out, picture, count=3, columns=1) == 3
    assert read_picture(picture).shape == (3 * (SIDE + CAPTION + GAP), 3 * SIDE + GAP, 3)


@pytest.mark.parametrize("there", [True, False])
def test_the_name_of_a_sheet_may_be_a_link(tmp_path: Path, there: bool) -> None:
    out, kept = make_build(tmp_path / "out", SAMPLES), tmp_path / "kept"
    kept.mkdir()
    if there:
        write_contact_sheet(out, kept / "monday.png", count=1)
    (tmp_path / "latest.png").symlink_to(kept / "monday.png")
    write_contact_sheet(out, tmp_path / "latest.png")
    assert (tmp_path / "latest.png").is_symlink()
    assert read_picture(kept / "monday.png").shape[2] == 3


@pytest.mark.parametrize("leads_to", ["no/such/folder/sheet.png", "sheet.png"])
def test_a_sheet_whose_link_leads_nowhere_is_refused(tmp_path: Path, leads_to: str) -> None:
    out, picture = make_build(tmp_path / "out", SAMPLES), tmp_path / "sheet.png"
    picture.symlink_to(tmp_path / leads_to)
    with pytest.raises(StorageError, match=r"does not exist|Choose a new name"):
        write_contact_sheet(out, picture)
    assert not (tmp_path / "no").exists() and picture.is_symlink()


def test_a_sheet_that_is_too_high_for_jpeg_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = make_build(tmp_path / "out", SAMPLES)
    monkeypatch.setattr(contact_sheet, "draw_sheet", lambda *_: np.zeros((70_000, 2, 3), np.uint8))
    with pytest.raises(StorageError, match=r"too large.*70000.*\.png"):
        write_contact_sheet(out, tmp_path / "sheet.jpg")
    assert not (tmp_path / "sheet.jpg").exists()


def test_captions_show_the_names_of_all_people() -> None:
    face = np.zeros((SIDE, 8 * SIDE, 3), np.uint8)
    names = ["Zażółć", "Ольга", "田中", "Tony Blair"]
    captions = [draw_sheet([(name, {"face": face})], 1)[:CAPTION] for name in names]
    assert all((caption < 128).any() for caption in captions)
    assert len({caption.tobytes() for caption in captions}) == len(names)


def test_a_long_caption_stays_in_its_cell() -> None:
    face = np.zeros((SIDE, SIDE, 3), np.uint8)
    sheet = draw_sheet([("x" * 200, {"face": face}), ("", {"face": face})], 2)
    assert (sheet[:CAPTION, SIDE:] == 255).all()


def test_a_sheet_can_be_shrunk(tmp_path: Path) -> None:
    out = make_build(tmp_path / "out", SAMPLES)
    write_contact_sheet(out, tmp_path / "sheet.png", width=100)
    assert read_picture(tmp_path / "sheet.png").shape[1] == 100


def test_a_damaged_shard_is_not_shown(tmp_path: Path) -> None:
    out = make_build(tmp_path / "out", SAMPLES)
    (shard,) = (out / "shards").iterdir()
    data = bytearray(shard.read_bytes())
    data[600] ^= 1
    shard.write_bytes(bytes(data))
    with pytest.raises(StorageError, match="damaged"):
        write_contact_sheet(out, tmp_path / "sheet.png")


def test_an_empty_build_shows_nothing(tmp_path: Path) -> None:
    with pytest.raises(FaceloomError, match="no samples to show"):
        write_contact_sheet(make_build(tmp_path / "out", []), tmp_path / "sheet.png")


@pytest.mark.parametrize("name", ["sheet.txt", "no/such/folder/sheet.png"])
def test_a_name_that_cannot_be_written_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError):
        write_contact_sheet(make_build(tmp_path / "out", SAMPLES), tmp_path / name)


@pytest.mark.parametrize("name", ["sheet.png", "sheet.jpg"])
def test_a_sheet_replaces_a_sheet_and_no_other_picture(tmp_path: Path, name: str) -> None:
    out, file = make_build(tmp_path / "out", SAMPLES), tmp_path / name
    assert (write_contact_sheet(out, file, count=1), write_contact_sheet(out, file, count=2)) == (1, 2)
    photo = encode(np.full((SIDE, SIDE, 3), 7, np.uint8), "png")
    file.write_bytes(photo)
    with pytest.raises(
        StorageError, match=rf"{name}: a file that is no contact sheet has this name. Choose a new name"
    ):
        write_contact_sheet(out, file)
    assert file.read_bytes() == photo


def test_both_formats_hold_their_mark_as_a_comment(tmp_path: Path) -> None:
    out = make_build(tmp_path / "out", SAMPLES)
    for name, key in (("sheet.png", "Comment"), ("sheet.jpg", "comment")):
        write_contact_sheet(out, tmp_path / name)
        with Pillow.open(tmp_path / name) as picture:
            picture.load()
            assert "faceloom sheet" in str(picture.info[key])


@pytest.mark.parametrize("folder", ["out", "out/shards", "link"])
def test_no_sheet_is_written_into_the_output_folder(tmp_path: Path, folder: str) -> None:
    out = make_build(tmp_path / "out", SAMPLES)
    (tmp_path / "link").symlink_to(out)
    with pytest.raises(StorageError, match="lies in the output folder"):
        write_contact_sheet(out, tmp_path / folder / "sheet.png")
    assert not list(out.rglob("sheet.png"))


def test_no_sheet_is_written_among_the_photos(tmp_path: Path) -> None:
    photo = b"a photo"
    (tmp_path / "u").write_bytes(photo)
    out = make_build(tmp_path / "out", SAMPLES, hashlib.sha256(photo).hexdigest())
    with pytest.raises(FaceloomError, match="lies among the photos"):
        write_contact_sheet(out, tmp_path / "sheet.png")
    assert not (tmp_path / "sheet.png").exists()


def test_a_sheet_of_one_sample_has_one_column(tmp_path: Path) -> None:
    write_contact_sheet(make_build(tmp_path / "out", SAMPLES), tmp_path / "sheet.png", count=1)
    assert read_picture(tmp_path / "sheet.png").shape[:2] == (SIDE + CAPTION + GAP, 3 * SIDE + GAP)


def test_a_sheet_by_url_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UrlError, match=r"s3://sets/sheet.png: a contact sheet is a file of this machine. Give a path"):
        write_contact_sheet(tmp_path, "s3://sets/sheet.png")
