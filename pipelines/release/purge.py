"""Purge a release: delete its files, and those of the pool that no other release uses. A tombstone stays."""

from __future__ import annotations

import json
from dataclasses import dataclass

from faceloom.pipelines.release.channel_log import append_entry, read_log, yanked
from faceloom.pipelines.release.manifest import read_manifest
from faceloom.pipelines.release.publish import free_unused, used_files
from faceloom.pipelines.release.resolve import read_versions, resolve
from faceloom.pipelines.release.root import locked_root
from faceloom.pipelines.release.tombstone import Tombstone, read_tombstone
from faceloom.pipelines.store.paths import (
    INDEX,
    SHARDS,
    TOMBSTONE,
    release_file,
    release_folder,
    shard_index,
    shard_tar,
)
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import ReleaseError
from faceloom.schemas.release import Reference, parse_reference


@dataclass(frozen=True, slots=True)
class Purge:
    """What a purge deletes, or would delete.

    Attributes:
        release: as `NAME@VERSION`; empty if only leftovers are deleted.
        files: of the release, and of the pool that no other release uses, with their sizes in bytes.
        kept: number of its shards that other releases use.
    """

    release: str
    files: dict[str, int]
    kept: int


def find_purge(root: Storage, reference: str) -> Purge:
    """Find what `purge` would delete. Writes nothing. Arguments and errors as `purge`."""
    return _find(root, _checked(root, reference))


def purge(root: Storage, reference: str, *, why: str = "") -> Purge:
    """Delete a release, and the files of the pool that no other release uses. Leaves a tombstone and a line in the log.

    The tombstone comes first: from then on the release cannot be opened. A purge that was killed is finished by the
    same call.

    Args:
        root: the folder of releases.
        reference: `NAME@VERSION`; a channel or `latest` is refused, since it may point to another release soon.
        why: the reason, one line. It stays in the folder, so it names no person.

    Raises:
        ReleaseError: there is no such release, or a channel points to it.
        StorageError: a manifest is damaged, so that it is unknown what is used; or a file cannot be deleted.
    """
    with locked_root(root):
        wanted = _checked(root, reference)
        found = _find(root, wanted)
        if read_tombstone(root, *wanted) is None:
            old = read_manifest(root, *wanted)
            entry = append_entry(root, "purge", old.id, why=why)
            stone = Tombstone(name=wanted.name, version=wanted.wanted, digest=old.digest, why=why, when=entry.when)
            with root.write(release_file(*wanted, TOMBSTONE)) as stream:
                stream.write((json.dumps(stone.model_dump(), indent=1) + "\n").encode())
            root.sync_folders(release_folder(*wanted))
        for path in found.files:
            root.remove(path)
        free_unused(root)
    return found


def find_leftovers(root: Storage) -> Purge:
    """Find the files of the pool that no release uses: what killed processes left. Writes nothing."""
    used = used_files(root)
    pool = [*root.list(INDEX), *root.list(SHARDS)]
    return Purge("", {path: root.size(path) for path in pool if path not in used}, 0)


def sweep(root: Storage) -> Purge:
    """Delete the files of the pool that no release uses.

    Raises:
        StorageError: a manifest is damaged, so that it is unknown what is used; or a file cannot be deleted.
    """
    with locked_root(root):
        return Purge("", free_unused(root), 0)


def _checked(root: Storage, reference: str) -> Reference:
    """The name and version of a release that may be purged, or whose purge was interrupted."""
    wanted = parse_reference(reference)
    if not wanted.is_version:
        remedy = "Name the version, such as masked-faces@1.0.0; see `faceloom release list`"
        raise ReleaseError("a purge takes a version", value=reference, remedy=remedy)
    if read_tombstone(root, *wanted) is not None:
        return wanted
    resolve(root, wanted)
    versions = read_versions(root, wanted.name)
    pointing = sorted(name for name, entry in versions.channels.items() if entry.version == wanted.wanted)
    if pointing and wanted.wanted not in yanked(read_log(root, wanted.name)):
        remedy = f"Promote another release to {pointing[0]}, or yank this one, first"
        raise ReleaseError(
            "a channel points to this release", where=reference, value=", ".join(pointing), remedy=remedy
        )
    return wanted


def _find(root: Storage, wanted: Reference) -> Purge:
    """The files in the order of deletion: the manifest first, so that no half of a release can be opened."""
    used = used_files(root, without=wanted)
    manifest, stone = release_file(*wanted), release_file(*wanted, TOMBSTONE)
    own = [path for path in root.list(release_folder(*wanted)) if path != stone]
    own.sort(key=lambda path: path != manifest)
    shards = read_manifest(root, *wanted).release.shards if manifest in own else ()
    pool = [path(shard.name) for shard in shards for path in (shard_index, shard_tar)]
    freed = [path for path in pool if path not in used and root.exists(path)]
    kept = sum(shard_tar(shard.name) in used for shard in shards)
    return Purge(f"{wanted.name}@{wanted.wanted}", {path: root.size(path) for path in [*own, *freed]}, kept)
