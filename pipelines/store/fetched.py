"""Files that a recipe or a command names by URL: each process copies them to this machine once."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
from hashlib import sha256
from pathlib import Path

from faceloom.pipelines.store.copies import copies_folder
from faceloom.pipelines.store.object_storage import ObjectStorage
from faceloom.pipelines.store.store_path import file_in_store
from faceloom.schemas.errors import StorageError
from faceloom.schemas.regular_files import UnfitFileError, check_length
from faceloom.schemas.urls import url_of

MOST_COPIES = 8 * 2**30
"""Bytes of the copies of one process, the last one aside; the oldest are deleted first."""
_CHUNK = 2**20
_LOCK = threading.Lock()


def fetched(path: str | os.PathLike[str], most_bytes: int | None = None) -> Path:
    """The file that a path or a URL names, on this machine. What reads it checks it as any other file.

    The file of a path is the file itself. An object is copied to a temporary folder of this process, under its own
    name, and again if it was replaced since; a copy is whole or not there.

    Args:
        path: the file.
        most_bytes: a longer object is not copied.

    Raises:
        FileNotFoundError, PermissionError: there is no such object, or the credentials do not permit it.
        UnfitFileError: it is too long.
        StorageError: the store or the temporary folder cannot be used.
    """
    url = url_of(path)
    if url is None:
        return Path(path)
    file = file_in_store(url)
    return _fetch(file.storage, (file.path,), most_bytes) / file.path


def fetched_folder(path: str, names: tuple[str, ...], most_bytes: int | None = None) -> Path:
    """As `fetched`, for some files of a folder."""
    url = url_of(path)
    if url is None:
        return Path(path)
    storage = ObjectStorage(url)
    return _fetch(storage, names, most_bytes, storage.root.rpartition("/")[2])


def _fetch(storage: ObjectStorage, names: tuple[str, ...], most_bytes: int | None, below: str = "") -> Path:
    """The folder with copies of some objects."""
    name = names[0]
    try:
        stamps = []
        for name in names:
            stamps.append(storage.stamp(name))
            check_length(int(str(stamps[-1][0])), most_bytes)
        key = sha256(repr((storage.root, names, stamps)).encode()).hexdigest()[:24]
        folder = copies_folder() / key
        with _LOCK:
            if not folder.exists():
                lengths = [int(str(size)) for size, _ in stamps]
                _make_room(sum(lengths))
                with tempfile.TemporaryDirectory(dir=copies_folder()) as passing:
                    Path(passing, "whole", below).mkdir(parents=True)
                    for name, length in zip(names, lengths, strict=True):
                        _copy(storage, name, Path(passing, "whole", below, name), length)
                    Path(passing, "whole").rename(folder)
        return folder / below
    except StorageError as error:
        cause, where = error.__cause__, storage.place(name)
        if isinstance(cause, FileNotFoundError | PermissionError):
            raise type(cause)(cause.errno, cause.strerror, where) from error
        raise StorageError(error.what, where=where, value=error.value, remedy=error.remedy) from cause
    except UnfitFileError:
        raise
    except OSError as error:
        remedy = "Free some space there, or name another folder by the variable TMPDIR"
        what, value = f"cannot be copied to the temporary folder ({error.strerror})", tempfile.gettempdir()
        raise StorageError(what, where=storage.place(name), value=value, remedy=remedy) from error


def _copy(storage: ObjectStorage, name: str, copy: Path, length: int) -> None:
    with storage.open(name, length) as stream, copy.open("wb") as target:
        shutil.copyfileobj(stream, target, _CHUNK)
    if (found := copy.stat().st_size) != length:
        what = f"the answer was cut: {found:,} bytes of {length:,}"
        raise StorageError(what, remedy="Run the same command again") from OSError(errno.EIO, what)


def _make_room(length: int) -> None:
    """Delete the oldest copies until the others and a new one fit."""
    folders = sorted((one for one in copies_folder().iterdir() if one.is_dir()), key=lambda one: one.stat().st_mtime_ns)
    sizes = [sum(path.stat().st_size for path in one.rglob("*") if path.is_file()) for one in folders]
    total = length + sum(sizes)
    for folder, size in zip(folders, sizes, strict=True):
        if total > MOST_COPIES:
            shutil.rmtree(folder, ignore_errors=True)
            total -= size
