"""The folder that an export goes to: never one of the build's own or of its source, and never two builds in one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from faceloom.pipelines.store.build_record import BuildRecord
from faceloom.pipelines.store.parquet_tables import read_index_columns
from faceloom.pipelines.store.paths import shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError

EXPORT = "export.json"
"""Says which plan the samples of a folder are of. Written before the first of them, so that an export that was stopped
is known too."""


def check_target(target: Storage, storage: Storage, record: BuildRecord) -> None:
    """Refuse a folder that an export of a build would spoil, or that would spoil it.

    Args:
        target: the folder; it need not exist.
        storage: the build's output folder.
        record: of the build.

    Raises:
        FaceloomError: it is a file, lies in the output folder or among the build's photos, or holds an export of
            another plan. Two plans in one folder would mix their splits: a person may be in train by one, in test by
            the other.
    """
    target.check_folder()
    folder, out = Path(target.root).resolve(), Path(storage.root).resolve()
    if folder.is_relative_to(out):
        remedy = "Choose a folder outside of it"
        raise FaceloomError("the target lies in the output folder of the build", where=target.root, remedy=remedy)
    refuse_among_photos(target, storage, record)
    if _plan_of(target) not in (None, record.plan):
        remedy = f"Choose another folder, or delete that one: rm -r {target.root}"
        raise FaceloomError("the target holds samples of another build", where=target.root, remedy=remedy)


def refuse_among_photos(target: Storage, storage: Storage, record: BuildRecord) -> None:
    """Refuse a folder for pictures of a build that lies where its photos come from.

    Raises:
        FaceloomError: it does.
    """
    for uri, sha256 in _first_photos(storage, record):
        if place := _holder(Path(target.root).resolve(), uri, sha256):
            remedy = "The next build would take what is put there for photos. Choose a folder outside of it"
            raise FaceloomError("the target lies among the photos", where=target.root, value=place, remedy=remedy)


def mark_target(target: Storage, record: BuildRecord) -> None:
    """Write down whose samples a folder is going to hold.

    Raises:
        StorageError: it cannot be written.
    """
    if not target.exists(EXPORT):
        with target.write(EXPORT) as stream:
            stream.write((json.dumps({"plan": record.plan}, indent=1) + "\n").encode())


def _plan_of(target: Storage) -> str | None:
    """The plan whose samples a folder holds; empty if that cannot be read, None if there are none."""
    if not target.exists(EXPORT):
        return None
    try:
        return str(json.loads(target.read_bytes(EXPORT))["plan"])
    except (ValueError, KeyError, TypeError):
        return ""


def _first_photos(storage: Storage, record: BuildRecord) -> Iterator[tuple[str, str]]:
    """Of each source one photo: its uri and sha256. A build keeps no path of its sources, but this tells them."""
    seen: set[str] = set()
    for shard in record.shards:
        columns = read_index_columns(storage, shard_index(shard.name), ["source", "uri", "photo_sha256"])
        for source, uri, sha256 in zip(columns["source"], columns["uri"], columns["photo_sha256"], strict=True):
            if source not in seen:
                seen.add(source)
                yield uri, sha256


def _holder(folder: Path, uri: str, sha256: str) -> Path | None:
    """The folder, of this one and those around it, in which a photo lies."""
    for place in (folder, *folder.parents):
        try:
            if hashlib.sha256((place / uri).read_bytes()).hexdigest() == sha256:
                return place
        except (OSError, ValueError):  # not there; or no name of a file at all
            continue
    return None
