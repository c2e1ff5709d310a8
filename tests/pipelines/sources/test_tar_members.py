from __future__ import annotations

import io
import os
import tarfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.pipelines.sources.tar_members import Member, members

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def write(path: Path, contents: dict[str, bytes], kind: int = tarfile.PAX_FORMAT, mtime: float = 0) -> Path:
    with tarfile.open(path, "w", format=kind) as tar:
        for name, data in contents.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), mtime
            tar.addfile(member, io.BytesIO(data))
    return path


def contents(path: Path) -> dict[str, bytes]:
    data = path.read_bytes()
    return {member.name: data[member.offset : member.offset + member.size] for member in members(path)}


@pytest.mark.parametrize("kind", FORMATS.values(), ids=FORMATS.keys())
def test_names_and_bytes(tmp_path: Path, kind: int) -> None:
    given = {"a.jpg": b"one", "deep/b.jpg": b"x" * 512, "empty": b"", "été 写真.png": b"y" * 1000, "z" * 99: b"z"}
    assert contents(write(tmp_path / "a.tar", given, kind)) == given


@pytest.mark.parametrize("kind", FORMATS.values(), ids=FORMATS.keys())
def test_long_names(tmp_path: Path, kind: int) -> None:
    given = {"folder/" * 20 + "name.jpg": b"one", "short.jpg": b"two"}
    assert contents(write(tmp_path / "a.tar", given, kind)) == given


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_very_long_names(tmp_path: Path, kind: int) -> None:
    given = {"é" * 400 + ".jpg": b"one", "short.jpg": b"two"}
    assert contents(write(tmp_path / "a.tar", given, kind)) == given


def test_times_with_fractions_as_webdataset_writes_them(tmp_path: Path) -> None:
    given = {f"{n}.jpg": b"x" * n for n in range(5)}
    assert contents(write(tmp_path / "a.tar", given, mtime=1_700_000_000.25)) == given


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(
        st.text("abé/._ -", min_size=1, max_size=150).map(lambda text: "x" + text + "x"), st.binary(max_size=1100)
    ),
    st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
)
def test_it_agrees_with_tarfile(tmp_path_factory: pytest.TempPathFactory, given: dict[str, bytes], kind: int) -> None:
    path = write(tmp_path_factory.mktemp("t") / "a.tar", given, kind)
    with tarfile.open(path) as tar:
        expected = [Member(one.name, one.offset_data, one.size, True) for one in tar]
    assert list(members(path)) == expected


def test_links_and_folders(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "real.jpg").write_bytes(b"photo")
    (tmp_path / "folder" / "soft.jpg").symlink_to("real.jpg")
    (tmp_path / "folder" / "twin.jpg").hardlink_to(tmp_path / "folder" / "real.jpg")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in ["", "/real.jpg", "/soft.jpg", "/twin.jpg"]:
            tar.add(tmp_path / f"folder{name}", f"folder{name}", recursive=False)
    found = {member.name: member.is_file for member in members(tmp_path / "a.tar")}
    assert found == {"folder/real.jpg": True, "folder/soft.jpg": False, "folder/twin.jpg": False}


def test_sizes_beyond_octal_digits(tmp_path: Path) -> None:
    member = tarfile.TarInfo("huge.jpg")
    member.size = 9 << 30
    (tmp_path / "a.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT))
    with (tmp_path / "a.tar").open("r+b") as stream:
        stream.truncate(512 + (9 << 30) + 1024)  # a hole: takes no room on disk
    assert list(members(tmp_path / "a.tar")) == [Member("huge.jpg", 512, 9 << 30, True)]


def test_no_end_mark_is_no_damage(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", {"a.jpg": b"one"})
    path.write_bytes(path.read_bytes()[:1024])
    assert contents(path) == {"a.jpg": b"one"}


@pytest.mark.parametrize("data", [b"", b"no tar", b"x" * 2000, b"\x1f\x8b" + b"\0" * 1000])
def test_no_tar_file(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(ValueError, match="not an uncompressed tar file"):
        list(members(tmp_path / "a.tar"))


@pytest.mark.parametrize(("at", "message"), [(1024 + 600, "truncated"), (1024 + 100, "damaged")])
def test_what_comes_before_a_cut_is_good(tmp_path: Path, at: int, message: str) -> None:
    path = write(tmp_path / "a.tar", {"a.jpg": b"one", "b.jpg": b"two" * 300, "c.jpg": b"three"})
    path.write_bytes(path.read_bytes()[:at])
    listed = members(path)
    assert next(listed).name == "a.jpg"
    with pytest.raises(ValueError, match=message):
        next(listed)


def test_a_damaged_header_is_never_taken_for_the_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", {"a.jpg": b"one", "b.jpg": b"two"})
    data = bytearray(path.read_bytes())
    data[1024] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="damaged at byte 1024"):
        list(members(path))


def with_length(field: bytes, kind: bytes = b"0") -> bytes:
    """A header of a member whose length field holds just this, its checksum right."""
    header = bytearray(tarfile.TarInfo("b.jpg").tobuf(tarfile.USTAR_FORMAT))
    header[124:136] = field.ljust(12, b"\0")
    header[156:157] = kind
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


@pytest.mark.parametrize("kind", [b"0", b"x", b"L", b"5"])
@pytest.mark.parametrize("field", [b"-0001000", b"+0000010", b"0_10", b"9", b"x", b"\xff" * 12])
def test_lengths_that_are_no_octal_number_are_damage(tmp_path: Path, field: bytes, kind: bytes) -> None:
    """A negative one would lead back to its own header, for ever."""
    path = write(tmp_path / "a.tar", {"a.jpg": b"one"})
    path.write_bytes(path.read_bytes()[:1024] + with_length(field, kind) + bytes(2048))
    listed = members(path)
    assert next(listed).name == "a.jpg"
    with pytest.raises(ValueError, match="damaged"):
        next(listed)


@pytest.mark.parametrize("size", ["-1536", "+10", "1_0", "1e3", "", "9" * 5000])
def test_pax_lengths_that_are_no_number_are_damage(tmp_path: Path, size: str) -> None:
    member = tarfile.TarInfo("b.jpg")
    member.pax_headers = {"size": size}
    (tmp_path / "a.tar").write_bytes(member.tobuf(tarfile.PAX_FORMAT) + bytes(2048))
    with pytest.raises(ValueError):
        list(members(tmp_path / "a.tar"))


def test_a_pax_record_of_endless_length_ends_with_its_header(tmp_path: Path) -> None:
    record = b"1" + b"0" * 30 + b" path=b.jpg\n"
    header = tarfile.TarInfo("x")
    header.size, header.type = len(record), tarfile.XHDTYPE
    file = tarfile.TarInfo("a.jpg")
    data = (
        header.tobuf(tarfile.USTAR_FORMAT) + record.ljust(512, b"\0") + file.tobuf(tarfile.USTAR_FORMAT) + bytes(1024)
    )
    (tmp_path / "a.tar").write_bytes(data)
    assert len(list(members(tmp_path / "a.tar"))) == 1


def test_joined_archives_are_read_to_the_end(tmp_path: Path) -> None:
    one, two = write(tmp_path / "1.tar", {"a.jpg": b"one"}), write(tmp_path / "2.tar", {"b.jpg": b"two"})
    (tmp_path / "both.tar").write_bytes(one.read_bytes() + two.read_bytes())
    assert contents(tmp_path / "both.tar") == {"a.jpg": b"one", "b.jpg": b"two"}


def test_rubbish_behind_the_end_is_damage(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", {"a.jpg": b"one"})
    path.write_bytes(path.read_bytes() + b"rubbish")
    listed = members(path)
    assert next(listed).name == "a.jpg"
    with pytest.raises(ValueError, match="damaged"):
        next(listed)


def test_an_empty_archive_holds_nothing(tmp_path: Path) -> None:
    assert contents(write(tmp_path / "a.tar", {})) == {}


def test_a_pipe_or_device_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.tar")
    (tmp_path / "b.tar").symlink_to("/dev/zero")
    for name in ("a.tar", "b.tar"):
        with pytest.raises(ValueError, match="pipe, socket or device"):
            list(members(tmp_path / name))


@pytest.mark.parametrize("tail", [b"", b"\0" * 100, b"rubbish"])
def test_a_terabyte_of_zeros_is_passed_over(tmp_path: Path, tail: bytes) -> None:
    path = write(tmp_path / "a.tar", {"a.jpg": b"one"})
    more = write(tmp_path / "b.tar", {"b.jpg": b"two"}).read_bytes()
    with path.open("r+b") as stream:
        stream.seek(1 << 40)
        stream.write(more)
        stream.seek(1 << 41)
        stream.write(tail)
        stream.truncate()
    begin, listed = time.process_time(), members(path)
    assert [next(listed).name, next(listed).name] == ["a.jpg", "b.jpg"]
    if tail:
        with pytest.raises(ValueError, match="damaged"):
            next(listed)
    else:
        assert list(listed) == []
    assert time.process_time() - begin < 5


def test_zeros_between_archives_on_a_system_without_holes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "SEEK_DATA", raising=False)
    one, two = write(tmp_path / "1.tar", {"a.jpg": b"one"}), write(tmp_path / "2.tar", {"b.jpg": b"two"})
    (tmp_path / "both.tar").write_bytes(one.read_bytes() + bytes(512 * 5_001) + two.read_bytes())
    assert list(contents(tmp_path / "both.tar")) == ["a.jpg", "b.jpg"]


def test_names_above_the_archive_are_only_names(tmp_path: Path) -> None:
    given = {"../../up.jpg": b"one", "/etc/passwd.jpg": b"two"}
    assert contents(write(tmp_path / "a.tar", given, tarfile.GNU_FORMAT)) == given


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 4_000), st.binary(min_size=1, max_size=20), st.booleans(), st.sampled_from(list(FORMATS.values()))
)
def test_any_damage_ends_in_members_or_a_value_error(
    tmp_path_factory: pytest.TempPathFactory, place: int, other: bytes, sound: bool, kind: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.tar"
    data = write(path, {"a/" * 30 + "a.jpg": b"one", "b.jpg": b"two"}, kind, mtime=0.5).read_bytes()
    data = data[:place] + other + data[place + len(other) :]
    if sound:  # the checksum agrees, as an attacker would have it
        header = bytearray(data[place // 512 * 512 :][:512])
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        data = data[: place // 512 * 512] + bytes(header) + data[place // 512 * 512 + 512 :]
    path.write_bytes(data)
    end = len(data)
    try:
        for member in members(path):
            assert 0 <= member.offset <= member.offset + member.size <= end or not member.is_file
    except ValueError as error:
        assert str(error)
