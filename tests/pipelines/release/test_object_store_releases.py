"""Releases in object stores: created, read, verified, changed and purged as in a folder."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from faceloom.pipelines.release.channel_log import read_log
from faceloom.pipelines.release.create import create_release
from faceloom.pipelines.release.erase import erase
from faceloom.pipelines.release.manifest import Published, published, read_manifest
from faceloom.pipelines.release.publish import write_release
from faceloom.pipelines.release.purge import purge
from faceloom.pipelines.release.resolve import read_versions
from faceloom.pipelines.release.urls import release_urls
from faceloom.pipelines.release.verify import verify_release
from faceloom.pipelines.release.withdraw import promote
from faceloom.pipelines.store.parquet_tables import read_index_columns
from faceloom.pipelines.store.paths import shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from tests.object_stores import gcs_server, s3_server


@pytest.fixture(scope="module", params=["s3", pytest.param("gs", marks=pytest.mark.slow)])
def bucket(request: pytest.FixtureRequest) -> Iterator[str]:
    with {"s3": s3_server, "gs": gcs_server}[request.param]() as url:
        yield url


@pytest.fixture
def root(bucket: str, released: Path, request: pytest.FixtureRequest) -> Storage:
    """A copy of the release in a store."""
    return copied(Storage(str(released)), f"{bucket}/{request.node.name.split('[')[0]}")


def copied(storage: Storage, url: str) -> Storage:
    made = Storage(url)
    for path in storage.list():
        if path != ".lock":
            with made.write(path) as stream:
                stream.write(storage.read_bytes(path))
    return made


def digests(storage: Storage) -> dict[str, str]:
    """sha256 of every file but the logs, which hold times."""
    kept = [path for path in storage.list() if path != ".lock" and not path.startswith(("channels/", "logs/"))]
    return {path: hashlib.sha256(storage.read_bytes(path)).hexdigest() for path in kept}


def test_a_release_has_the_bytes_that_it_has_in_a_folder(bucket: str, built: Path, released: Path) -> None:
    create_release(f"{bucket}/created", "faces", "1.0.0", out=built)
    root = Storage(f"{bucket}/created")
    assert digests(root) == digests(Storage(str(released))) and ".lock" not in root.list()
    assert not verify_release(root, "faces@1.0.0", deep=True).faults
    copied(Storage(str(built)), f"{bucket}/out")
    create_release(f"{bucket}/again", "faces", "1.0.0", out=f"{bucket}/out")
    assert digests(Storage(f"{bucket}/again")) == digests(root)


def test_damage_is_found(root: Storage) -> None:
    shard = root.list("shards")[0]
    data = bytearray(root.read_bytes(shard))
    data[700] ^= 1
    with root.write(shard) as stream:
        stream.write(data)
    assert [fault.file for fault in verify_release(root, "faces@1.0.0", deep=True).faults] == [shard]


def test_a_release_is_read_as_a_stream_and_by_urls(root: Storage, released: Path) -> None:
    pytest.importorskip("webdataset", reason="needs the extra `torch`")
    from faceloom.pipelines.release.open_release import open_release

    got, want = (list(open_release(place, "faces@1.0.0", "train")) for place in (root.root, released))
    assert [one["__key__"] for one in got] == [one["__key__"] for one in want] and len(got) > 2
    assert all(url.startswith(f"{root.root}/shards/") for url in release_urls(root, "faces@1.0.0", "train"))


@pytest.mark.slow
def test_a_person_is_erased_and_the_old_release_purged_as_in_a_folder(root: Storage, own_root: Storage) -> None:
    shard = read_manifest(root, "faces", "1.0.0").release.shards[0].name
    person = read_index_columns(root, shard_index(shard), ["identity"])["identity"][0]
    for place in (root, own_root):
        erase(place, "faces@1.0.0", "1.0.1", identity=person)
        assert not verify_release(place, "faces@1.0.1", deep=True).faults
        promote(place, "faces@1.0.1", "stable")
        purge(place, "faces@1.0.0", why="a person withdrew")
        assert read_versions(place, "faces").versions == ("1.0.1",)
        assert [entry.action for entry in read_log(place, "faces")] == ["erase", "promote", "purge"]
    got, want = digests(root), digests(own_root)
    assert set(got) == set(want)
    differing = {path for path in want if got[path] != want[path]}
    assert all(path.endswith(("tombstone.json", "faceloom.json")) for path in differing), "time, digest of the log"


def test_of_two_writers_of_a_version_one_wins(root: Storage) -> None:
    """Without any lock, as if a lease had been lost."""
    old = read_manifest(root, "faces", "1.0.0").release
    drafts = [published(old.model_copy(update={"version": "2.0.0", "description": text})) for text in ("one", "two")]
    won: list[Published] = []
    ready = threading.Barrier(2)

    def write(draft: Published) -> None:
        ready.wait()
        try:
            write_release(root, draft, {})
            won.append(draft)
        except StorageError as error:
            assert "exists already" in str(error)

    threads = [threading.Thread(target=write, args=(draft,)) for draft in drafts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [draft.release for draft in won] == [read_manifest(root, "faces", "2.0.0").release]
