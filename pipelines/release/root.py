"""The folder of releases: its marker, its lock, and what killed processes left in it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faceloom.pipelines.store.paths import (
    LOCK,
    MARKER,
    RELEASE,
    RELEASES,
    RELEASES_MARK,
    ROOT_FOLDERS,
    TOMBSTONE,
    UNFINISHED,
    release_file,
    release_folder,
)
from faceloom.pipelines.store.storage import Storage, is_partial
from faceloom.schemas.errors import ReleaseError, StorageError
from faceloom.schemas.json_text import parse_json

_MARK = {"what": RELEASES_MARK, "format": 1}
_KEYS = {*_MARK, "logs", "logs_sha256"}
_MOST_MARK_BYTES = 2**25
"""The end of the log of a set takes 250, so there may be 100,000 sets."""


def open_root(path: str | os.PathLike[str]) -> Storage:
    """Open a folder of releases.

    Raises:
        ReleaseError: the folder is none.
        StorageError: its marker cannot be read.
    """
    storage = Storage(str(path))
    read_mark(storage)
    return storage


@contextlib.contextmanager
def locked_root(storage: Storage, *, create: bool = False) -> Iterator[None]:
    """Lock a folder of releases for one process, and delete what killed processes left.

    Args:
        storage: the folder.
        create: create the folder and its marker if they are missing.

    Raises:
        ReleaseError: the folder is none, and `create` is false or the folder holds other files.
        StorageError: another process holds the lock, or the folder cannot be written or holds a link.
    """
    if create:
        _refuse_if_foreign(storage)  # before the lock file is written
    else:
        open_root(storage.root)
    with storage.exclusive():
        if _find_mark(storage) is None:
            _refuse_if_foreign(storage)
            write_mark(storage, {})
        storage.sweep_partials(ROOT_FOLDERS)
        _sweep_unfinished(storage)
        yield


def read_mark(storage: Storage) -> dict[str, Any]:
    """Read the marker of a folder of releases.

    Raises:
        ReleaseError: the folder is none.
        StorageError: its marker cannot be read, or there is no such bucket.
    """
    mark = _find_mark(storage)
    if mark is None:
        storage.check_folder()  # a bucket that does not exist has no marker either
        remedy = "Give the folder that `faceloom release create` wrote, with --root or FACELOOM_ROOT"
        raise ReleaseError("no releases in this folder", where=storage.root, remedy=remedy)
    return mark


def write_mark(storage: Storage, values: dict[str, Any]) -> None:
    """Write the marker of a folder of releases, with further values. The folder must be locked.

    Raises:
        StorageError: it would be too long to be read again, or cannot be written.
    """
    data = (json.dumps({**_MARK, **values}) + "\n").encode()
    if len(data) > _MOST_MARK_BYTES:
        what, value = f"the marker would have more than {_MOST_MARK_BYTES:,} bytes", f"{len(data):,}"
        remedy = "Publish further sets in another folder of releases"
        raise StorageError(what, where=storage.place(MARKER), value=value, remedy=remedy)
    with storage.write(MARKER) as stream:
        stream.write(data)


def _find_mark(storage: Storage) -> dict[str, Any] | None:
    if not storage.is_taken(MARKER):
        return None
    where = storage.place(MARKER)
    try:
        mark = parse_json(storage.read_bytes(MARKER, _MOST_MARK_BYTES), _MOST_MARK_BYTES)
    except ValueError as error:
        remedy = "Get an undamaged copy of the file, or choose another folder"
        raise StorageError(f"this is not the marker of a folder of releases: {error}", where=where,
                           remedy=remedy) from None  # fmt: skip
    if not isinstance(mark, dict) or mark.get("what") != _MARK["what"]:
        what = "the folder belongs to something else, such as a build"
        value = ascii(mark.get("what") if isinstance(mark, dict) else mark)[:80]
        remedy = "Choose another folder for releases; a build goes into one with `faceloom release create`"
        raise ReleaseError(what, where=where, value=value, remedy=remedy)
    if mark.get("format") != _MARK["format"]:
        what, value = "this version does not know the format of the folder", ascii(mark.get("format"))[:40]
        remedy = "Use the version of faceloom that wrote it, or a later one"
        raise ReleaseError(what, where=where, value=value, remedy=remedy)
    if unknown := sorted(mark.keys() - _KEYS):
        remedy = "Get an undamaged copy of the file. If there is none, take the key out of it"
        raise StorageError("damaged marker: an unknown key", where=where, value=ascii(unknown[0])[:40], remedy=remedy)
    return mark


def _refuse_if_foreign(storage: Storage) -> None:
    storage.check_folder()
    for path in (LOCK, *ROOT_FOLDERS):
        storage.place(path)  # refuses a link
    if _find_mark(storage) is not None:
        return
    if foreign := [name for name in storage.names() if name != LOCK and not is_partial(name)]:
        what = "the folder holds files that are not of releases"
        shown = ", ".join(foreign[:3])
        raise ReleaseError(what, where=storage.root, value=shown, remedy="Choose a new or empty folder")


def _sweep_unfinished(storage: Storage) -> None:
    """Delete what a killed process left of a release: a folder with the mark of an unfinished one and no manifest."""
    for (name, version), files in release_folders(storage).items():
        if UNFINISHED not in files:
            continue
        left = [UNFINISHED] if {RELEASE, TOMBSTONE} & files else sorted(files)
        for file in left:
            storage.remove(release_file(name, version, file))
        storage.remove_folder(release_folder(name, version))  # a finished release stays


def refuse_lost_manifests(storage: Storage, *, without: tuple[str, str] | None = None) -> None:
    """Refuse to go on while a release has lost its manifest: it is unknown which shards it uses.

    Args:
        storage: the folder of releases.
        without: name and version of a release that does not count.

    Raises:
        StorageError: one has.
    """
    for (name, version), files in release_folders(storage).items():
        if (name, version) != without and not {RELEASE, TOMBSTONE, UNFINISHED} & files:
            remedy = "Unpack the release again, or delete the folder if you no longer need the release"
            what, where = "the manifest of this release is missing", release_file(name, version)
            raise StorageError(what, where=where, remedy=remedy)


def release_folders(storage: Storage) -> dict[tuple[str, str], set[str]]:
    """The files in each folder of a release, by name and version."""
    found: dict[tuple[str, str], set[str]] = {}
    for path in storage.list(RELEASES):
        parts = Path(path).parts
        if len(parts) == 4:
            found.setdefault((parts[1], parts[2]), set()).add(parts[3])
    return found
