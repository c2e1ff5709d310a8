"""Purge a release: delete its files, and those of the pool that no other release uses. A tombstone stays."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass

from faceloom.pipelines.release.channel_log import append_entry, read_log, yanked
from faceloom.pipelines.release.manifest import MOST_MANIFEST, digest_of, read_manifest
from faceloom.pipelines.release.publish import free_unused, used_files
from faceloom.pipelines.release.resolve import read_versions, resolve
from faceloom.pipelines.release.root import locked_root, release_folders
from faceloom.pipelines.release.tombstone import Tombstone, read_tombstone
from faceloom.pipelines.release.verify import read_sums
from faceloom.pipelines.store.paths import (
    INDEX,
    RELEASE,
    SHARDS,
    TOMBSTONE,
    release_file,
    release_folder,
    shard_index,
    shard_tar,
)
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import ReleaseError, StorageError
from faceloom.schemas.release import Reference, ReleaseShard, parse_reference


@dataclass(frozen=True, slots=True)
class Purge:
    """What a purge deletes, or would delete.

    Attributes:
        release: as `NAME@VERSION`; empty if only leftovers are deleted.
        files: of the release, and of the pool that no other release uses, with their sizes in bytes.
        kept: number of its shards that other releases use; 0 if its manifest is damaged.
        unknown: the damaged manifest of another release, so that shards stay that no whole release uses; empty if all
            are known.
    """

    release: str
    files: dict[str, int]
    kept: int
    unknown: str = ""


def find_purge(root: Storage, reference: str) -> Purge:
    """Find what `purge` would delete. Writes nothing. Arguments and errors as `purge`."""
    return _find(root, _checked(root, reference))


def purge(root: Storage, reference: str, *, why: str = "") -> Purge:
    """Delete a release, and the files of the pool that no other release uses. Leaves a tombstone and a line in the log.

    The tombstone comes first: from then on the release cannot be opened. A purge that was killed is finished by the
    same call. A release whose manifest is damaged or lost can be purged too: its shards are those that no other one
    uses.

    Args:
        root: the folder of releases.
        reference: `NAME@VERSION`; a channel or `latest` is refused, since it may point to another release soon.
        why: the reason, one line. It stays in the folder, so it names no person.

    Raises:
        ReleaseError: there is no such release, or a channel points to it.
        StorageError: the manifest of another release is damaged, so that it is unknown what is used; or a file cannot
            be deleted.
    """
    with locked_root(root):
        wanted = _checked(root, reference)
        found = _find(root, wanted)
        if read_tombstone(root, *wanted) is None:
            _bury(root, wanted, why)
        for path in found.files:
            root.remove(path)
        if not found.unknown:
            free_unused(root)
    return found


def _bury(root: Storage, wanted: Reference, why: str) -> None:
    """Write the line in the log and the tombstone. A purge that was killed may have written the line."""
    digest = _digest(root, wanted)
    release = f"{wanted.name}/{wanted.wanted}+{digest}"
    written = [one for one in read_log(root, wanted.name) if (one.action, one.release) == ("purge", release)]
    entry = written[-1] if written else append_entry(root, "purge", release, why=why)
    stone = Tombstone(name=wanted.name, version=wanted.wanted, digest=digest, why=entry.why, when=entry.when)
    with root.write(release_file(*wanted, TOMBSTONE)) as stream:
        stream.write((json.dumps(stone.model_dump(), indent=1) + "\n").encode())
    root.sync_folders(release_folder(*wanted))


def _digest(root: Storage, wanted: Reference) -> str:
    """sha256 of the manifest; of a damaged or lost one as its folder lists it, or of what is left."""
    with contextlib.suppress(StorageError):
        return read_manifest(root, *wanted).digest
    with contextlib.suppress(StorageError):
        return read_sums(root, *wanted)[RELEASE]
    with contextlib.suppress(StorageError):
        return digest_of(root.read_bytes(release_file(*wanted), MOST_MANIFEST))
    return digest_of(b"")


def find_leftovers(root: Storage) -> Purge:
    """Find the files of the pool that no release uses, such as those of a killed `create`. Writes nothing.

    Errors as `sweep`.
    """
    return Purge("", {path: root.size(path) for path in _unused(root, _used(root))}, 0)


def sweep(root: Storage) -> Purge:
    """Delete the files of the pool that no release uses.

    Raises:
        StorageError: a manifest is damaged, so that it is unknown what is used; or a file cannot be deleted.
    """
    with locked_root(root):
        _used(root)
        return Purge("", free_unused(root), 0)


def _checked(root: Storage, reference: str) -> Reference:
    """The name and version of a release that may be purged, or whose purge was interrupted."""
    wanted = parse_reference(reference)
    if not wanted.is_version:
        remedy = "Name the version, such as masked-faces@1.0.0; see `faceloom release list`"
        raise ReleaseError("a purge takes a version", value=reference, remedy=remedy)
    if read_tombstone(root, *wanted) is not None:
        return wanted
    if _shards(root, wanted) is not None or wanted not in release_folders(root):
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
    manifest, stone = release_file(*wanted), release_file(*wanted, TOMBSTONE)
    own = [path for path in root.list(release_folder(*wanted)) if path != stone]
    own.sort(key=lambda path: path != manifest)
    shards, used, unknown = _shards(root, wanted), None, ""
    try:
        used = _used(root, without=wanted)
    except StorageError as error:
        if shards is not None:
            raise
        unknown = error.where  # of two damaged manifests, either release can be given up first
    freed = _unused(root, used) if used is not None else []
    if shards is not None:
        its = {path(shard.name) for shard in shards for path in (shard_index, shard_tar)}
        freed = [path for path in freed if path in its]
    kept = sum(shard_tar(shard.name) in (used or ()) for shard in shards or ())
    name = f"{wanted.name}@{wanted.wanted}"
    return Purge(name, {path: root.size(path) for path in [*own, *freed]}, kept, unknown)


def _shards(root: Storage, wanted: Reference) -> tuple[ReleaseShard, ...] | None:
    """The shards that a release lists; None if its manifest is damaged or missing."""
    try:
        return read_manifest(root, *wanted).release.shards
    except StorageError:
        return None


def _unused(root: Storage, used: set[str]) -> list[str]:
    return [path for path in [*root.list(INDEX), *root.list(SHARDS)] if path not in used]


def _used(root: Storage, *, without: Reference | None = None) -> set[str]:
    """As `used_files`. The error names the way out."""
    try:
        return used_files(root, without=without)
    except StorageError as error:
        parts = error.where.split("/")
        release = "@".join(parts[1:3]) if len(parts) == 4 else "NAME@VERSION"
        remedy = (
            "It is unknown which shards this release uses, so none is deleted. Put the manifest back with `faceloom "
            f"release unpack FILE --to {root.root}`, or give the release up with `faceloom release purge {release} "
            f"--root {root.root} --yes`"
        )
        raise StorageError(error.what, where=error.where, value=error.value, remedy=remedy) from None
