"""A tombstone states what a purged release was, and keeps its version from being used."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceloom.pipelines.release.tombstone import Tombstone, read_tombstone, refuse_purged
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import ReleaseError, StorageError

PLACE = "releases/faces/1.0.0/tombstone.json"
STONE = Tombstone(name="faces", version="1.0.0", digest="ab" * 32, why="a person withdrew", when="2026-01-31T12:00:00Z")


def lay(folder: Path, data: bytes) -> Storage:
    (folder / PLACE).parent.mkdir(parents=True)
    (folder / PLACE).write_bytes(data)
    return Storage(str(folder))


def test_it_is_read_as_written(tmp_path: Path) -> None:
    storage = lay(tmp_path, STONE.model_dump_json().encode())
    assert read_tombstone(storage, "faces", "1.0.0") == STONE
    assert read_tombstone(storage, "faces", "1.0.1") is None


def test_the_refusal_states_time_reason_and_digest(tmp_path: Path) -> None:
    storage = lay(tmp_path, STONE.model_dump_json().encode())
    refuse_purged(storage, "faces", "1.0.1")
    with pytest.raises(ReleaseError) as caught:
        refuse_purged(storage, "faces", "1.0.0")
    for word in (STONE.digest, "a person withdrew", "2026-01-31T12:00:00Z", "faces@1.0.0"):
        assert word in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"[]", b'{"name": "faces"}', STONE.model_dump_json().encode() + b"x"])
def test_a_damaged_one_is_named(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(StorageError, match="damaged tombstone") as caught:
        read_tombstone(lay(tmp_path, data), "faces", "1.0.0")
    assert caught.value.where == PLACE
