"""Verify a build or a release: everything that is damaged or missing is named, with what to do."""

from __future__ import annotations

import re
from typing import NamedTuple

from faceloom.pipelines.preview import BUILD_AGAIN, all_rejects
from faceloom.pipelines.release.channel_log import read_log
from faceloom.pipelines.release.manifest import AGAIN, Published, digest_of, read_manifest
from faceloom.pipelines.release.publish import BESIDE
from faceloom.pipelines.release.resolve import parsed_reference, resolve, short_name
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.file_faults import Fault, ListedFile, fault_of, find_fault, find_shard_faults
from faceloom.pipelines.store.paths import RELEASE, SUMS, release_file
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError

MOST_SUMS = 4096
MOST_BESIDE = 2**28
"""Bytes of a file beside the manifest."""
_EQUAL_DIGITS = 32
_SUM = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9._]{1,40})")


class Verified(NamedTuple):
    """What was compared, and what is wrong.

    Attributes:
        shards: number of shards.
        bytes: of all shards and indexes, as listed.
        faults: in the order of the files.
    """

    shards: int
    bytes: int
    faults: tuple[Fault, ...]


def verify_build(storage: Storage, watcher: Watcher | None = None) -> Verified:
    """Compare every byte of a finished build with its record and its indexes.

    Args:
        storage: the output folder.
        watcher: receives the progress.

    Raises:
        StorageError: there is no finished build, or its record is damaged.
    """
    watcher = watcher or Watcher()
    record = read_record(storage)
    watcher.stage("verify", len(record.shards), "shards")
    faults = find_shard_faults(storage, record.shards, BUILD_AGAIN, deep=True, on_count=watcher.done)
    faults += [
        Fault(path, "the file is missing", BUILD_AGAIN) for path in record.neighbours if not _is_there(storage, path)
    ]
    try:
        all_rejects(storage)
    except StorageError as error:
        faults.append(fault_of(error, BUILD_AGAIN))
    return Verified(len(record.shards), sum(s.bytes + s.index_bytes for s in record.shards), tuple(faults))


def verify_release(storage: Storage, reference: str, *, deep: bool = False, watcher: Watcher | None = None) -> Verified:
    """Compare the files of a release with its manifest.

    Compares the files beside the manifest and the indexes by their sha256, and shards by their length. A yanked release
    can be verified too.

    Args:
        storage: the folder of releases.
        reference: such as `masked-faces@1.0.0`.
        deep: also compare every byte of the shards.
        watcher: receives the progress.

    Raises:
        ReleaseError: there is no such release.
    """
    watcher, faults = watcher or Watcher(), []
    wanted = parsed_reference(reference)
    name, version = wanted
    try:
        version = resolve(storage, wanted).release.version
    except StorageError as error:
        faults.append(fault_of(error, error.remedy))
        if not wanted.is_version:
            return Verified(0, 0, tuple(faults))
    found = None
    try:
        found = read_manifest(storage, name, version)
    except StorageError as error:
        faults.append(fault_of(error, AGAIN))
    faults += _faults_beside(storage, name, version)
    if found is not None:
        faults += _other_digests(storage, found)
        watcher.stage("verify", len(found.shards), "shards")
        faults += find_shard_faults(storage, found.shards, AGAIN, deep=deep, on_count=watcher.done)
    listed = found.shards if found else ()
    unique = {fault.file: fault for fault in reversed(faults)}  # the first of each file
    ordered = tuple(reversed(unique.values()))
    return Verified(len(listed), sum(shard.bytes + shard.index_bytes for shard in listed), ordered)


def read_sums(storage: Storage, name: str, version: str) -> dict[str, str]:
    """Read the digests of the files of a release, by name.

    Raises:
        StorageError: the file is missing or damaged, or lists other files.
    """
    path = release_file(name, version, SUMS)
    return parse_sums(storage.read_bytes(path, MOST_SUMS), path)


def parse_sums(data: bytes, where: str) -> dict[str, str]:
    """Parse the digests of the files of a release, by name.

    Raises:
        StorageError: they are damaged, or of other files.
    """
    lines = data.decode("ascii", "replace").split("\n")
    found = [match.groups() for line in lines[:-1] if (match := _SUM.fullmatch(line))]
    sums = {name: sha256 for sha256, name in found}
    if lines[-1] or len(found) != len(lines) - 1 or set(sums) != {*BESIDE, RELEASE} or len(found) != len(sums):
        raise StorageError("this is not the list of digests of a release", where=where, remedy=AGAIN)
    return sums


def digests_differ(digest: str, listed: str) -> bool:
    """Whether two sha256 are of different contents. If not, few digits of one of them were changed.

    Of the 64 digits of two contents some 4 are equal; that half of them are happens once in 10**20 cases.
    """
    return sum(one == other for one, other in zip(digest, listed, strict=True)) < _EQUAL_DIGITS


def _faults_beside(storage: Storage, name: str, version: str) -> list[Fault]:
    """Faults of the files in the folder of a release."""
    try:
        sums = read_sums(storage, name, version)
    except StorageError as error:
        return [fault_of(error, AGAIN)]
    faults = []
    for file, sha256 in sums.items():
        path = release_file(name, version, file)
        try:
            size = storage.size(path) if storage.exists(path) else 0
        except StorageError as error:
            faults.append(fault_of(error, AGAIN)._replace(file=path))
            continue
        if fault := find_fault(storage, ListedFile(path, size, sha256), AGAIN):
            faults.append(_fault_of_list(storage, name, version, file, sha256) or fault)
    return faults


def _fault_of_list(storage: Storage, name: str, version: str, file: str, listed: str) -> Fault | None:
    """The fault of the list itself if it almost names the digest of a file, which then is whole."""
    path, sums = release_file(name, version, file), release_file(name, version, SUMS)
    try:
        digest = digest_of(storage.read_bytes(path, MOST_BESIDE))
    except StorageError:
        return None
    if digests_differ(digest, listed):
        return None
    return Fault(sums, f"the list of digests is damaged: the sha256 of {file} has other digits", AGAIN)


def _other_digests(storage: Storage, found: Published) -> list[Fault]:
    """Compare the digest with the log, and that of the parent with its manifest if that is there."""
    release, faults = found.release, []
    try:
        named = {entry.release for entry in read_log(storage, release.name) if entry.version == release.version}
    except StorageError:
        named = set()  # is named already
    if named - {found.id}:
        what = "the manifest is not the one that the log of the channels names"
        faults.append(Fault(release_file(release.name, release.version), what, AGAIN))
    if release.parent:
        name, version = short_name(release.parent).split("@")
        path = release_file(name, version)
        try:
            if storage.exists(path) and read_manifest(storage, name, version).id != release.parent:
                faults.append(
                    Fault(path, f"the manifest is not the one that {release.version} names as its parent", AGAIN)
                )
        except StorageError as error:
            faults.append(fault_of(error, AGAIN))
    return faults


def _is_there(storage: Storage, path: str) -> bool:
    try:
        return storage.exists(path)
    except StorageError:
        return True  # it cannot be seen by this user
