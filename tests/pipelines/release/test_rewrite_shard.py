"""A shard is written anew with some of its samples, and with no reject of the person."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.release.manifest import pool_name
from faceloom.pipelines.release.rewrite_shard import rewrite_shard
from faceloom.pipelines.release.traces import traces_of
from faceloom.pipelines.store.checked_shards import check_every_byte
from faceloom.pipelines.store.parquet_tables import read_index, read_metadata
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from tests.pipelines.release.sets import One, write_shard

ONES = sorted([One(1, "Ada"), One(2, "Grace"), One(3, "Rosa")], key=lambda one: one.key)
KEPT = frozenset(one.key for one in ONES if one.identity != "Ada")
PLACE = {"stage": "render", "source": "s", "code": "morph_folds", "message": "the mesh folds", "key": ""}
PARTS = {"ab" * 8: [{**PLACE, "uri": uri} for uri in (ONES[1].uri, "Ada/9.png", "unknown.png")]}


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


def test_only_what_is_kept_is_in_the_new_shard(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = write_shard(storage, "train", "0", ONES, PARTS)
    monkeypatch.setattr(tempfile, "tempdir", "/dev/null/none")  # no person's rows go there
    before = {path: storage.read_bytes(path) for path in storage.list()}
    made = rewrite_shard(storage, shard, KEPT, traces_of("Ada"))
    assert {path: storage.read_bytes(path) for path in before} == before, "the older shard stays"
    check_every_byte(storage, made.name)
    assert {row.key for row in read_index(storage, shard_index(made.name))} == KEPT and made.samples == 2
    tar, index = storage.read_bytes(shard_tar(made.name)), storage.read_bytes(shard_index(made.name))
    digests = [hashlib.sha256(data).hexdigest() for data in (tar, index)]
    assert [made.sha256, made.index_sha256] == digests and made.name == pool_name(shard.name, *digests)
    assert (made.bytes, made.index_bytes) == (len(tar), len(index))


@pytest.mark.parametrize("identity", ["Ada", ONES[1].identity])
def test_rejects_of_photos_without_samples_go(storage: Storage, identity: str) -> None:
    shard = write_shard(storage, "train", "0", ONES, PARTS)
    kept = frozenset(one.key for one in ONES if one.identity != identity)
    made = rewrite_shard(storage, shard, kept, traces_of(identity))
    (rejects,) = read_metadata(storage, shard_index(made.name))["parts"].values()
    assert [reject["uri"] for reject in rejects] == [one.uri for one in ONES[1:2] if one.identity != identity]


def test_a_damaged_sample_is_not_copied(storage: Storage) -> None:
    shard = write_shard(storage, "train", "0", ONES)
    row = next(row for row in read_index(storage, shard_index(shard.name)) if row.key in KEPT)
    path = storage.local(shard_tar(shard.name))
    data: Any = bytearray(path.read_bytes())
    data[row.members[0].offset] ^= 1
    path.write_bytes(data)
    before = storage.list()
    with pytest.raises(StorageError, match=f"sample {row.key} is damaged"):
        rewrite_shard(storage, shard, KEPT, traces_of("Ada"))
    assert storage.list() == before
