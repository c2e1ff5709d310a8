"""Records written here by hand from the format's description are read back, and damage is named."""

from __future__ import annotations

import contextlib
import os
import struct
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.recordio import record_file
from faceloom.pipelines.recordio.record_file import content_of, index_of, picture_of, read_head

MAGIC = bytes([0x0A, 0x23, 0xD7, 0xCE])


def chunk(flag: int, data: bytes) -> bytes:
    return MAGIC + struct.pack("<I", flag << 29 | len(data)) + data + b"\0" * (-len(data) % 4)


def record(picture: bytes, label: float = 3, flag: int = 0, labels: tuple[float, ...] = ()) -> bytes:
    return chunk(0, struct.pack("<IfQQ", flag, label, 7, 0) + struct.pack(f"<{len(labels)}f", *labels) + picture)


@contextmanager
def opened(path: Path, data: bytes) -> Iterator[int]:
    path.write_bytes(data)
    with path.open("rb") as stream:
        yield stream.fileno()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "train.rec"


def test_a_plain_record(file: Path) -> None:
    data = record(b"a picture", 17.0)
    with opened(file, b"" + data) as stream:
        head = read_head(stream, 0)
        assert (head.labels, head.length, head.end, head.packed) == ((17.0,), 9, len(data), False)
        assert picture_of(stream, 0) == b"a picture"
        assert content_of(stream, 0).endswith(b"a picture")


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_a_packed_record(count: int, file: Path) -> None:
    labels = tuple(float(n) for n in range(count))
    first, data = record(b"before"), record(b"picture", 0.0, count, labels)
    with opened(file, first + data) as stream:
        head = read_head(stream, len(first))
        assert (head.labels, head.length, head.packed) == (labels, 7, True)
        assert picture_of(stream, len(first)) == b"picture"


def test_records_follow_each_other_at_multiples_of_four(file: Path) -> None:
    with opened(file, record(b"1") + record(b"22") + record(b"") + record(b"4444")) as stream:
        offset, found = 0, []
        for _ in range(4):
            assert offset % 4 == 0
            found.append(picture_of(stream, offset))
            offset = read_head(stream, offset).end
        assert found == [b"1", b"22", b"", b"4444"]
        assert offset == os.fstat(stream).st_size


def test_a_continued_record_gets_its_magic_numbers_back(file: Path) -> None:
    header = struct.pack("<IfQQ", 0, 5.0, 1, 0)
    data = chunk(1, header + b"abcd") + chunk(2, b"") + chunk(2, b"efghijkl") + chunk(3, b"mn")
    with opened(file, data + record(b"next")) as stream:
        assert picture_of(stream, 0) == b"abcd" + MAGIC + MAGIC + b"efghijkl" + MAGIC + b"mn"
        head = read_head(stream, 0)
        assert (head.labels, head.length, head.end) == ((5.0,), 4 + 4 + 4 + 8 + 4 + 2, len(data))
        assert picture_of(stream, head.end) == b"next"


def test_a_magic_number_inside_the_header_itself(file: Path) -> None:
    magic = struct.unpack("<I", MAGIC)[0]
    header = struct.pack("<IfQQ", 0, 5.0, magic, 0)
    assert header[8:12] == MAGIC
    with opened(file, chunk(1, header[:8]) + chunk(3, header[12:] + b"xyz")) as stream:
        assert picture_of(stream, 0) == b"xyz"
        assert read_head(stream, 0).labels == (5.0,)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (record(b"picture")[:-5], "ends inside the record at byte 0"),
        (record(b"picture")[:6], "ends inside the record at byte 0"),
        (b"", "ends inside the record at byte 0"),
        (b"x" + record(b"picture"), "no record begins at byte 0"),
        (chunk(2, b"middle first"), "no record begins at byte 0"),
        (chunk(1, b"abcd") + chunk(0, b"whole inside"), "no record begins at byte 12"),
        (chunk(0, b"short"), "too short for a header"),
        (record(b"", 0, 4, (1.0, 2.0)), "too short for its 4 labels"),
        (record(bytes(8_000), 0, 1_001), "states 1,001 labels; at most 1,000"),
        (record(b"", 0, 2**32 - 1), "states 4,294,967,295 labels"),
        (chunk(1, b"") + chunk(2, b"") * 10_000 + chunk(3, bytes(40)), "more than 10,000 chunks"),
    ],
)
def test_damage_is_named(data: bytes, message: str, file: Path) -> None:
    with opened(file, data) as stream, pytest.raises(ValueError, match=message):
        read_head(stream, 0)


@pytest.mark.parametrize(
    ("offset", "message"),
    [
        (-8, "no record begins at byte -8"),
        (-(2**70), "no record begins"),
        (10_000, "ends before the record at byte 10000"),
        (2**63, "ends before the record"),
        (2**70, "ends before the record"),
    ],
)
def test_an_offset_outside_the_file_is_damage(offset: int, message: str, file: Path) -> None:
    with opened(file, record(b"picture")) as stream:
        for read in (read_head, content_of, picture_of):
            with pytest.raises(ValueError, match=message):
                read(stream, offset)


def test_padding_that_is_missing_at_the_very_end_does_no_harm(file: Path) -> None:
    with opened(file, record(b"12345")[:-3]) as stream:
        assert picture_of(stream, 0) == b"12345"


def test_the_index_is_that_of_the_idx_file(file: Path) -> None:
    one, two = record(b"one"), record(b"two")
    file.write_bytes(one + two)
    file.with_suffix(".idx").write_text(f"9\t0\n4\t{len(one)}\n")
    index = index_of(file)
    assert (index.numbers.tolist(), index.offsets.tolist()) == ([4, 9], [len(one), 0])
    assert (index.offset(9), index.offset(4), index.offset(5), index.offset(10)) == (0, len(one), None, None)


def test_without_idx_file_records_are_counted(file: Path) -> None:
    file.write_bytes(record(b"one") + record(b"two") + chunk(1, b"abcd") + chunk(3, b"ef") + record(b"four"))
    index = index_of(file)
    assert index.numbers.tolist() == [0, 1, 2, 3]
    with file.open("rb") as stream:
        assert picture_of(stream.fileno(), int(index.offsets[3])) == b"four"


def test_a_damaged_record_is_the_last_that_is_counted(file: Path) -> None:
    one = record(b"one")
    file.write_bytes(one + b"rubbish!" + record(b"never seen"))
    assert index_of(file).offsets.tolist() == [0, len(one)]


def test_a_file_written_anew_is_indexed_anew(file: Path) -> None:
    file.write_bytes(record(b"one"))
    assert len(index_of(file).numbers) == 1
    file.write_bytes(record(b"one") + record(b"two"))
    assert len(index_of(file).numbers) == 2
    file.with_suffix(".idx").write_text("5\t0\n")
    assert index_of(file).numbers.tolist() == [5]


def test_a_wrong_idx_file_and_a_missing_file(file: Path) -> None:
    file.write_bytes(record(b"one"))
    for text in ("0\t0\n1\n", "a\tb\n", "0\t1.5\n"):
        file.with_suffix(".idx").write_text(text)
        with pytest.raises(ValueError, match=r"\.idx file"):
            index_of(file)
    file.unlink()
    with pytest.raises(FileNotFoundError):
        index_of(file)


@pytest.mark.parametrize("target", ["nowhere.idx", "train.idx"])
def test_an_idx_file_that_is_a_link_to_nothing_is_not_taken_for_absent(file: Path, target: str) -> None:
    file.write_bytes(record(b"one"))
    file.with_suffix(".idx").symlink_to(target)
    with pytest.raises(OSError, match=r"\.idx"):
        index_of(file)


def test_numbers_of_any_length_spoil_nothing_else(file: Path) -> None:
    file.write_bytes(record(b"one") + record(b"two"))
    file.with_suffix(".idx").write_text(f"{2**70}\t0\n3\t{2**64}\n{-(2**63) - 1}\t0\n1\t{len(record(b'one'))}\n")
    index = index_of(file)
    assert index.numbers.tolist() == [-(2**63) - 1, 1, 3, 2**70]
    assert index.offsets.tolist() == [0, len(record(b"one")), 2**64, 0]
    assert (index.offset(1), index.offset(2), index.offset(2**70)) == (len(record(b"one")), None, 0)


@given(pictures=st.lists(st.binary(max_size=40), max_size=12))
def test_whatever_is_written_is_read(pictures: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("records") / "a.rec"
    with opened(file, b"".join(record(picture, n) for n, picture in enumerate(pictures))) as stream:
        index = index_of(file)
        assert [picture_of(stream, offset) for offset in index.offsets.tolist()] == pictures
        assert [read_head(stream, offset).labels[0] for offset in index.offsets.tolist()] == [*range(len(pictures))]


def test_a_record_that_is_too_long_is_not_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_file, "MOST_BYTES", 50)
    with opened(file, chunk(1, bytes(40)) + chunk(3, bytes(40))) as stream:
        for read in (read_head, content_of, picture_of):
            with pytest.raises(ValueError, match="has more than 50 bytes"):
                read(stream, 0)


def test_an_idx_file_is_read_in_blocks(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_file, "_BLOCK", 64)
    file.write_bytes(record(b"one"))
    lines = [(number, number * 10**10) for number in range(100)]
    file.with_suffix(".idx").write_text("".join(f" {number}\t{offset}\r\n\n" for number, offset in lines))
    index = index_of(file)
    assert list(zip(index.numbers.tolist(), index.offsets.tolist(), strict=True)) == lines
    assert index.numbers.flags.c_contiguous and index.numbers.base is None
    file.with_suffix(".idx").write_text("1 " * 200)
    with pytest.raises(ValueError, match=r"\.idx file is not lines"):
        index_of(file)


def test_an_idx_file_is_read_without_an_object_for_each_number(file: Path) -> None:
    file.write_bytes(record(bytes(2_000_000)))
    text = "".join(f"{number}\t{number * 9_000}\n" for number in range(200_000))
    file.with_suffix(".idx").write_text(text)
    tracemalloc.start()
    index_of(file)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 6 * len(text)


def test_what_cannot_be_an_idx_file_is_not_read(file: Path) -> None:
    file.write_bytes(record(b"one"))
    index = file.with_suffix(".idx")
    with index.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(ValueError, match=r"it has 1,099,511,627,776 bytes; at most 1,0"):
        index_of(file)
    index.unlink()
    os.mkfifo(index)
    with pytest.raises(ValueError, match="pipe, socket or device"):
        index_of(file)
    index.unlink()
    index.symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="pipe, socket or device"):
        index_of(file)


@given(text=st.binary(max_size=60) | st.text("0123456789-+._ \t\n\r\0", max_size=60).map(str.encode))
def test_any_idx_file_is_an_index_or_a_value_error(text: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.getbasetemp() / "any.rec"
    file.write_bytes(record(b"one"))
    file.with_suffix(".idx").write_bytes(text)
    try:
        expected = [int(word) for word in text.split()]
    except ValueError:
        expected = None
    try:
        index = index_of(file)
    except ValueError:
        assert expected is None or len(expected) % 2 or b"_" in text
    else:
        assert expected is not None
        assert sorted(index.numbers.tolist()) == sorted(expected[::2])


@given(
    data=st.binary(max_size=100) | st.lists(st.builds(chunk, st.integers(0, 7), st.binary(max_size=60))).map(b"".join),
    offset=st.integers(-4, 100),
)
def test_any_record_is_a_picture_or_a_value_error(
    data: bytes, offset: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with opened(tmp_path_factory.getbasetemp() / "any2.rec", data) as stream:
        for read in (read_head, picture_of):
            with contextlib.suppress(ValueError):
                assert read(stream, offset) is not None


@pytest.mark.parametrize("text", [b"0 +", b"- 0", b"0 -\n", b"+-1 0"])
def test_a_sign_without_digits_is_no_number(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.rec").write_bytes(record(b"one"))
    (tmp_path / "a.idx").write_bytes(text)
    with pytest.raises(ValueError, match="whole numbers"):
        index_of(tmp_path / "a.rec")
