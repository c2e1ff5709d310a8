"""Read and write result files. A file under its final name is always complete."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from faceloom.pipelines.store.paths import FOLDERS, LOCK
from faceloom.pipelines.store.storage_errors import raise_storage_error, storage_errors
from faceloom.schemas.errors import StorageError
from faceloom.schemas.regular_files import check_regular, open_regular_file
from faceloom.schemas.urls import url_of

MOST_BYTES = 2**30
"""Bytes of a file that is read at once: tables and parts have tens of megabytes; larger files are read in ranges."""
REPAIR = "Remove it and run the same `faceloom build` again, which makes it anew, or get an undamaged copy"
"""What to do about a damaged file."""

_PARTIAL = re.compile(r"\.partial-[0-9]+-[0-9]+$")
_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM, errno.ENOENT}
_CANNOT_LINK = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_Paths = list[str]  # the class has a method called list
URL_KINDS: list[type[Storage]] = []
"""What serves URLs: `ObjectStorage`, which puts itself here."""


@dataclass(frozen=True, slots=True)
class Storage:
    """A folder of results, on this machine. `Storage("s3://bucket/folder")` makes an `ObjectStorage`.

    Paths are relative to the root, with forward slashes, and never leave it: the root may be a link, and no link below
    it is followed. A file under its final name is complete: it is written in the same folder under a name that ends in
    `.partial-` and two numbers, then renamed. Pickles as its root.

    Attributes:
        root: the folder; it need not exist yet.
    """

    root: str

    def __new__(cls, root: str = "") -> Storage:
        """Choose the class by the root, as `pathlib.Path` does by the system."""
        return object.__new__(URL_KINDS[0] if cls is Storage and url_of(root) else cls)

    def __post_init__(self) -> None:
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

    def missing_folders(self) -> _Paths:
        """The root and the folders above it that do not exist, the deepest first."""
        root = Path(self.root)
        return [str(place) for place in (root, *root.parents) if not place.exists()]

    def holds(self, place: str | os.PathLike[str]) -> bool:
        """Whether a place, given by path or URL, is the root or lies in it."""
        return url_of(place) is None and Path(place).resolve().is_relative_to(Path(self.root).resolve())

    def place(self, path: str) -> str:
        """Path of a file with its root, or its URL, for messages and for people. Errors as `local`."""
        return str(self.local(path))

    def fetch(self, path: str) -> Path:
        """A file on this machine with the content of a file, for libraries that read no streams.

        It is the file itself, or a copy of an object, which is deleted when the process ends.

        Raises:
            StorageError: as `local`; an object cannot be read.
        """
        return self.local(path)

    def local(self, path: str) -> Path:
        """Path of a file on this machine. Code that should also work with object stores uses `open` or `fetch`.

        A link that another program puts there later, before the file is opened, is not seen.

        Raises:
            StorageError: the path is absolute, leads out of the root, or holds a link below the root.
        """
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or "\0" in path:
            what = "a path must be relative and stay inside the output folder"
            raise StorageError(what, where=self.root, value=ascii(path), remedy=REPAIR)
        place = self.root
        for name in pure.parts:
            place = os.path.join(place, name)  # noqa: PTH118
            try:
                status = os.lstat(place)
            except OSError:
                break  # it does not exist yet, or whatever uses it fails likewise
            except ValueError:  # half of a surrogate pair
                raise StorageError("a file cannot have this name", value=ascii(path)) from None
            if stat.S_ISLNK(status.st_mode):
                raise _link_error(place)
        return Path(self.root, path)

    def exists(self, path: str) -> bool:
        """True if a complete file of this name exists."""
        place = self.local(path)
        with storage_errors("cannot be accessed", path, reading=True):
            try:
                return stat.S_ISREG(os.lstat(place).st_mode)
            except (FileNotFoundError, NotADirectoryError):
                return False

    def is_taken(self, path: str) -> bool:
        """True if anything has this name: a file, a folder, a pipe. Errors as `local`."""
        return os.path.lexists(self.local(path))

    def stamp(self, path: str) -> tuple[object, ...]:
        """A value that changes when the file does. Errors as `size`."""
        with storage_errors("cannot be accessed", path, reading=True):
            status = os.lstat(self.local(path))
            return status.st_size, status.st_mtime_ns

    def size(self, path: str) -> int:
        """Length of a file in bytes."""
        with storage_errors("cannot be accessed", path, reading=True):
            status = os.lstat(self.local(path))
            check_regular(status)
            return status.st_size

    @contextlib.contextmanager
    def open(self, path: str, most_bytes: int | None = None) -> Iterator[IO[bytes]]:
        """Open a file for reading.

        Raises:
            StorageError: it cannot be read, is no regular file, or has more than `most_bytes`.
        """
        with storage_errors("cannot be read", path, reading=True):
            stream = open_regular_file(self.local(path), most_bytes, follow_links=False)
        with stream:
            yield stream

    def read_bytes(self, path: str, most_bytes: int = MOST_BYTES) -> bytes:
        """All bytes of a file. Errors as `open`."""
        with self.open(path, most_bytes) as stream, storage_errors("cannot be read", path, reading=True):
            return stream.read(min(most_bytes, os.fstat(stream.fileno()).st_size))  # Python takes memory for it at once

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """Exactly `length` bytes of a file from `offset`.

        Raises:
            StorageError: the file cannot be read, or is too short.
        """
        with self.open(path) as stream:
            return self.range_of(stream, path, offset, length)

    def range_of(self, stream: IO[bytes], path: str, offset: int, length: int) -> bytes:
        """As `read_range`, of a file that `open` opened."""
        with storage_errors("cannot be read", path, reading=True):
            # Before anything is read: a damaged index may ask for any number of bytes.
            inside = 0 <= offset <= offset + length <= os.fstat(stream.fileno()).st_size
            if inside:
                stream.seek(offset)
                data = stream.read(length)
                if len(data) == length:
                    return data
        raise StorageError(f"damaged: the file ends before byte {offset + length}", where=path, remedy=REPAIR)

    def list(self, prefix: str = "") -> _Paths:
        """Sorted paths of all complete files in a folder and below it; empty if the folder does not exist.

        Raises:
            StorageError: a folder cannot be listed, or holds a link.
        """
        return [path for path in self._files(prefix) if not is_partial(path)]

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Sizes in bytes of all complete files in a folder and below it, by path, sorted. Errors as `list`."""
        return {path: self.size(path) for path in self.list(prefix)}

    def remove(self, path: str) -> None:
        """Delete a file; no error if it does not exist."""
        with storage_errors("cannot be removed", path):
            self.local(path).unlink(missing_ok=True)

    def remove_folder(self, folder: str) -> None:
        """Delete a folder if it is empty. Errors as `local`; one that cannot be deleted stays."""
        with contextlib.suppress(OSError):
            self.local(folder).rmdir()

    def write_if_changed(self, path: str, data: bytes) -> None:
        """Write a file unless it holds these bytes already."""
        if not self._holds(path, data):
            with self.write(path) as stream:
                stream.write(data)

    def _holds(self, path: str, data: bytes) -> bool:
        try:
            return self.exists(path) and self.size(path) == len(data) and self.read_bytes(path, len(data)) == data
        except StorageError:
            return False  # writing it replaces it, or says what is wrong

    @contextlib.contextmanager
    def write(self, path: str, *, durable: bool = True, new: bool = False) -> Iterator[BinaryIO]:
        """Open a file for writing. It gets its final name if the block succeeds, and is deleted otherwise.

        The block must not close the file. An existing file is replaced atomically. A `durable` file is synced to the
        disk before it gets its name, so a power cut leaves all of it or none; other files survive only a kill. A `new`
        file replaces none: of several writers at once, one succeeds.

        Raises:
            StorageError: disk full, no permission, or another OSError of the file; a `new` file exists already. Other
                errors pass through.
        """
        final = self.local(path)
        # The name of a partial file must differ between writers of one file, also on machines that share the folder and
        # have processes of the same number. It is never part of a result.
        partial = final.with_name(f"{final.name}.partial-{os.getpid()}-{secrets.randbits(47)}")
        with storage_errors("cannot be written", path, final.parent):
            _make_folder(final.parent)
            stream = partial.open("xb")  # whatever has this name already, a link for example, is not written to
        try:
            try:
                yield stream
            except OSError as error:  # of the file: code that reads photos raises its own errors
                raise_storage_error(error, "cannot be written", path, final.parent)
            with storage_errors("cannot be written", path, final.parent):
                stream.flush()
                if durable:
                    os.fsync(stream.fileno())
                stream.close()
                if new:
                    _link_new(partial, final)
                else:
                    partial.replace(final)
        except BaseException:
            with contextlib.suppress(OSError):
                stream.close()
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise

    @contextlib.contextmanager
    def write_errors(self, path: str) -> Iterator[None]:
        """Raise an OSError of writing to a file that `write` opened, outside of its block, as `write` does inside."""
        with storage_errors("cannot be written", path, Path(self.root)):
            yield

    def partials(self, folders: tuple[str, ...] = FOLDERS) -> _Paths:
        """Sorted paths of all partial files, of running and of killed writers, in the root and in our folders."""
        own = [name for name in self.names() if is_partial(name) and self.exists(name)]
        return sorted(own + [path for folder in folders for path in self._files(folder) if is_partial(path)])

    def names(self) -> _Paths:
        """Sorted names of everything that lies directly in the root; empty if it does not exist."""
        with storage_errors("cannot be listed", self.root, reading=True):
            return sorted(os.listdir(self.root)) if Path(self.root).is_dir() else []  # noqa: PTH208

    def sync_folders(self, *folders: str) -> None:
        """Sync folders to the disk, so that new file names survive a power cut. Call once after many writes."""
        for folder in folders:
            _sync_folder(self.local(folder))

    def sweep_partials(self, folders: tuple[str, ...] = FOLDERS) -> _Paths:
        """Delete the partial files of killed writers and return their paths. Call only while nothing writes."""
        leftovers = self.partials(folders)
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
        with storage_errors("cannot be locked", str(path), path.parent):
            _make_folder(path.parent)
            if os.path.lexists(path) and (not self.exists(LOCK) or self.size(LOCK)):
                remedy = "Move it away, or choose another folder"  # filelock would cut it to no bytes
                raise StorageError("this is no lock file of faceloom", where=str(path), remedy=remedy)
            try:
                lock.acquire()
            except Timeout:
                remedy = "Wait until it has finished, or choose another folder"
                raise StorageError(
                    "another process is writing to this folder", where=self.root, remedy=remedy
                ) from None
        try:
            if not os.path.lexists(path):  # an empty build took it away while this process waited to lock it
                remedy = "Run the same command again"
                raise StorageError("another process was writing to this folder", where=self.root, remedy=remedy)
            yield
        finally:
            lock.release()

    def check_writable(self) -> None:
        """Create the root if it does not exist, then write and delete a small file there.

        Raises:
            StorageError: the folder is not writable; checked before an hour of work.
        """
        probe = f".partial-{os.getpid()}-{secrets.randbits(47)}"  # several workers may check at the same time
        with self.write(probe) as stream:
            stream.write(b"faceloom")
        self.remove(probe)

    def _files(self, folder: str) -> _Paths:
        waiting, found = [self.local(folder)], []
        with storage_errors("cannot be listed", folder or self.root, reading=True):
            while waiting:
                try:
                    entries = os.scandir(waiting.pop())
                except FileNotFoundError:
                    continue
                with entries:
                    for entry in entries:
                        if entry.is_symlink():
                            raise _link_error(entry.path)
                        if entry.is_dir():
                            waiting.append(Path(entry.path))
                        elif entry.is_file():
                            found.append(Path(entry.path).relative_to(self.root).as_posix())
        return sorted(found)


def is_partial(path: str) -> bool:
    """Whether a path is that of a partial file."""
    return _PARTIAL.search(path) is not None


def _link_new(partial: Path, final: Path) -> None:
    """Rename a file to a name that must be free. Unlike a rename, a hard link never replaces a file."""
    try:
        os.link(partial, final)
        partial.unlink()
    except OSError as error:
        if os.path.lexists(final):
            remedy = "See what it holds, and choose another"
            raise StorageError("this file exists already", where=str(final), remedy=remedy) from None
        if error.errno not in _CANNOT_LINK:
            raise
        partial.replace(final)  # here the lock of the folder alone keeps others out


def _link_error(place: str) -> StorageError:
    remedy = "Put the file or folder itself there, or remove the link. Only the folder as a whole may be a link"
    what = "a link inside an output folder or the target of an export, which faceloom does not follow"
    return StorageError(what, where=place, remedy=remedy)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:  # /proc and its like hold no folders of users
        remedy = "Choose another output folder"
        raise StorageError("this folder cannot be created", where=str(folder), remedy=remedy) from None


def _sync_folder(folder: Path) -> None:
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        # Some systems cannot sync a folder; a rerun makes what a power cut loses there.
        if error.errno not in _CANNOT_SYNC:
            raise_storage_error(error, "cannot be synced to the disk", str(folder), folder)
