"""Make a release of a finished build: copy its shards into the pool, then publish."""

from __future__ import annotations

import contextlib
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from faceloom.pipelines.preview import BUILD_AGAIN
from faceloom.pipelines.release.manifest import Published, pool_name, read_manifest
from faceloom.pipelines.release.provenance import code_of, count_content, kinds_of
from faceloom.pipelines.release.publish import free_unused, previous_of, publish, refuse_existing
from faceloom.pipelines.release.resolve import read_versions, version_key
from faceloom.pipelines.release.root import locked_root
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import BuildRecord, ShardRecord, read_record
from faceloom.pipelines.store.file_faults import find_shard_faults
from faceloom.pipelines.store.last_run import LastRun, read_last_run
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.column_types import first_fault, place_text
from faceloom.schemas.errors import ReleaseError, StorageError
from faceloom.schemas.release import NAME_PATTERN, VERSION_PATTERN, Release, ReleaseShard

CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Created:
    """A new release, and what its shards took.

    Attributes:
        published: the release.
        shared, copied: number of shards that the pool held already, and that were copied into it.
        shared_bytes, copied_bytes: their bytes, indexes included.
    """

    published: Published
    shared: int
    copied: int
    shared_bytes: int
    copied_bytes: int


def create_release(
    root: str | Path, name: str, version: str, *, out: str | Path, description: str = "", watcher: Watcher | None = None
) -> Created:
    """Make a release of a finished build. The build stays as it is, and the release does not depend on it.

    Args:
        root: the folder of releases; created if it is missing.
        name: of the set, such as `masked-faces`.
        version: such as `1.0.0`; above all versions that the set has.
        out: the output folder of the build.
        description: one line for readers; default: that of the recipe.
        watcher: receives the progress.

    Raises:
        ReleaseError: name or version are no such, the version exists or is too low, or the build holds no samples.
        GateError: a gate failed, so nothing is published.
        StorageError: there is no finished build, one of its shards is damaged, or the folder cannot be written.
    """
    _check_names(name, version)
    build, storage, watcher = Storage(str(out)), Storage(str(root)), watcher or Watcher()
    record = read_record(build)
    if not record.written:
        raise ReleaseError("the build holds no samples", where=build.root, remedy="See `faceloom show --rejects`")
    _check_apart(build, storage)
    with locked_root(storage, create=True):
        _check_version(storage, name, version)
        release = _manifest(storage, name, version, description, build, record)
        _check_before_copying(build, storage, record, release, watcher)
        try:
            watcher.stage("copy", len(record.shards), "shards")
            shared, sizes = 0, {True: 0, False: 0}
            for count, shard in enumerate(record.shards, 1):
                is_shared = add_to_pool(build, storage, shard)
                shared += is_shared
                sizes[is_shared] += shard.bytes + shard.index_bytes
                watcher.done(count)
            done = publish(storage, release, record=record, watcher=watcher)
        finally:
            with contextlib.suppress(StorageError):  # verify names what is wrong
                free_unused(storage)
    return Created(done, shared, len(record.shards) - shared, sizes[True], sizes[False])


def _check_before_copying(
    build: Storage, root: Storage, record: BuildRecord, release: Release, watcher: Watcher
) -> None:
    """Run what needs no copy on the files of the build, since copying them may take hours.

    Raises:
        StorageError: a shard or an index is missing, has another length, or is damaged.
        GateError: a gate on the indexes fails.
        FaceloomError: a section of the data card would be empty.
    """
    from faceloom.pipelines.cards.release_card import card_markdown
    from faceloom.pipelines.release.gates import refuse_failed, run_index_gates

    watcher.stage("compare", len(record.shards), "shards")
    if faults := find_shard_faults(build, record.shards, BUILD_AGAIN, on_count=watcher.done):
        more = f"; {len(faults) - 1:,} other files differ too" if faults[1:] else ""
        raise StorageError(f"{faults[0].what}{more}", where=f"{build.root}/{faults[0].file}", remedy=faults[0].remedy)
    here = release.model_copy(update={"shards": tuple(ReleaseShard(**one.model_dump()) for one in record.shards)})
    refuse_failed(release, run_index_gates(build, here, record, previous_of(root, release), watcher))
    card_markdown(build, here)


def add_to_pool(source: Storage, root: Storage, shard: ShardRecord) -> bool:
    """Copy a shard and its index into the pool, unless they are there. Hold `locked_root`.

    Args:
        source: the folder that holds the shard.
        root: the folder of releases.
        shard: name, sizes and digests, as listed by the source.

    Returns:
        Whether the pool held the shard.

    Raises:
        StorageError: the shard is missing or damaged, or cannot be copied.
    """
    name = _in_pool(shard).name
    pairs = (
        (shard_tar(shard.name), shard_tar(name), shard.bytes, shard.sha256),
        (shard_index(shard.name), shard_index(name), shard.index_bytes, shard.index_sha256),
    )
    if all(_holds(root, to, size, sha256) for _, to, size, sha256 in pairs):
        return True
    for path, to, size, sha256 in pairs:
        copy_file(source, path, root, to, size, sha256)
    return False


def _in_pool(shard: ShardRecord) -> ReleaseShard:
    """A shard of a build under its name in the pool."""
    name = pool_name(shard.name, shard.sha256, shard.index_sha256)
    return ReleaseShard(**{**shard.model_dump(), "name": name})


def _holds(storage: Storage, path: str, size: int, sha256: str) -> bool:
    if not storage.exists(path) or storage.size(path) != size:
        return False
    digest = hashlib.sha256()
    with storage.open(path) as stream:
        while data := stream.read(CHUNK):
            digest.update(data)
    return digest.hexdigest() == sha256


def copy_file(source: Storage, path: str, target: Storage, to: str, size: int, sha256: str) -> None:
    """Copy a file. It gets its name only if its digest is the one that is listed.

    Raises:
        StorageError: the file has another length or digest, is missing, or cannot be copied.
    """
    digest, copied = hashlib.sha256(), 0
    with source.open(path) as stream, target.write(to) as out:
        while data := stream.read(CHUNK):
            digest.update(data)
            copied += len(data)
            out.write(data)
        if (copied, digest.hexdigest()) != (size, sha256):
            fault = f"{copied:,} bytes, where {size:,} are listed" if copied != size else "another sha256 than listed"
            remedy = "Run the same `faceloom build` again, which makes it anew, or get an undamaged copy"
            raise StorageError(f"damaged: it has {fault}", where=f"{source.root}/{path}", remedy=remedy)


def _manifest(root: Storage, name: str, version: str, description: str, build: Storage, record: BuildRecord) -> Release:
    recipe = record.settings
    counts = count_content(build, record.shards, kinds_of(recipe))
    latest = read_versions(root, name).latest
    plain: dict[str, Any] = dict(  # noqa: C408
        name=name, version=version, parent=read_manifest(root, name, latest).id if latest else "",
        description=description or recipe.description, code=code_of(record, _last_run(build)),
        libraries=record.libraries, recipe=record.recipe, plan=record.plan, seed=f"0x{recipe.seed:x}",
        models=record.models, sources=counts.sources, splits=counts.splits,
        members=counts.members, photos=record.photos, faces=record.faces, planned=record.planned,
        written=record.written, by_mask=counts.by_mask, rejects=record.rejects, misses=record.misses,
        warnings=record.warnings, shards=tuple(map(_in_pool, record.shards)),
    )  # fmt: skip
    try:
        return Release(**plain)
    except ValidationError as error:
        place, text = first_fault(error)
        what = f"the build does not fit into a release: {place_text(place)}: {text}"
        raise ReleaseError(what, where=build.root, remedy="Correct the recipe, and build again") from None


def _last_run(build: Storage) -> LastRun | None:
    try:
        return read_last_run(build)
    except StorageError:
        return None  # it only informs


def _check_names(name: str, version: str) -> None:
    if not re.fullmatch(NAME_PATTERN, name):
        remedy = "Use lower-case letters, digits, `-` and `_`, at most 100, such as masked-faces"
        raise ReleaseError("this cannot be the name of a set", value=ascii(name)[:80], remedy=remedy)
    check_version(version)


def check_version(version: str) -> None:
    """Refuse what is no version.

    Raises:
        ReleaseError: it is none.
    """
    if not re.fullmatch(VERSION_PATTERN, version):
        remedy = "A version is three whole numbers, such as 1.0.0"
        raise ReleaseError("this is no version", value=ascii(version)[:80], remedy=remedy)


def _check_version(root: Storage, name: str, version: str) -> None:
    refuse_existing(root, name, version)
    highest = (read_versions(root, name).versions or (None,))[-1]
    if highest and version_key(version) < version_key(highest):
        remedy = f"Choose a version above {highest}, the highest that the set has"
        raise ReleaseError("the version is too low", where=f"{name}@{version}", remedy=remedy)


def _check_apart(build: Storage, root: Storage) -> None:
    if build.holds(root.root) or root.holds(build.root):
        what = "the folder of releases and the output folder of the build lie in each other"
        raise ReleaseError(what, where=root.root, value=build.root, remedy="Choose another folder for releases")
