"""Files are compared with what is listed of them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.file_faults import Fault, ListedFile, fault_of, find_fault, find_shard_faults
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError

SUM = hashlib.sha256(b"data").hexdigest()


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    (tmp_path / "a").write_bytes(b"data")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    return Storage(str(tmp_path))


def test_the_same_file_has_no_fault(storage: Storage) -> None:
    assert find_fault(storage, ListedFile("a", 4, SUM), "remedy") is None
    assert find_fault(storage, ListedFile("a", 4), "remedy") is None


@pytest.mark.parametrize(
    ("file", "what"),
    [
        (ListedFile("b", 4), "missing"),
        (ListedFile("a", 5, SUM), "has 4 bytes, and 5 are listed"),
        (ListedFile("a", 4, "0" * 64), "sha256"),
        (ListedFile("folder", 4), "no regular file"),
        (ListedFile("link", 4), "a link"),
        (ListedFile("a/b", 4), "missing"),
    ],
)
def test_a_difference_is_named_with_the_remedy(file: ListedFile, what: str, storage: Storage) -> None:
    fault = find_fault(storage, file, "Do this")
    assert fault and fault.file == file.path and what in fault.what and fault.remedy == "Do this"


def test_a_fault_is_one_line() -> None:
    assert str(Fault("a", "b\nc \x1b", "Do this")) == "a: b c \\x1b. Do this"


def test_permission_is_asked_for(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    fault = find_fault(storage, ListedFile("a", 4, SUM), "Delete it")
    assert fault and "permission" in fault.remedy
    assert fault_of(StorageError("damaged", where="a"), "Delete it").remedy == "Delete it"


def test_every_shard_is_compared_and_counted(masked_build: Path) -> None:
    storage, counts = Storage(str(masked_build)), list[int]()
    shards = read_record(storage).shards
    assert find_shard_faults(storage, shards, "x", deep=True, on_count=counts.append) == []
    assert counts == [*range(1, len(shards) + 1)]
    wrong = shards[0].model_copy(update={"sha256": "0" * 64, "index_sha256": "1" * 64})
    for deep, digests, expected in (
        (True, True, [shard_tar(wrong.name), shard_index(wrong.name)]),
        (False, True, [shard_index(wrong.name)]),
        (False, False, []),
    ):
        found = find_shard_faults(storage, [wrong], "x", digests=digests, deep=deep)
        assert [fault.file for fault in found] == expected


def test_an_index_that_does_not_fit_its_shard_is_found(masked_build: Path) -> None:
    storage = Storage(str(masked_build))
    shard = read_record(storage).shards[0]
    wrong = shard.model_copy(update={"samples": shard.samples + 1})
    (fault,) = find_shard_faults(storage, [wrong], "x", deep=True)
    assert fault.file == shard_index(shard.name) and "rows" in fault.what
