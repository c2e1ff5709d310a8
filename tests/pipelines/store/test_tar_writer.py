"""Tar members: readable by other tools, at the stated offsets, and the same bytes always."""

from __future__ import annotations

import hashlib
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.store.tar_writer import BLOCK, END, append_sample, member_header, sample_length
from faceloom.schemas.index import Member

names = st.sampled_from(["face.jpg", "json", "landmarks.npy", "mask.png", "masked.jpg"])
contents = st.one_of(st.binary(max_size=40), st.integers(510, 514).map(bytes), st.just(b"\0" * 1024))
files = st.dictionaries(names, contents, max_size=5).map(lambda found: sorted(found.items()))
samples = st.lists(files, max_size=4)


def write(groups: list[list[tuple[str, bytes]]], first: int = 0) -> tuple[bytes, list[tuple[Member, ...]]]:
    stream, index = io.BytesIO(), []
    for number, group in enumerate(groups, first):
        index.append(append_sample(stream, stream.tell(), f"key{number:03d}", group))
    return stream.getvalue(), index


@given(samples)
def test_tarfile_reads_what_was_written(groups: list[list[tuple[str, bytes]]]) -> None:
    data, _ = write(groups)
    expected = [(f"key{n:03d}.{name}", content) for n, group in enumerate(groups) for name, content in group]
    with tarfile.open(fileobj=io.BytesIO(data + END)) as archive:
        found = [(member.name, archive.extractfile(member).read()) for member in archive]  # type: ignore[union-attr]
    assert found == expected


@given(samples)
def test_offsets_sizes_and_digests_are_exact(groups: list[list[tuple[str, bytes]]]) -> None:
    data, index = write(groups)
    for group, members in zip(groups, index, strict=True):
        assert [member.name for member in members] == [name for name, _ in group]
        for member, (_, content) in zip(members, group, strict=True):
            assert data[member.offset : member.offset + member.size] == content
            assert member.sha256 == hashlib.sha256(content).hexdigest()
            assert member.offset % BLOCK == 0
    assert sum(sample_length(members) for members in index) == len(data)


@given(samples)
def test_tarfile_agrees_on_where_the_contents_lie(groups: list[list[tuple[str, bytes]]]) -> None:
    data, index = write(groups)
    with tarfile.open(fileobj=io.BytesIO(data + END)) as archive:
        found = [(member.offset_data, member.size) for member in archive]
    assert found == [(member.offset, member.size) for members in index for member in members]


@given(samples)
def test_the_same_files_are_the_same_bytes(groups: list[list[tuple[str, bytes]]]) -> None:
    assert write(groups) == write(groups)


@given(samples, samples)
def test_joined_parts_are_one_archive(one: list[list[tuple[str, bytes]]], other: list[list[tuple[str, bytes]]]) -> None:
    first, _ = write(one)
    second, _ = write(other, first=len(one))
    assert first + second == write(one + other)[0]


@given(files, st.integers(0, 1000))
def test_the_offset_given_is_where_counting_starts(group: list[tuple[str, bytes]], blocks: int) -> None:
    at_nought = append_sample(io.BytesIO(), 0, "k", group)
    later = append_sample(io.BytesIO(), blocks * BLOCK, "k", group)
    assert [member.offset for member in later] == [member.offset + blocks * BLOCK for member in at_nought]
    assert sample_length(later) == sample_length(at_nought)


def test_nothing_in_the_header_tells_of_this_machine() -> None:
    info = tarfile.TarInfo.frombuf(member_header("k.face.jpg", 5), "utf-8", "strict")
    assert (info.name, info.size, info.type) == ("k.face.jpg", 5, tarfile.REGTYPE)
    assert (info.mtime, info.uid, info.gid, info.uname, info.gname, info.mode) == (0, 0, 0, "", "", 0o644)
    assert member_header("k.face.jpg", 5) == member_header("k.face.jpg", 5)
    assert len(member_header("k", 0)) == BLOCK
    assert member_header("k", 0)[257:263] == b"ustar\0"


def test_an_archive_without_samples_is_one() -> None:
    with tarfile.open(fileobj=io.BytesIO(END)) as archive:
        assert archive.getmembers() == []


def test_a_name_of_100_bytes_fits_and_a_longer_one_does_not() -> None:
    assert tarfile.TarInfo.frombuf(member_header("n" * 100, 1), "utf-8", "strict").name == "n" * 100
    for name in ("n" * 101, "d/" + "n" * 99, "é" * 51):
        with pytest.raises(ValueError, match="too long"):
            member_header(name, 1)


def test_a_size_that_ustar_cannot_hold_is_refused() -> None:
    assert member_header("n", 8 * 2**30 - 1)
    with pytest.raises(ValueError, match="too large"):
        member_header("n", 8 * 2**30)


def test_no_files_no_bytes() -> None:
    stream = io.BytesIO()
    assert append_sample(stream, 0, "k", []) == ()
    assert stream.getvalue() == b""
    assert sample_length(()) == 0


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=25), st.integers(0, 8**11 - 1)
)
def test_headers_are_those_of_tarfile(name: str, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size = size
    assert member_header(name, size) == info.tobuf(tarfile.USTAR_FORMAT)
