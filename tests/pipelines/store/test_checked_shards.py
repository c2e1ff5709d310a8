"""Damaged and forged shards: what is wrong is named with file, sample and member, whatever it is."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest

from faceloom.pipelines.store.build_record import ShardRecord, read_record
from faceloom.pipelines.store.checked_shards import (
    check_every_byte,
    check_shards,
    is_unreadable,
    read_places,
    read_rows,
    read_samples,
    reading,
)
from faceloom.pipelines.store.parquet_tables import read_index, write_index
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.index import IndexRow
from tests.pipelines.read.builds import make_build, sample_files


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Storage:
    return Storage(str(make_build(tmp_path_factory.mktemp("build"), [("train", 40), ("train", 3)])))


@pytest.fixture
def own(tmp_path: Path) -> tuple[Storage, ShardRecord]:
    storage = Storage(str(make_build(tmp_path, [("train", 4)])))
    return storage, read_record(storage).shards[0]


def rewrite(own: tuple[Storage, ShardRecord], change: Callable[[IndexRow], IndexRow], row: int = 2) -> None:
    """Change a row of the index."""
    storage, shard = own
    rows = read_index(storage, shard_index(shard.name))
    rows[row] = change(rows[row])
    write_index(storage, shard_index(shard.name), rows, {"part": []}, length=shard.bytes)


def test_packed_places_are_those_of_the_index(build: Storage) -> None:
    for shard in read_record(build).shards:
        places = read_places(build, shard.name, shard)
        rows = read_rows(build, shard)
        assert len(places) == len(rows) == shard.samples
        for place, row in zip(places, rows, strict=True):
            assert place[:3] == (row.key, row.offset, row.length)
            assert [tuple(one) for one in place.members] == [
                (member.name, member.offset, member.size, member.sha256) for member in row.members
            ]
        assert places[1:3] == [places[1], places[2]]


@pytest.mark.parametrize("verify", [True, False])
def test_samples_are_those_of_the_tar_file_in_any_order(build: Storage, verify: bool) -> None:
    shard = read_record(build).shards[0]
    places = read_places(build, shard.name)
    order = [*range(5, 30), 2, 3, 39, 0]
    found = list(read_samples(build, shard.name, (places[number] for number in order), verify=verify))
    assert [key for key, _ in found] == [f"{number:04d}-f00-m000" for number in order]
    assert [list(members.items()) for _, members in found] == [sample_files(number) for number in order]


def test_a_shard_without_samples_is_whole(tmp_path: Path) -> None:
    storage = Storage(str(make_build(tmp_path, [("train", 0)])))
    shard = read_record(storage).shards[0]
    assert len(read_places(storage, shard.name, shard)) == 0
    check_every_byte(storage, shard.name)


@pytest.mark.parametrize(
    ("at", "what"),
    [
        (520, "damaged: the sha256 of its alpha.png"),
        (3, r"tar header of its alpha.png"),
        (160, "tar header"),
        (-1, "end of the tar"),
    ],
)
def test_every_byte_is_checked(own: tuple[Storage, ShardRecord], at: int, what: str) -> None:
    storage, shard = own
    check_every_byte(storage, shard.name)
    tar = storage.local(shard_tar(shard.name))
    data = bytearray(tar.read_bytes())
    data[at] ^= 4
    tar.write_bytes(data)
    with pytest.raises(StorageError, match=f"^shards/{shard.name}.tar: .*{what}.*`faceloom build` again") as caught:
        check_every_byte(storage, shard.name)
    assert not is_unreadable(caught.value)


def test_a_broken_tar_header_does_not_matter_to_who_does_not_verify(own: tuple[Storage, ShardRecord]) -> None:
    storage, shard = own
    tar = storage.local(shard_tar(shard.name))
    data = bytearray(tar.read_bytes())
    data[:512] = b"\xff" * 512
    tar.write_bytes(data)
    with pytest.raises(tarfile.ReadError):
        tarfile.open(tar).close()
    found = list(read_samples(storage, shard.name, read_places(storage, shard.name), verify=False))
    assert [list(members.items()) for _, members in found] == [sample_files(number) for number in range(4)]
    with pytest.raises(StorageError, match=r"sample 0000-f00-m000 is damaged: the tar header of its alpha.png"):
        list(read_samples(storage, shard.name, read_places(storage, shard.name)))


@pytest.mark.parametrize("kind", ["gone", "short", "long", "link", "folder"])
def test_a_shard_is_a_regular_file_of_its_length(own: tuple[Storage, ShardRecord], tmp_path: Path, kind: str) -> None:
    storage, shard = own
    tar = storage.local(shard_tar(shard.name))
    data = tar.read_bytes()
    tar.unlink()
    if kind in ("short", "long"):
        tar.write_bytes(data[:-1] if kind == "short" else data + b"x")
    elif kind == "link":
        (tmp_path / "elsewhere").write_bytes(data)
        tar.symlink_to(tmp_path / "elsewhere")
    elif kind == "folder":
        tar.mkdir()
    what = {"gone": "missing", "link": "link|no regular file", "folder": "no regular file"}.get(kind, "bytes, and")
    with pytest.raises(StorageError, match=rf"shards/{shard.name}.tar: .*({what}).*"):
        check_shards(storage, read_record(storage))
    with pytest.raises(StorageError, match=rf"shards/{shard.name}.tar: .*({what}).*"):
        read_places(storage, shard.name)


def test_the_shards_of_a_split_are_chosen(build: Storage) -> None:
    record = read_record(build)
    assert check_shards(build, record) == record.shards and check_shards(build, record, "test") == ()


def test_the_index_must_agree_with_the_record(own: tuple[Storage, ShardRecord]) -> None:
    storage, shard = own
    for change, what in (
        ({"samples": 5}, "4 rows, and build.json lists 5"),
        ({"bytes": shard.bytes + 1}, "index lists .* bytes of its shard, and build.json"),
    ):
        listed = shard.model_copy(update=change)
        for read in (lambda: read_places(storage, shard.name, listed), lambda: read_rows(storage, listed)):  # noqa: B023
            with pytest.raises(StorageError, match=f"^index/{shard.name}.parquet: .*{what}"):
                read()
    with pytest.raises(StorageError, match=r"row 0 has the split 'train', and build.json lists val"):
        read_rows(storage, shard.model_copy(update={"split": "val"}))


def first(**changes: object) -> Callable[[IndexRow], IndexRow]:
    """Change the first member of a row."""

    def change(row: IndexRow) -> IndexRow:
        return replace(row, members=(replace(row.members[0], **changes), *row.members[1:]))  # type: ignore[arg-type]

    return change


FORGED: dict[str, Callable[[IndexRow], IndexRow]] = {
    "length of 2**62": lambda row: replace(row, length=2**62),
    "negative length": lambda row: replace(row, length=-512),
    "offset of another": lambda row: replace(row, offset=0),
    "offset of 2**62": lambda row: replace(row, offset=2**62),
    "no members": lambda row: replace(row, members=()),
    "one member less": lambda row: replace(row, members=row.members[1:]),
    "a member twice": lambda row: replace(row, members=(*row.members, row.members[0])),
    "member beyond the sample": first(size=2**62),
    "member of negative size": first(size=-1),
    "member in the header": first(offset=0),
    "member with a slash": first(name="../alpha.png"),
    "member with NUL": first(name="al\0pha.png"),
    "member without a dot": first(name="jpg"),
    "member of two endings": first(name="alpha.tar.gz"),
    "member in capitals": first(name="Alpha.png"),
    "member with a long name": first(name="a" * 300 + ".png"),
    "two members of one stem": first(name="face.webp"),
    "no digest": first(sha256=""),
    "digest of other letters": first(sha256="g" * 64),
    "digest in wide digits": first(sha256="\uff11" * 64),
    "key with NUL": lambda row: replace(row, key="a\0b"),
    "key with a slash": lambda row: replace(row, key="../../a"),
    "key in capitals": lambda row: replace(row, key=row.key.upper()),
    "key of a device": lambda row: replace(row, key="com1"),
    "empty key": lambda row: replace(row, key=""),
    "long key": lambda row: replace(row, key="k" * 300),
    "key of another": lambda row: replace(row, key="0000-f00-m000"),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_row_is_named(own: tuple[Storage, ShardRecord], kind: str) -> None:
    storage, shard = own
    rewrite(own, FORGED[kind])
    for read in (lambda: read_places(storage, shard.name), lambda: read_rows(storage, shard)):
        with pytest.raises(StorageError, match=f"^index/{shard.name}.*row 2") as found:
            read()
        assert "\n" not in str(found.value) and len(str(found.value)) < 500 and str(found.value).isprintable()


def test_an_index_without_the_length_of_its_shard_is_refused(own: tuple[Storage, ShardRecord]) -> None:
    storage, shard = own
    write_index(storage, shard_index(shard.name), read_rows(storage, shard), {"part": []}, length=shard.bytes - 512)
    with pytest.raises(StorageError, match=r"bytes, and index/.* lists"):
        read_places(storage, shard.name)


def test_a_file_that_must_not_be_read_is_never_to_be_deleted(own: tuple[Storage, ShardRecord]) -> None:
    storage, shard = own
    places = read_places(storage, shard.name)

    def refuse(*_: object) -> bytes:
        try:
            raise PermissionError(13, "Permission denied")
        except PermissionError as error:
            raise StorageError("cannot be read", where="x", remedy="Delete it") from error

    with (
        pytest.raises(StorageError, match=r"^x: cannot be read \(Permission denied\)\. Ask the owner") as found,
        reading("x"),
    ):
        refuse()
    assert is_unreadable(found.value) and "elete" not in str(found.value)
    with pytest.raises(StorageError, match="Ask the owner"), reading("x"):
        raise PermissionError(1, "Operation not permitted")
    with pytest.raises(StorageError, match="Delete it"), reading("x"):
        raise StorageError("damaged", remedy="Delete it")
    assert len(places) == 4


def test_an_index_is_read_once_and_a_shard_is_opened_once(build: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, original = [], Storage.open

    def open_counted(self: Storage, path: str, most_bytes: int | None = None) -> AbstractContextManager[IO[bytes]]:
        opened.append(path)
        return original(self, path, most_bytes)

    monkeypatch.setattr(Storage, "open", open_counted)
    shard = read_record(build).shards[0]
    opened.clear()
    places = read_places(build, shard.name, shard)
    assert opened == [shard_index(shard.name)]
    opened.clear()
    assert len(read_rows(build, shard)) == len(places)
    assert opened == [shard_index(shard.name)]
    opened.clear()
    assert len(list(read_samples(build, shard.name, places[::2]))) == 20, "20 samples that are no neighbours"
    assert opened == [shard_tar(shard.name)]
