"""Read and write result files. A file under its final name is always complete."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NoReturn

from faceloom.pipelines.store.paths import LOCK
from faceloom.schemas.errors import StorageError

_PARTIAL = ".partial-"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REMEDIES = {
    errno.EACCES: "Make it writable for this user, or choose another output folder",
    errno.EPERM: "Make it writable for this user, or choose another output folder",
    errno.EROFS: "The disk is mounted read-only; choose another output folder",
    errno.ENOTDIR: "A file exists where a folder is needed; move it away or choose another output folder",
    errno.EEXIST: "A file exists where a folder is needed; move it away or choose another output folder",
    errno.ENOENT: "Check that the output folder is still there and mounted, then run the same command again",
}
_Paths = list[str]  # the class has a method called list
_RETRY = "Check the disk, then run the same command again; finished tasks are kept"


@dataclass(frozen=True, slots=True)
class Storage:
    """A folder of results.

    Paths are relative to the root, with forward slashes, and never leave it. A file under its final name is complete:
    it is written in the same folder under a name that holds `.partial-`, then renamed. An object store can serve all
    these calls, so it can replace the folder. Pickles as its root.

    Attributes:
        root: the folder; it need not exist yet.
    """

    root: str

    def __post_init__(self) -> None:
        if "://" in self.root:
            raise StorageError("output to a URL is not supported", where=self.root, remedy="Give the path of a folder")
        if not self.root:
            raise StorageError("the path of the output folder is empty", remedy="Give the path of a folder")

    def check_folder(self) -> None:
        """Check that the root is a folder or can be created as one. Writes nothing.

        Raises:
            StorageError: the root, or a folder above it, is a file.
        """
        root = Path(os.path.abspath(self.root))  # noqa: PTH100
        there = next((place for place in (root, *root.parents) if os.path.lexists(place)), root)
        if not there.is_dir() and os.path.lexists(there):
            remedy = "Move it away, or choose another folder"
            raise StorageError("a file exists where a folder is needed", where=str(there), remedy=remedy)

    def local(self, path: str) -> Path:
        """Path of a file on this machine.

        Raises:
            StorageError: the path is absolute or leads out of the root.
        """
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts:
            raise StorageError("the path must be relative and stay inside the output folder", value=path)
        return Path(self.root, path)

    def exists(self, path: str) -> bool:
        """True if a complete file of this name exists."""
        return self.local(path).is_file()

    def size(self, path: str) -> int:
        """Length of a file in bytes."""
        with _storage_errors("cannot be accessed", path):
            return self.local(path).stat().st_size

    def read_bytes(self, path: str) -> bytes:
        """All bytes of a file."""
        with _storage_errors("cannot be read", path):
            return self.local(path).read_bytes()

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """Exactly `length` bytes of a file from `offset`.

        Raises:
            StorageError: the file cannot be read, or is too short.
        """
        with _storage_errors("cannot be read", path), self.local(path).open("rb") as stream:
            stream.seek(offset)
            data = stream.read(length)
        if len(data) < length:
            raise StorageError(
                f"damaged: the file ends before byte {offset + length}",
                where=path,
                remedy="Remove it and run the same command again",
            )
        return data

    def list(self, prefix: str = "") -> _Paths:
        """Sorted paths of all complete files in a folder and below it; empty if the folder does not exist."""
        return [path for path in self._files(prefix) if _PARTIAL not in path.rpartition("/")[2]]

    def remove(self, path: str) -> None:
        """Delete a file; no error if it does not exist."""
        with _storage_errors("cannot be removed", path):
            self.local(path).unlink(missing_ok=True)

    def write_if_changed(self, path: str, data: bytes) -> None:
        """Write a file unless it holds these bytes already."""
        if not self.exists(path) or self.read_bytes(path) != data:
            with self.write(path) as stream:
                stream.write(data)

    @contextlib.contextmanager
    def write(self, path: str, *, durable: bool = True) -> Iterator[BinaryIO]:
        """Open a file for writing. It gets its final name if the block succeeds, and is deleted otherwise.

        The block must not close the file. An existing file is replaced atomically. A `durable` file is synced to the
        disk before it gets its name, so a power cut leaves all of it or none; other files survive only a kill.

        Raises:
            StorageError: disk full, no permission, or another OSError of the file; other errors pass through.
        """
        final = self.local(path)
        # The name of a partial file must differ between writers of one file, and is never part of a result.
        partial = final.with_name(f"{final.name}{_PARTIAL}{os.getpid()}-{threading.get_ident()}")
        with _storage_errors("cannot be written", path, final.parent):
            final.parent.mkdir(parents=True, exist_ok=True)
            stream = partial.open("wb")
        try:
            try:
                yield stream
            except OSError as error:  # of the file: code that reads photos raises its own errors
                _raise_storage_error(error, "cannot be written", path, final.parent)
            with _storage_errors("cannot be written", path, final.parent):
                stream.flush()
                if durable:
                    os.fsync(stream.fileno())
                stream.close()
                partial.replace(final)
        except BaseException:
            with contextlib.suppress(OSError):
                stream.close()
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise

    def partials(self) -> _Paths:
        """Sorted paths of all partial files, of running and of killed writers."""
        return [path for path in self._files("") if _PARTIAL in path.rpartition("/")[2]]

    def sync_folders(self, *folders: str) -> None:
        """Sync folders to the disk, so that new file names survive a power cut. Call once after many writes."""
        for folder in folders:
            _sync_folder(self.local(folder))

    def sweep_partials(self) -> _Paths:
        """Delete the partial files of killed writers and return their paths. Call only while nothing writes."""
        leftovers = self.partials()
        for path in leftovers:
            self.remove(path)
        return leftovers

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Lock the root for this process, without waiting. The lock ends with the block, or when the process dies.

        Raises:
            StorageError: another process holds the lock, or the root cannot be written.
        """
        from filelock import FileLock, Timeout

        path = self.local(LOCK)
        # A soft lock, which filelock uses where the system has no other, would outlive a killed process.
        lock = FileLock(path, blocking=False, fallback_to_soft=False)
        with _storage_errors("cannot be locked", str(path), path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire()
            except Timeout:
                remedy = "Wait until it has finished, or choose another folder"
                raise StorageError(
                    "another process is writing to this folder", where=self.root, remedy=remedy
                ) from None
        try:
            yield
        finally:
            lock.release()

    def check_writable(self) -> None:
        """Create the root if it does not exist, then write and delete a small file there.

        Raises:
            StorageError: the folder is not writable; checked before an hour of work.
        """
        probe = f"{_PARTIAL}probe"
        with self.write(probe) as stream:
            stream.write(b"faceloom")
        self.remove(probe)

    def _files(self, folder: str) -> _Paths:
        top = self.local(folder)
        found = []
        with _storage_errors("cannot be listed", folder or self.root):
            for place, _, names in os.walk(top, onerror=_raise_unless_missing):
                below = Path(place).relative_to(self.root).as_posix()
                found += [name if below == "." else f"{below}/{name}" for name in names]
        return sorted(found)


@contextlib.contextmanager
def _storage_errors(what: str, path: str, folder: Path | None = None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        _raise_storage_error(error, what, path, folder)


def _raise_storage_error(error: OSError, what: str, path: str, folder: Path | None) -> NoReturn:
    if error.errno in _FULL:
        left = "unknown"
        with contextlib.suppress(OSError):
            left = f"{shutil.disk_usage(folder or '.').free / 1e6:.0f} MB"
        raise StorageError(
            f"disk full while writing ({error.strerror}; free now: {left})",
            where=path,
            remedy="Free some space and run the same command again; finished tasks are kept",
        ) from error
    remedy = _REMEDIES.get(error.errno or 0, _RETRY)
    raise StorageError(f"{what} ({error.strerror})", where=path, value=error.filename or "", remedy=remedy) from error


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _sync_folder(folder: Path) -> None:
    # Some file systems cannot sync a folder; a rerun makes what a power cut loses.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
