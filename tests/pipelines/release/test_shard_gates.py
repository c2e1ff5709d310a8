"""A shard is read to its last byte, and whatever differs from its manifest or its index is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.release.shard_gates import ShardFacts, checksums, named_examples, read_shard, samples
from faceloom.pipelines.store.parquet_tables import read_index, write_index
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.release import Release, ReleaseShard
from tests.pipelines.release.sets import One, digest_of_files, write_set


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


@pytest.fixture
def release(storage: Storage) -> Release:
    return write_set(storage, [One(1, "Ada"), One(2, "Ada")])


def test_a_sound_shard_has_no_faults(storage: Storage, release: Release) -> None:
    (shard,) = release.shards
    facts = read_shard(storage, shard, release.members)
    assert facts == ShardFacts(shard.bytes + shard.index_bytes, 2, 10)
    assert checksums(release, [facts]).passed and samples([facts]).passed


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # webdataset leaves its file open
def test_webdataset_finds_what_the_gate_counts(storage: Storage, release: Release) -> None:
    wds = pytest.importorskip("webdataset")
    (shard,) = release.shards
    found = list(wds.WebDataset(str(storage.local(shard_tar(shard.name))), shardshuffle=False, empty_check=False))
    facts = read_shard(storage, shard, release.members)
    files = [name for sample in found for name in sample if not name.startswith("__")]
    assert (len(found), len(files)) == (facts.samples, facts.files)
    assert {tuple(sorted(name for name in sample if name[0] != "_")) for sample in found} == {release.members}


def listed_as_is(storage: Storage, shard: ReleaseShard) -> ReleaseShard:
    """The shard with the digests that its files have now, so that only their content can give it away."""
    return shard.model_copy(update=digest_of_files(storage, shard.name))


def change(storage: Storage, path: str, at: int, to: bytes) -> None:
    file = Path(storage.root, path)
    data = bytearray(file.read_bytes())
    data[at : at + len(to)] = to
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("at", "to", "words"),
    [
        (0, b"other", "the tar header of its face.png differs"),
        (600, b"\x00\x01", "the sha256 of its face.png differs"),
        (-2, b"x", "the end of the tar file is not zero"),
    ],
)
def test_a_tar_that_differs_from_its_index_is_named(
    storage: Storage, release: Release, at: int, to: bytes, words: str
) -> None:
    (shard,) = release.shards
    change(storage, shard_tar(shard.name), at, to)
    facts = read_shard(storage, listed_as_is(storage, shard), release.members)
    assert facts.wrong_sums == () and words in facts.faults[0] and shard.name in facts.faults[0]
    assert not samples([facts]).passed


def test_an_index_of_another_tar_is_named(storage: Storage, release: Release) -> None:
    """It lists the same samples, and yet the digest of another file."""
    (shard,) = release.shards
    path = shard_index(shard.name)
    write_index(storage, path, read_index(storage, path), {}, length=shard.bytes, sha256="ab" * 32)
    facts = read_shard(storage, listed_as_is(storage, shard), release.members)
    assert facts.faults == (f"{path}: it lists another sha256 of its tar file",)


def test_an_index_that_is_none_is_named(storage: Storage, release: Release) -> None:
    (shard,) = release.shards
    Path(storage.root, shard_index(shard.name)).write_bytes(b"PAR1")
    facts = read_shard(storage, listed_as_is(storage, shard), release.members)
    assert "damaged Parquet file" in facts.faults[0]


def test_a_file_that_the_system_refuses_is_an_error_and_no_fault(
    storage: Storage, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: Storage, path: str, *_: Any) -> Any:
        raise StorageError("cannot be read", where=path) from PermissionError(13, "Permission denied")

    monkeypatch.setattr(Storage, "open", refused)
    with pytest.raises(StorageError, match="cannot be read"):
        read_shard(storage, release.shards[0], release.members)


def test_a_report_names_three_faults_and_counts_the_others() -> None:
    assert named_examples(["a", "b"]) == "a; b"
    assert named_examples(list("abcde")) == "a; b; c; and 2 more"
