"""A purge frees what no other release uses, and leaves a tombstone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.release.channel_log import append_entry, read_log
from faceloom.pipelines.release.manifest import read_manifest
from faceloom.pipelines.release.publish import refuse_existing
from faceloom.pipelines.release.purge import find_leftovers, find_purge, purge, sweep
from faceloom.pipelines.release.resolve import read_versions, resolve
from faceloom.pipelines.release.root import locked_root
from faceloom.pipelines.release.tombstone import read_tombstone
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, ReleaseError, StorageError
from tests.pipelines.release.sets import One, people, release_in

ONES = people(3)


@pytest.fixture
def root(tmp_path: Path) -> Storage:
    """Two releases that share three shards; each of them has one shard of its own. And another set."""
    folder = tmp_path / "root"
    release_in(folder, [*ONES, One(999, "Old", shard=9)])
    release_in(folder, [*ONES, One(998, "New", shard=9)], "2.0.0")
    release_in(folder, [ONES[0], ONES[1]], name="others")
    return Storage(str(folder))


def files(root: Storage) -> set[str]:
    return {path for path in root.list() if path != ".lock"}


def own_shard(root: Storage, version: str) -> set[str]:
    names = [{s.name for s in read_manifest(root, "faces", v).release.shards} for v in ("1.0.0", "2.0.0")]
    (name,) = names[version == "2.0.0"] - names[version != "2.0.0"]
    return {shard_tar(name), shard_index(name)}


def test_only_what_no_other_release_uses_goes(root: Storage) -> None:
    before, own = files(root), own_shard(root, "1.0.0")
    digest = read_manifest(root, "faces", "1.0.0").digest
    found = find_purge(root, "faces@1.0.0")
    assert files(root) == before and found.kept == 3
    assert purge(root, "faces@1.0.0", why="a person withdrew") == found
    assert before - files(root) == set(found.files)
    assert set(found.files) == own | {path for path in before if path.startswith("releases/faces/1.0.0/")}
    assert next(iter(found.files)) == "releases/faces/1.0.0/release.json", "what is left of it cannot be opened"
    stone = read_tombstone(root, "faces", "1.0.0")
    assert stone and (stone.digest, stone.why) == (digest, "a person withdrew")
    (entry,) = read_log(root, "faces")
    assert (entry.action, entry.why, entry.when) == ("purge", "a person withdrew", stone.when)
    assert read_versions(root, "faces").versions == ("2.0.0",)


def test_the_last_release_frees_all_shards(root: Storage) -> None:
    for reference in ("faces@1.0.0", "faces@2.0.0", "others@1.0.0"):
        purge(root, reference)
    assert not [path for path in files(root) if path.startswith(("shards/", "index/"))]


def test_a_purged_version_can_neither_be_opened_nor_used_again(root: Storage) -> None:
    purge(root, "faces@1.0.0")
    with pytest.raises(ReleaseError, match="purged"):
        refuse_existing(root, "faces", "1.0.0")
    with pytest.raises(ReleaseError, match="purged"):
        resolve(root, "faces@1.0.0")


def test_a_release_that_a_channel_points_to_stays(root: Storage) -> None:
    ids = {version: read_manifest(root, "faces", version).id for version in ("1.0.0", "2.0.0")}
    with locked_root(root):
        append_entry(root, "promote", ids["1.0.0"], channel="stable")
    before = files(root)
    for use in (find_purge, purge):
        with pytest.raises(ReleaseError, match=r"a channel points to this release \(got stable\). Promote another"):
            use(root, "faces@1.0.0")
    assert files(root) == before
    with locked_root(root):
        append_entry(root, "promote", ids["2.0.0"], channel="stable")
    assert purge(root, "faces@1.0.0").files


def test_a_yanked_release_goes_although_a_channel_points_to_it(root: Storage) -> None:
    release_id = read_manifest(root, "faces", "1.0.0").id
    with locked_root(root):
        append_entry(root, "promote", release_id, channel="stable")
        append_entry(root, "yank", release_id, why="wrong labels")
    assert purge(root, "faces@1.0.0", why="consent withdrawn").files
    with pytest.raises(
        ReleaseError, match=r"points to 1\.0\.0, which was purged at .*consent withdrawn.*Promote another"
    ):
        resolve(root, "faces@stable")


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("faces@3.0.0", "there is no such release"),
        ("faces@latest", "a purge takes a version"),
        ("faces@stable", "a purge takes a version"),
        ("../faces@1.0.0", "names no release"),
    ],
)
def test_other_references_are_refused(root: Storage, reference: str, words: str) -> None:
    before = files(root)
    with pytest.raises(FaceloomError, match=words):
        purge(root, reference)
    assert files(root) == before


@pytest.mark.parametrize("count", range(9))
def test_a_killed_purge_is_finished_by_the_same_call(
    root: Storage, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    whole = {path for path in files(root) if not path.startswith("releases/faces/1.0.0/")} - own_shard(root, "1.0.0")
    removed = 0

    def killed(self: Storage, path: str) -> None:
        nonlocal removed
        if removed == count:
            raise KeyboardInterrupt
        removed += 1
        honest(self, path)

    honest = Storage.remove
    with monkeypatch.context() as patch:
        patch.setattr(Storage, "remove", killed)
        try:
            purge(root, "faces@1.0.0", why="first")
        except KeyboardInterrupt:
            assert removed == count
    purge(root, "faces@1.0.0", why="second")
    stone = read_tombstone(root, "faces", "1.0.0")
    assert stone and stone.why == "first" and len(read_log(root, "faces")) == 1
    assert files(root) == whole | {"releases/faces/1.0.0/tombstone.json", "channels/faces.jsonl"}


def test_leftovers_of_a_killed_create_are_found_and_swept(root: Storage) -> None:
    before = files(root)
    assert find_leftovers(root).files == {}
    for path in ("shards/train-0-0123456789ab.tar", "index/train-0-0123456789ab.parquet"):
        Path(root.root, path).write_bytes(b"12345")
    found = find_leftovers(root)
    assert set(found.files.values()) == {5} and len(files(root) - before) == 2
    assert sweep(root).files == found.files and files(root) == before


def test_with_a_damaged_manifest_nothing_is_deleted(root: Storage) -> None:
    Path(root.root, "releases/others/1.0.0/release.json").write_bytes(b"{}")
    before = files(root)
    used: list[Any] = [lambda: purge(root, "faces@1.0.0"), lambda: sweep(root), lambda: find_leftovers(root)]
    for use in used:
        with pytest.raises(StorageError, match="damaged manifest"):
            use()
    assert files(root) == before


def test_a_damaged_manifest_is_named_with_both_ways_out(root: Storage) -> None:
    Path(root.root, "releases/others/1.0.0/release.json").write_bytes(b"{}")
    ways: list[Any] = [lambda: purge(root, "faces@1.0.0"), lambda: sweep(root), lambda: find_leftovers(root)]
    for use in ways:
        with pytest.raises(StorageError) as caught:
            use()
        assert caught.value.where == "releases/others/1.0.0/release.json"
        assert f"release unpack FILE --to {root.root}" in caught.value.remedy
        assert f"release purge others@1.0.0 --root {root.root} --yes" in caught.value.remedy


@pytest.mark.parametrize("lost", [False, True])
def test_a_release_with_a_damaged_manifest_can_be_given_up(root: Storage, lost: bool) -> None:
    whole, own = files(root), own_shard(root, "1.0.0")
    digest = read_manifest(root, "faces", "1.0.0").digest
    manifest = root.local("releases/faces/1.0.0/release.json")
    manifest.unlink() if lost else manifest.write_bytes(b"{}")
    found = find_purge(root, "faces@1.0.0")
    assert own < set(found.files) and found.unknown == ""
    assert purge(root, "faces@1.0.0", why="damaged") == found
    folder = "releases/faces/1.0.0/"
    assert files(root) == {path for path in whole - own if not path.startswith(folder)} | {
        f"{folder}tombstone.json", "channels/faces.jsonl",
    }  # fmt: skip
    stone = read_tombstone(root, "faces", "1.0.0")
    assert stone and stone.digest == digest, "the list of digests names it"
    assert purge(root, "faces@2.0.0").files, "the others can be purged again"


def test_of_two_damaged_manifests_each_can_be_given_up_and_shards_stay(root: Storage) -> None:
    for release in ("faces/1.0.0", "others/1.0.0"):
        for name in ("release.json", "SHA256SUMS"):
            root.local(f"releases/{release}/{name}").write_bytes(b"{}")
    pool = {path for path in files(root) if path.startswith(("shards/", "index/"))}
    assert purge(root, "faces@1.0.0").unknown == "releases/others/1.0.0/release.json"
    assert pool < files(root), "they may be of the other one"
    assert purge(root, "others@1.0.0").unknown == ""
    used = {
        path(s.name) for s in read_manifest(root, "faces", "2.0.0").release.shards for path in (shard_tar, shard_index)
    }
    assert {path for path in files(root) if path.startswith(("shards/", "index/"))} == used


def test_a_purge_that_was_killed_after_its_line_in_the_log_writes_no_second_one(
    root: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: Storage, path: str, **options: Any) -> Any:
        if path.endswith("tombstone.json"):
            raise KeyboardInterrupt
        return honest(self, path, **options)

    honest = Storage.write
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Storage, "write", killed)
        purge(root, "faces@1.0.0", why="first")
    assert read_versions(root, "faces").versions == ("1.0.0", "2.0.0"), "it is still whole"
    purge(root, "faces@1.0.0", why="second")
    stone = read_tombstone(root, "faces", "1.0.0")
    (entry,) = read_log(root, "faces")
    assert stone and (stone.why, stone.when) == ("first", entry.when)


def test_a_damaged_log_of_another_set_does_not_matter(root: Storage) -> None:
    with locked_root(root):
        append_entry(root, "promote", read_manifest(root, "others", "1.0.0").id, channel="stable")
    root.local("channels/others.jsonl").unlink()
    assert purge(root, "faces@1.0.0").files and not find_leftovers(root).files


def test_not_while_another_process_writes(root: Storage) -> None:
    used: list[Any] = [lambda: purge(root, "faces@1.0.0"), lambda: sweep(root)]
    for use in used:
        with root.exclusive(), pytest.raises(StorageError, match="another process"):
            use()
