"""Unpack a release that a stranger packed: everything is verified before anything gets its name."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from faceloom.pipelines.release.channel_log import (
    MOST_LOG,
    Action,
    Entry,
    append_entry,
    channels,
    parse_log,
    read_log,
    yanked,
)
from faceloom.pipelines.release.create import CHUNK
from faceloom.pipelines.release.manifest import MOST_MANIFEST, Published, parse_manifest, read_manifest
from faceloom.pipelines.release.publish import BESIDE, free_unused, mark_unfinished
from faceloom.pipelines.release.resolve import listed_versions, set_names
from faceloom.pipelines.release.root import locked_root
from faceloom.pipelines.release.verify import MOST_BESIDE, MOST_SUMS, digests_differ, parse_sums, read_sums
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.sources.tar_members import members
from faceloom.pipelines.store.file_faults import ListedFile, find_fault, find_shard_faults
from faceloom.pipelines.store.paths import (
    INDEX,
    RELEASE,
    SHARDS,
    SUMS,
    TOMBSTONE,
    UNFINISHED,
    channel_log,
    release_file,
    release_folder,
    shard_index,
    shard_tar,
)
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import ReleaseError, StorageError
from faceloom.schemas.regular_files import open_regular_file
from faceloom.schemas.release import NAME_PATTERN, VERSION_PATTERN

_MOST_ENTRIES = 64
_MANIFEST = re.compile(rf"releases/({NAME_PATTERN[1:-1]})/({VERSION_PATTERN[1:-1]})/release\.json")
_AGAIN = "Ask for the file again; nothing of it is used"


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A release that arrived.

    Attributes:
        published: the release.
        shared, copied: number of files of shards that the pool held already, and that were copied into it.
    """

    published: Published
    shared: int
    copied: int


@dataclass(frozen=True, slots=True)
class _Piece:
    """Place of a file inside the tar file."""

    offset: int
    bytes: int


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A tar file whose content is verified.

    Attributes:
        found: the release.
        files: those in its folder, by name.
        shards: the other files with their digests, and where they are.
        entries: what the log states about the release.
    """

    found: Published
    files: Mapping[str, bytes]
    shards: tuple[tuple[ListedFile, _Piece], ...]
    entries: tuple[Entry, ...]


def unpack_release(file: str | Path, root: str | Path, *, watcher: Watcher | None = None) -> Unpacked:
    """Unpack a release into a folder of releases. Files of the same release that are missing or damaged are replaced.

    No file that another release lists is replaced by one with another content. A yank travels with the release. A
    channel that the folder does not have yet is taken over.

    Args:
        file: the tar file that `pack_release` wrote.
        root: the folder of releases; created if it is missing.
        watcher: receives the progress.

    Raises:
        ReleaseError: the folder has another release of this version, or one that lists another content under the name
            of a shard; or it is no folder of releases.
        StorageError: the tar file is damaged, lacks a file, or holds one that does not belong to the release; or the
            folder cannot be written.
    """
    watcher, storage = watcher or Watcher(), Storage(str(root))
    try:
        with _fault(file), open_regular_file(file) as stream:
            arrival = _read(Path(file), stream, watcher)
            with locked_root(storage, create=True):
                _refuse_other(storage, arrival.found)
                _refuse_same_names(storage, arrival.found)
                try:
                    return _write(storage, arrival, stream, watcher)
                finally:
                    with contextlib.suppress(StorageError):  # verify names what is wrong
                        free_unused(storage)
    except OSError as error:
        remedy = "Check that it is there and may be read"
        raise StorageError(f"cannot be read ({error.strerror})", where=str(file), remedy=remedy) from error


@contextlib.contextmanager
def _fault(file: str | Path) -> Iterator[None]:
    """Faults of a tar file."""
    try:
        yield
    except ValueError as error:
        raise StorageError(f"this is no packed release: {error}", where=str(file), remedy=_AGAIN) from None


def _read(file: Path, stream: IO[bytes], watcher: Watcher) -> _Arrival:
    """Find and verify all files of a packed release. A ValueError or StorageError names what is wrong."""
    pieces: dict[str, _Piece] = {}
    found: Published | None = None
    most: dict[str, int] = {}
    for member in members(file):
        if found is None:
            found = _first(member.name, member.size, member.is_file, stream, member.offset)
            most = _expected(found)
        if member.name not in most or member.name in pieces:
            twice = "twice" if member.name in pieces else "which does not belong to the release"
            raise ValueError(f"it holds {ascii(member.name)[:120]} {twice}")
        if not member.is_file:
            raise ValueError(f"{member.name} is a link or no regular file")
        if member.size > most[member.name]:
            raise ValueError(f"{member.name} has {member.size:,} bytes, more than {most[member.name]:,}")
        pieces[member.name] = _Piece(member.offset, member.size)
    if found is None:
        raise ValueError("it is empty")
    name, version = found.release.name, found.release.version
    log = channel_log(name)
    if absent := sorted({*most} - {*pieces} - {log}):
        raise ValueError(f"it lacks {absent[0]}" + (f" and {len(absent) - 1:,} more files" if absent[1:] else ""))
    own = {file: _bytes(stream, pieces[release_file(name, version, file)]) for file in (RELEASE, SUMS, *BESIDE)}
    for one, sha256 in parse_sums(own[SUMS], release_file(name, version, SUMS)).items():
        digest = hashlib.sha256(own[one]).hexdigest()
        if digest != sha256:
            at_fault = one if digests_differ(digest, sha256) else SUMS
            raise ValueError(
                f"{release_file(name, version, at_fault)} is damaged: the sha256 of {one} is not the one that is listed"
            )
    entries = parse_log(_bytes(stream, pieces[log]), log) if log in pieces else ()
    if any(entry.release != found.id or entry.action not in ("promote", "yank") for entry in entries):
        raise ValueError(f"{log} is about another release")
    if len(entries) > _MOST_ENTRIES:
        raise ValueError(f"{log} has {len(entries):,} lines; at most {_MOST_ENTRIES} are about one release")
    shards = [(listed, pieces[listed.path]) for listed in _shard_files(found)]
    watcher.stage("verify", len(shards), "files")
    for count, (listed, piece) in enumerate(shards, 1):
        if piece.bytes != listed.bytes or _digest(stream, piece) != listed.sha256:
            raise ValueError(f"{listed.path} is damaged: its content is not what the manifest lists")
        watcher.done(count)
    return _Arrival(found, own, tuple(shards), entries)


def _first(name: str, size: int, is_file: bool, stream: IO[bytes], offset: int) -> Published:
    """The manifest, which comes first, so that it limits what follows."""
    match = _MANIFEST.fullmatch(name)
    if not match or not is_file or size > MOST_MANIFEST:
        raise ValueError("its first file is not the manifest of a release")
    found = parse_manifest(_bytes(stream, _Piece(offset, size)), name)
    if release_file(found.release.name, found.release.version) != name:
        raise ValueError(f"{name} is the manifest of another release")
    return found


def _expected(found: Published) -> dict[str, int]:
    """Paths of all files that a packed release may hold, with their greatest length."""
    name, version = found.release.name, found.release.version
    most = {release_file(name, version, file): MOST_BESIDE for file in (*BESIDE, SUMS, RELEASE)}
    most[release_file(name, version, SUMS)] = MOST_SUMS
    return most | {channel_log(name): MOST_LOG} | {file.path: file.bytes for file in _shard_files(found)}


def _shard_files(found: Published) -> list[ListedFile]:
    return [
        listed
        for shard in found.shards
        for listed in (
            ListedFile(shard_tar(shard.name), shard.bytes, shard.sha256),
            ListedFile(shard_index(shard.name), shard.index_bytes, shard.index_sha256),
        )
    ]


def _refuse_other(storage: Storage, found: Published) -> None:
    """Refuse to replace another release of the same version. A damaged manifest of the same release is replaced."""
    name, version = found.release.name, found.release.version
    where, remedy = f"{name}@{version}", "A release never changes: choose another folder, or ask for another version"
    if storage.exists(release_file(name, version, TOMBSTONE)):
        raise ReleaseError("this release was purged here", where=where, remedy="Choose another folder")
    if not storage.exists(release_file(name, version)):
        return
    digests = set()
    with contextlib.suppress(StorageError):
        digests.add(read_sums(storage, name, version)[RELEASE])
    with contextlib.suppress(StorageError):
        digests = {read_manifest(storage, name, version).digest}
    if digests - {found.digest}:
        raise ReleaseError("the folder has another release of this version", where=where, remedy=remedy)


def _refuse_same_names(storage: Storage, found: Published) -> None:
    """Refuse to replace shards of other releases. Names in the pool hold 48 bits of a digest, which can be forged.

    What a damaged manifest lists is unknown; it does not keep a release that arrives from repairing the pool.
    """
    own, wanted = found.release, {listed.path: listed.sha256 for listed in _shard_files(found)}
    for name in set_names(storage):
        for version in listed_versions(storage, name):
            if (name, version) == (own.name, own.version):
                continue
            with contextlib.suppress(StorageError):
                for listed in _shard_files(read_manifest(storage, name, version)):
                    if wanted.get(listed.path, listed.sha256) != listed.sha256:
                        what = (
                            f"{name}@{version} has another file under the name of a shard, so neither can be replaced"
                        )
                        remedy = "Unpack into another folder"
                        raise ReleaseError(what, where=f"{own.name}@{own.version}", value=listed.path, remedy=remedy)


def _write(storage: Storage, arrival: _Arrival, stream: IO[bytes], watcher: Watcher) -> Unpacked:
    """Put a verified release into its places, the manifest last.

    A yank comes before the manifest, so that a process that is killed leaves no withdrawn release that can be opened;
    a promotion comes after it, so that no channel points to nothing.
    """
    found, copied = arrival.found, 0
    name, version = found.release.name, found.release.version
    watcher.stage("unpack", len(arrival.shards), "files")
    for count, (listed, piece) in enumerate(arrival.shards, 1):
        if find_fault(storage, listed, ""):
            _copy(storage, listed, piece, stream)
            copied += 1
        watcher.done(count)
    if faults := find_shard_faults(storage, found.shards, _AGAIN, deep=True):
        raise StorageError(faults[0].what, where=faults[0].file, remedy=faults[0].remedy)
    mark_unfinished(storage, name, version)
    for file, data in arrival.files.items():
        if file != RELEASE:
            storage.write_if_changed(release_file(name, version, file), data)
    storage.sync_folders(SHARDS, INDEX, release_folder(name, version))
    _take_over(storage, arrival, "yank")
    storage.write_if_changed(release_file(name, version), arrival.files[RELEASE])
    storage.remove(release_file(name, version, UNFINISHED))
    _take_over(storage, arrival, "promote")
    storage.sync_folders(release_folder(name, version))
    return Unpacked(found, len(arrival.shards) - copied, copied)


def _take_over(storage: Storage, arrival: _Arrival, action: Action) -> None:
    """Append what the log of the sender states, unless the log of the folder states something already."""
    for entry in arrival.entries:
        log = read_log(storage, arrival.found.release.name)
        known = entry.version in yanked(log) if action == "yank" else entry.channel in channels(log)
        if entry.action == action and not known:
            plain = entry.model_dump(exclude={"action", "release", "previous", "sha256"})
            append_entry(storage, action, entry.release, **plain)


def _copy(storage: Storage, listed: ListedFile, piece: _Piece, stream: IO[bytes]) -> None:
    digest = hashlib.sha256()
    with storage.write(listed.path) as out:
        for data in _chunks(stream, piece):
            digest.update(data)
            out.write(data)
        if digest.hexdigest() != listed.sha256:
            raise StorageError("the tar file changed while it was read", where=listed.path, remedy=_AGAIN)


def _digest(stream: IO[bytes], piece: _Piece) -> str:
    digest = hashlib.sha256()
    for data in _chunks(stream, piece):
        digest.update(data)
    return digest.hexdigest()


def _bytes(stream: IO[bytes], piece: _Piece) -> bytes:
    return b"".join(_chunks(stream, piece))


def _chunks(stream: IO[bytes], piece: _Piece) -> Iterator[bytes]:
    stream.seek(piece.offset)
    left = piece.bytes
    while left:
        data = stream.read(min(CHUNK, left))
        if not data:
            raise ValueError("it is cut off")
        left -= len(data)
        yield data
