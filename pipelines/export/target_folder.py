"""Check the target folder of an export: outside the build and its sources, and one build per folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from faceloom.pipelines.sources.walk import ending
from faceloom.pipelines.store.build_record import BuildRecord
from faceloom.pipelines.store.checked_shards import reading
from faceloom.pipelines.store.output_folder import refuse_inside
from faceloom.pipelines.store.parquet_tables import read_index_columns
from faceloom.pipelines.store.paths import shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, StorageError
from faceloom.schemas.json_text import parse_json
from faceloom.schemas.regular_files import read_regular_file
from faceloom.schemas.urls import url_of

EXPORT = "export.json"
"""Holds plan and layout of a folder's samples. Written before the first sample, so a stopped export is recognised."""
_MOST_BYTES = 1 << 16
"""Bytes of a longer `EXPORT` are not read."""
_MOST_PHOTO = 1 << 28
"""A photo has fewer bytes."""


def check_target(target: Storage, storage: Storage, record: BuildRecord, layout: str = "folder") -> None:
    """Refuse a target folder that would damage the build, its sources or another export.

    Args:
        target: the target folder; it need not exist.
        storage: the build's output folder.
        record: the record of the build.
        layout: description of the layout, the same for exports that may share a folder.

    Raises:
        FaceloomError: the target is a file, lies in the output folder or among the build's photos, holds files that no
            export wrote, or an export of another plan or layout. Two plans in one folder would mix splits: a person may
            be in train by one plan and in test by the other.
    """
    target.check_folder()
    refuse_inside(target.root, storage)
    refuse_among_photos(target, storage, record)
    plan, there = _mark_of(target)
    remedy = f"Choose another folder, or delete that one{'' if url_of(target.root) else f': rm -r {target.root}'}"
    if plan not in (None, record.plan):
        raise FaceloomError("the target holds samples of another build", where=target.root, remedy=remedy)
    if plan is not None and there != layout:
        what = f"the target holds an export in another layout, {ascii(there)[1:-1]}"
        raise FaceloomError(what, where=target.root, value=layout, remedy=remedy)
    _refuse_foreign(target)


def _refuse_foreign(target: Storage) -> None:
    """Refuse a folder whose files no export wrote. `Storage` refuses a link where an export would write."""
    try:
        if url_of(target.root):
            there = target.names()
        else:
            folder = Path(target.root).resolve()
            there = sorted(path.name for path in folder.iterdir() if ".partial-" not in path.name)
    except FileNotFoundError:
        return
    except OSError as error:
        remedy = "Choose another folder, or ask its owner for permission"
        what = f"the target cannot be listed ({error.strerror})"
        raise StorageError(what, where=target.root, value=error.filename, remedy=remedy) from error
    if there and EXPORT not in there:
        remedy = "Choose a new or an empty folder"
        what = "the target holds files that no export wrote"
        raise StorageError(what, where=target.root, value=", ".join(there[:3]), remedy=remedy)


def refuse_among_photos(target: Storage, storage: Storage, record: BuildRecord) -> None:
    """Refuse a target folder that lies among the photos of a source that lists folders.

    Tables, shards and records name their photos, so files beside these photos are never read.

    Raises:
        FaceloomError: the target lies among the photos.
        StorageError: the record of the build is damaged.
    """
    named = _naming_sources(record)
    for source, uri, sha256 in _first_photos(storage, record):
        if source not in named and (place := _holder(target.root, uri, sha256)):
            remedy = "Choose a folder outside it; the next build would read exported files as photos"
            raise FaceloomError("the target lies among the photos", where=target.root, value=place, remedy=remedy)


def _naming_sources(record: BuildRecord) -> set[str]:
    """Names of the sources that are files, or patterns of files. A record holds the last part of each path."""
    return {
        spec.source_name
        for spec in record.settings.sources
        if spec.kind in ("table", "shards", "recordio") or ending(spec.path) in ("csv", "tsv", "parquet", "tar", "rec")
    }


def mark_target(target: Storage, record: BuildRecord, layout: str = "folder") -> None:
    """Write the plan of the build and the layout to the target folder.

    Raises:
        StorageError: the folder cannot be written.
    """
    if not target.exists(EXPORT):
        with target.write(EXPORT) as stream:
            stream.write((json.dumps({"plan": record.plan, "layout": layout}, indent=1) + "\n").encode())


def _mark_of(target: Storage) -> tuple[str | None, str]:
    """Return plan and layout of the samples in a folder; the plan is empty if unreadable, None without samples."""
    if not target.exists(EXPORT):
        return None, ""
    try:
        mark = parse_json(target.read_bytes(EXPORT, _MOST_BYTES), _MOST_BYTES)
        return str(mark["plan"]), str(mark.get("layout", "of an older version"))[:80]
    except (StorageError, ValueError, KeyError, TypeError):
        return "", ""


def _first_photos(storage: Storage, record: BuildRecord) -> Iterator[tuple[str, str, str]]:
    """Yield name, uri and sha256 of one photo per source. They identify a source, whose path a build does not keep."""
    seen: set[str] = set()
    for shard in record.shards:
        with reading(shard_index(shard.name)):
            columns = read_index_columns(storage, shard_index(shard.name), ["source", "uri", "photo_sha256"])
        for source, uri, sha256 in zip(columns["source"], columns["uri"], columns["photo_sha256"], strict=True):
            if source not in seen:
                seen.add(source)
                yield source, uri, sha256


def _holder(root: str, uri: str, sha256: str) -> Path | str | None:
    """Return the folder, this one or one above it, that holds a photo."""
    path = PurePosixPath(uri)
    if path.is_absolute() or ".." in path.parts:
        return None
    for place in _and_above(root):
        try:
            if isinstance(place, Path):
                data = read_regular_file(place / path, _MOST_PHOTO)
            else:
                data = Storage(place).read_bytes(uri, _MOST_PHOTO)
            if hashlib.sha256(data).hexdigest() == sha256:
                return place
        except (OSError, ValueError, StorageError):  # missing, no file, or not a valid file name
            continue
    return None


def _and_above(root: str) -> Iterator[Path | str]:
    """A folder and those above it, given by path or URL."""
    if url := url_of(root):
        scheme, _, rest = url.rstrip("/").partition("://")
        parts = rest.split("/")
        yield from (f"{scheme}://{'/'.join(parts[:count])}" for count in range(len(parts), 0, -1))
    else:
        folder = Path(root).resolve()
        yield from (folder, *folder.parents)
