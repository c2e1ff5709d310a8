"""The end of each log stands in the marker of the folder, which no reader mistakes for another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.release import root
from faceloom.pipelines.release.log_heads import Head, check_log, read_heads, write_head
from faceloom.pipelines.release.root import locked_root, open_root
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import ReleaseError, StorageError

ONE, TWO = "1" * 64, "2" * 64


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    with locked_root(Storage(str(tmp_path)), create=True):
        (tmp_path / "channels").mkdir()
    return open_root(tmp_path)


def test_each_log_has_its_end(storage: Storage) -> None:
    assert read_heads(storage) == {}
    write_head(storage, "faces", Head(1, ONE))
    write_head(storage, "eyes", Head(7, TWO))
    write_head(storage, "faces", Head(2, TWO))
    assert read_heads(storage) == {"eyes": Head(7, TWO), "faces": Head(2, TWO)}
    open_root(storage.root)


def test_a_folder_that_is_none_of_releases_has_no_logs(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="no releases in this folder"):
        read_heads(Storage(str(tmp_path)))


@pytest.mark.parametrize(
    "logs",
    [7, [], {"../faces": [1, ONE]}, {"faces": [0, ONE]}, {"faces": [1, "x"]}, {"faces": {"lines": 1}}, {"x": [1, ONE]}],
)
def test_a_damaged_marker_is_named(storage: Storage, logs: Any) -> None:
    path = storage.local("faceloom.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "logs": logs}))
    with pytest.raises(StorageError, match="damaged marker: logs") as caught:
        read_heads(storage)
    assert caught.value.where.endswith("faceloom.json")


@pytest.mark.parametrize("lost", ["one set", "logs", "logs_sha256"])
def test_a_damaged_marker_has_a_way_out(storage: Storage, lost: str) -> None:
    write_head(storage, "faces", Head(3, ONE))
    write_head(storage, "eyes", Head(1, TWO))
    path = storage.local("faceloom.json")
    mark = json.loads(path.read_text())
    if lost == "one set":
        del mark["logs"]["faces"]
    else:
        del mark[lost]
    path.write_text(json.dumps(mark))
    with pytest.raises(StorageError, match="damaged marker") as caught:
        read_heads(storage)
    assert "take `logs` and `logs_sha256` out of faceloom.json" in caught.value.remedy
    path.write_text(json.dumps({key: mark[key] for key in mark.keys() - {"logs", "logs_sha256"}}))
    assert read_heads(storage) == {}
    write_head(storage, "faces", Head(3, ONE))
    assert read_heads(storage) == {"faces": Head(3, ONE)}


def test_a_marker_has_room_for_many_sets_and_never_gets_too_long_to_be_read(storage: Storage) -> None:
    sizes = []
    for letter in "xz":
        write_head(storage, letter * 100, Head(2**31 - 1, ONE))
        sizes.append(size := len(storage.read_bytes("faceloom.json")))
    assert 100_000 * (sizes[1] - sizes[0]) + sizes[0] < root._MOST_MARK_BYTES
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(root, "_MOST_MARK_BYTES", size)
        with pytest.raises(StorageError, match="marker would have more than"):
            write_head(storage, "y", Head(1, ONE))
        assert {*read_heads(storage)} == {"x" * 100, "z" * 100}


def test_every_changed_byte_of_the_marker_is_found(storage: Storage) -> None:
    write_head(storage, "faces", Head(3, ONE))
    path = storage.local("faceloom.json")
    whole = path.read_bytes()
    for place in range(len(whole) - 1):  # the last one ends the line
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises((StorageError, ReleaseError), match=r"faceloom\.json"):
            read_heads(storage)


def test_without_its_ends_a_marker_counts_any_log_as_whole(storage: Storage) -> None:
    write_head(storage, "faces", Head(3, ONE))
    path = storage.local("faceloom.json")
    mark = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in mark.items() if not key.startswith("logs")}))
    assert read_heads(storage) == {}


@pytest.mark.parametrize("digests", [[ONE], [ONE, TWO], [ONE, TWO, ONE]])
def test_a_log_may_be_longer_than_its_end(digests: list[str]) -> None:
    check_log("log", digests, Head(1, ONE))
    check_log("log", digests, None)


@pytest.mark.parametrize(("digests", "words"), [([], "lost"), ([ONE], "cut off: it has 1 of"), ([ONE, ONE], "another")])
def test_cut_and_other_logs_are_named(digests: list[str], words: str) -> None:
    with pytest.raises(StorageError, match=words) as caught:
        check_log("channels/faces.jsonl", digests, Head(2, TWO))
    assert caught.value.where == "channels/faces.jsonl" and "faceloom.json" in caught.value.remedy
