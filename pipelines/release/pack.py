"""Pack a release into one tar file to hand over: the same bytes for the same release and log."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from faceloom.pipelines.release.channel_log import START, Entry, channels, log_bytes, make_entry, read_log, yanked
from faceloom.pipelines.release.create import CHUNK
from faceloom.pipelines.release.manifest import AGAIN, Published
from faceloom.pipelines.release.resolve import resolve
from faceloom.pipelines.release.verify import read_sums
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.file_faults import ListedFile
from faceloom.pipelines.store.paths import RELEASE, SUMS, channel_log, release_file, shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.tar_writer import BLOCK, END
from faceloom.schemas.errors import ReleaseError, StorageError


@dataclass(frozen=True, slots=True)
class Packed:
    """A release in a tar file.

    Attributes:
        published: the release.
        files: number of files in it.
        bytes: its length.
    """

    published: Published
    files: int
    bytes: int


def pack_release(root: Storage, reference: str, file: str | Path, *, watcher: Watcher | None = None) -> Packed:
    """Pack a release, its shards, and what the log states about it. Every byte is compared with its digest.

    Args:
        root: the folder of releases.
        reference: such as `masked-faces@1.0.0`. A yanked release travels with its reason.
        file: the tar file to write.
        watcher: receives the progress.

    Raises:
        ReleaseError: there is no such release, or the file exists or lies in the folder of releases.
        StorageError: a file of the release is damaged, or the tar file cannot be written.
    """
    watcher, path = watcher or Watcher(), Path(file)
    found = resolve(root, reference)
    if root.holds(path):
        what = "the file lies in the folder of releases"
        raise ReleaseError(what, where=str(file), remedy="Choose a place outside it")
    if os.path.lexists(path):
        raise ReleaseError("this file exists already", where=str(file), remedy="Choose another name, or delete it")
    listed = packed_files(root, found)
    entries = packed_entries(read_log(root, found.release.name), found.id)
    watcher.stage("pack", len(listed), "files")
    size = 0
    with Storage(str(path.parent)).write(path.name, new=True) as out:
        for count, one in enumerate(listed, 1):
            with root.open(one.path) as stream:
                size += _append(out, one, stream)
            if count == 1 and entries:
                data = log_bytes(entries)
                log = ListedFile(channel_log(found.release.name), len(data), hashlib.sha256(data).hexdigest())
                size += _append(out, log, io.BytesIO(data))
            watcher.done(count)
        out.write(END)
    return Packed(found, len(listed) + bool(entries), size + len(END))


def packed_files(root: Storage, found: Published) -> list[ListedFile]:
    """The files of a release in the order of its tar file: the manifest comes first, shards come last.

    Raises:
        StorageError: the list of digests is damaged, or a file is missing.
    """
    name, version = found.release.name, found.release.version
    sums = read_sums(root, name, version)
    if sums[RELEASE] != found.digest:
        what = "the list of digests is not of this manifest"
        raise StorageError(what, where=release_file(name, version, SUMS), remedy=AGAIN)
    digests = {RELEASE: found.digest, SUMS: "", **sums}
    beside = [(release_file(name, version, file), sha256) for file, sha256 in digests.items()]
    files = [ListedFile(path, root.size(path), sha256) for path, sha256 in beside]
    for shard in found.shards:
        files.append(ListedFile(shard_index(shard.name), shard.index_bytes, shard.index_sha256))
        files.append(ListedFile(shard_tar(shard.name), shard.bytes, shard.sha256))
    return files


def packed_entries(log: Sequence[Entry], release: str) -> list[Entry]:
    """What a log states about a release now, as a log of its own: its yank, and the channels that point to it."""
    current = [entry for entry in (*channels(log).values(), *yanked(log).values()) if entry.release == release]
    entries: list[Entry] = []
    for entry in sorted(current, key=log.index):
        plain = entry.model_dump(exclude={"action", "release", "previous", "sha256"})
        previous = entries[-1].sha256 if entries else START
        entries.append(make_entry(entry.action, release, previous=previous, **plain))
    return entries


def _append(out: IO[bytes], file: ListedFile, stream: IO[bytes]) -> int:
    """Append a file to a tar file and return the bytes that it takes there. A changed file raises a StorageError."""
    header = tarfile.TarInfo(file.path)
    header.size = file.bytes
    start = header.tobuf(tarfile.GNU_FORMAT)  # it has room for long names and for sizes of 8 GiB and more
    out.write(start)
    digest, copied = hashlib.sha256(), 0
    while data := stream.read(min(CHUNK, file.bytes - copied + 1)):
        digest.update(data)
        copied += len(data)
        if copied > file.bytes:
            break
        out.write(data)
    if copied != file.bytes or (file.sha256 and digest.hexdigest() != file.sha256):
        raise StorageError("the file is damaged: its content is not what is listed", where=file.path, remedy=AGAIN)
    padding = -copied % BLOCK
    out.write(bytes(padding))
    return len(start) + copied + padding
