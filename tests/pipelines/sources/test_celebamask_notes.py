from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.sources.celebamask_notes import (
    ATTRIBUTES,
    FIRST_TEST,
    FIRST_VAL,
    KNOWN_BAD,
    MAPPING,
    POSES,
    part_file,
    read_notes,
)
from faceloom.schemas.errors import SourceError


def lay(root: Path) -> None:
    (root / ATTRIBUTES).write_text("2\nSmiling Young\n0.jpg  -1  1 \n1.jpg   1 -1 \n")
    (root / POSES).write_text("2\nYaw Pitch Raw\n0.jpg -16.75 -3.5 -0.5\n1.jpg 1 2 3\n")
    (root / MAPPING).write_text(
        "idx          orig_idx      orig_file\n"
        f"0 {FIRST_VAL - 1} 162771.jpg\n1          {FIRST_VAL}     162772.jpg\n"
        f"2 {FIRST_TEST - 1} 182638.jpg\n3 {FIRST_TEST} 182639.jpg\n"
    )
    for picture, part, size in ((0, "nose", 3), (0, "skin", 4), (2001, "hair", 5)):
        file = root / part_file(picture, part)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * size)


def test_attributes_pose_and_index(tmp_path: Path) -> None:
    lay(tmp_path)
    notes = read_notes(tmp_path)
    assert notes.attributes[0] == (
        ("Smiling", -1), ("Young", 1), ("celeba_index", FIRST_VAL - 1), ("pose_pitch", -3.5), ("pose_roll", -0.5),
        ("pose_yaw", -16.75),
    )  # fmt: skip
    assert notes.attributes[3] == (("celeba_index", FIRST_TEST),)


def test_official_splits_begin_where_celebas_do(tmp_path: Path) -> None:
    lay(tmp_path)
    assert read_notes(tmp_path).splits == {0: "train", 1: "val", 2: "val", 3: "test"}


def test_a_mapping_without_its_line_of_names(tmp_path: Path) -> None:
    lay(tmp_path)
    rows = (tmp_path / MAPPING).read_text().splitlines(keepends=True)[1:]
    with_names = read_notes(tmp_path)
    (tmp_path / MAPPING).write_text("".join(rows))
    assert read_notes(tmp_path) == with_names


def test_stamps_tell_which_part_files_changed(tmp_path: Path) -> None:
    lay(tmp_path)
    before = read_notes(tmp_path).labels
    assert set(before) == {0, 2001}
    assert read_notes(tmp_path).labels == before
    os.utime(tmp_path / part_file(0, "skin"), ns=(1, 1))
    touched = read_notes(tmp_path).labels
    assert touched[0] != before[0] and touched[2001] == before[2001]
    (tmp_path / part_file(2001, "hair")).rename(tmp_path / part_file(2001, "hat"))
    assert read_notes(tmp_path).labels[2001] != before[2001]


def test_files_that_are_no_part_files_do_not_count(tmp_path: Path) -> None:
    lay(tmp_path)
    before = read_notes(tmp_path).labels
    for name in ("00007_beard.png", "00007_nose.jpg", "7_nose.png", "02001_nose.png", "notes.txt"):
        (tmp_path / part_file(0, "nose")).with_name(name).write_bytes(b"x")
    assert read_notes(tmp_path).labels == before


def test_what_is_not_there_is_left_out(tmp_path: Path) -> None:
    notes = read_notes(tmp_path)
    assert (notes.attributes, notes.splits, notes.labels) == ({}, {}, {})


@pytest.mark.parametrize(
    ("file", "text", "line"),
    [
        (ATTRIBUTES, "1\nSmiling Young\n0.jpg 1\n", 3),
        (ATTRIBUTES, "1\nSmiling\n0.jpg yes\n", 3),
        (POSES, "1\nYaw Pitch Raw\n0.jpg 1 2\n", 3),
        (POSES, "1\nYaw Pitch Raw\nnose.jpg 1 2 3\n", 3),
        (MAPPING, "idx orig_idx orig_file\n\n7\n", 3),
        (MAPPING, "idx orig_idx orig_file\n1 " + "9" * 5_000 + "\n", 2),
        (MAPPING, "idx orig_idx orig_file\n1 " + "9" * 1_000 + "\n", 2),
        (MAPPING, "idx orig_idx orig_file\n" + "9" * 1_000 + " 1\n", 2),
        (ATTRIBUTES, "1\nSmiling\n0.jpg " + "1" * 1_000 + "\n", 3),
        (ATTRIBUTES, "1\nSmiling\n" + "1" * 1_000 + ".jpg 1\n", 3),
        (POSES, "1\nYaw Pitch Raw\n0.jpg 1 2 nan\n", 3),
        (ATTRIBUTES, "1\n" + "Smiling " * 1_001 + "\n", 2),
    ],
)
def test_a_line_of_another_form_is_named(file: str, text: str, line: int, tmp_path: Path) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(SourceError, match=f"line {line} has an unknown format") as caught:
        read_notes(tmp_path)
    assert caught.value.where.endswith(file) and caught.value.remedy


def test_the_known_bad_ones() -> None:
    assert {404, 4790} <= set(KNOWN_BAD)
    doubles = {number: reason for number, reason in KNOWN_BAD.items() if "same picture" in reason}
    assert len(doubles) == 13
    assert doubles[235] == "the same picture as 234.jpg"
    assert all(number - 1 not in KNOWN_BAD for number in doubles)


def test_part_files_lie_in_folders_of_two_thousand() -> None:
    assert part_file(0, "skin") == "CelebAMask-HQ-mask-anno/0/00000_skin.png"
    assert part_file(1999, "skin").split("/")[1] == "0" and part_file(29999, "ear_r").endswith("14/29999_ear_r.png")


@pytest.mark.parametrize("file", [ATTRIBUTES, POSES, MAPPING])
def test_what_is_no_text_file_is_refused(file: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / file)
    with pytest.raises(SourceError, match="pipe, socket or device"):
        read_notes(tmp_path)
    (tmp_path / file).unlink()
    (tmp_path / file).write_bytes(b"\xff\xfe")
    with pytest.raises(SourceError, match="cannot be read") as caught:
        read_notes(tmp_path)
    assert caught.value.remedy
    with (tmp_path / file).open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(SourceError, match="at most 268,435,456 are read"):
        read_notes(tmp_path)


def test_a_part_file_without_a_target_leaves_the_others_known(tmp_path: Path) -> None:
    lay(tmp_path)
    (tmp_path / part_file(0, "hair")).symlink_to("nowhere")
    assert set(read_notes(tmp_path).labels) == {0, 2001}


@given(text=st.binary(max_size=80) | st.text("0123. \t\n-x", max_size=80).map(str.encode))
def test_any_text_is_notes_or_a_source_error(text: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    for file in (ATTRIBUTES, POSES, MAPPING):
        (folder / file).write_bytes(text)
        with contextlib.suppress(SourceError):
            read_notes(folder)
        (folder / file).unlink()
