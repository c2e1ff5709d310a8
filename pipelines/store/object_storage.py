"""Results in an object store: Amazon S3 and its like, Google Cloud Storage, Azure."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

from faceloom.pipelines.store.copies import copies_folder
from faceloom.pipelines.store.lease import hold_lease, refuse_lost
from faceloom.pipelines.store.object_client import check_url, object_errors, open_store, raise_object_error
from faceloom.pipelines.store.object_list import ObjectEntry, list_objects
from faceloom.pipelines.store.object_upload import create, delete, upload
from faceloom.pipelines.store.paths import FOLDERS, LOCK
from faceloom.pipelines.store.ranged_stream import RangedStream
from faceloom.pipelines.store.repeats import is_passing, repeated
from faceloom.pipelines.store.storage import MOST_BYTES, REPAIR, URL_KINDS, Storage, is_partial
from faceloom.schemas.errors import StorageError
from faceloom.schemas.regular_files import check_length
from faceloom.schemas.urls import url_of

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_SPOOL = 2**23
"""Bytes of a file that is being written that stay in memory; a longer one goes to a temporary file."""
_BEGIN_ANYWHERE = ("s3://", "gs://")
"""Stores that begin a list behind any name; for others the library lists all and leaves out what comes before."""
_Paths = list[str]  # the class has a method called list


@dataclass(frozen=True, slots=True)
class ObjectStorage(Storage):
    """A folder of a bucket, as a `Storage`.

    An object exists only when it is complete, so there are no partial files. There are no folders and no links either.
    A file is written to this machine first and uploaded when it is complete.

    Attributes:
        root: the folder, such as `s3://bucket/folder`.
    """

    def __post_init__(self) -> None:
        url = (url_of(self.root) or self.root).rstrip("/")
        check_url(url)
        object.__setattr__(self, "root", url)

    @property
    def _store(self) -> ObjectStore:
        return open_store(self.root)

    @property
    def _repeating(self) -> ObjectStore:
        return open_store(self.root, repeats=True)

    def check_folder(self) -> None:
        """Check that the bucket exists and can be listed.

        Raises:
            StorageError: it does not, cannot be reached, or the credentials do not permit it.
        """
        self.names()

    def missing_folders(self) -> _Paths:
        """None: an object store has no folders."""
        return []

    def holds(self, place: str | os.PathLike[str]) -> bool:
        """Whether a place, given by path or URL, is the root or lies in it."""
        return f"{url_of(place)}/".startswith(f"{self.root}/")

    def place(self, path: str) -> str:
        """URL of a file.

        Raises:
            StorageError: the path is absolute or leads out of the root.
        """
        return f"{self.root}/{self._key(path)}"

    def local(self, path: str) -> Path:
        """Refuse to name a path.

        Raises:
            StorageError: always; an object has no path on this machine.
        """
        raise StorageError("an object has no path on this machine", where=self.place(path), remedy="Use `fetch`")

    def fetch(self, path: str) -> Path:
        """A copy of an object on this machine, which is deleted when the process ends. Errors as `open`."""
        copy = copies_folder() / sha256(repr((self.root, path, self.stamp(path))).encode()).hexdigest()
        if not copy.exists():
            descriptor, passing = tempfile.mkstemp(dir=copy.parent)  # other threads may copy it too
            with self.open(path) as stream, os.fdopen(descriptor, "wb") as file:
                shutil.copyfileobj(stream, file, 2**20)
            Path(passing).replace(copy)
        return copy

    def _library(self) -> Any:
        """The library of object stores; without it, the error names the extra."""
        _ = self._store
        import obstore

        return obstore

    def exists(self, path: str) -> bool:
        """True if there is such an object."""
        try:
            self._head(path)
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return False
            raise
        return True

    def is_taken(self, path: str) -> bool:
        """As `exists`."""
        return self.exists(path)

    def size(self, path: str) -> int:
        """Length of an object in bytes."""
        return int(self._head(path)["size"])

    def stamp(self, path: str) -> tuple[object, ...]:
        """Length and ETag of an object."""
        found = self._head(path)
        return found["size"], found["e_tag"]

    @contextlib.contextmanager
    def open(self, path: str, most_bytes: int | None = None) -> Iterator[IO[bytes]]:
        """Open an object as a stream that seeks and reads ahead. If the object is replaced meanwhile, reading fails.

        Raises:
            StorageError: it cannot be read, or has more than `most_bytes`.
        """
        found = self._head(path, "cannot be read")
        self._refuse_long(path, found["size"], most_bytes)
        key, store = self._key(path), self._store

        def read(offset: int, length: int) -> bytes:
            with object_errors("cannot be read", self._named(path)):
                return _range(store, key, offset, length, found["e_tag"])

        with RangedStream(read, found["size"]) as stream:
            yield cast(IO[bytes], stream)

    def read_bytes(self, path: str, most_bytes: int = MOST_BYTES) -> bytes:
        """All bytes of an object, with one request. Errors as `open`."""
        obstore = self._library()

        def get() -> bytes:
            found = obstore.get(self._store, self._key(path))
            self._refuse_long(path, found.meta["size"], most_bytes)
            return _exactly(bytes(found.bytes()), found.meta["size"])

        with object_errors("cannot be read", self._named(path)):
            return repeated(get)

    def read_range(self, path: str, offset: int, length: int, e_tag: str | None = None) -> bytes:
        """Exactly `length` bytes of an object from `offset`, with one request.

        Args:
            path: of the object.
            offset: of the first byte.
            length: number of bytes.
            e_tag: of the version to read; None reads any.

        Raises:
            StorageError: the object cannot be read, is too short, or is another version.
        """
        if length > 0 and offset >= 0:
            with object_errors("cannot be read", self._named(path)):
                try:
                    return _range(self._store, self._key(path), offset, length, e_tag)
                except Exception as error:
                    if is_passing(error) or offset + length <= self.size(path):
                        raise
        elif 0 <= offset <= self.size(path) and not length:
            return b""
        raise StorageError(f"damaged: the file ends before byte {offset + length}", where=path, remedy=REPAIR)

    def range_of(self, stream: IO[bytes], path: str, offset: int, length: int) -> bytes:
        """As `read_range`, of a file that `open` opened."""
        if not 0 <= offset <= offset + length <= stream.seek(0, io.SEEK_END):
            raise StorageError(f"damaged: the file ends before byte {offset + length}", where=path, remedy=REPAIR)
        stream.seek(offset)
        return stream.read(length)

    def list(self, prefix: str = "") -> _Paths:
        """Sorted paths of all objects in a folder and below it.

        Raises:
            StorageError: they cannot be listed.
        """
        return [*self.sizes(prefix)]

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Sizes in bytes of all objects in a folder and below it, by path, sorted. Listed page by page."""
        obstore = self._library()

        folder = self._key(prefix) if prefix.strip("/") else None
        with object_errors("cannot be listed", self._named(prefix)):
            found = repeated(lambda: obstore.list(self._repeating, prefix=folder).collect(), in_library=True)
            return dict(sorted((one["path"], one["size"]) for one in found))

    def entries(self, *, in_folders: bool = False, behind: str = "") -> Iterator[ObjectEntry]:
        """Yield all objects in the order of the store, page by page. Errors as `list`.

        Args:
            in_folders: whether most objects lie in folders, which divide a long list into ranges.
            behind: a path; those behind it are listed.
        """
        divided = in_folders and self.root.startswith(_BEGIN_ANYWHERE)
        with object_errors("cannot be listed", self.root):
            yield from list_objects(self._store, self._folders if divided else None, behind)

    def _folders(self) -> _Paths:
        obstore = self._library()

        return [*repeated(lambda: obstore.list_with_delimiter(self._store))["common_prefixes"]]

    def names(self) -> _Paths:
        """Sorted names of everything that lies directly in the root, objects and folders."""
        obstore = self._library()

        with object_errors("cannot be listed", self.root):
            found = repeated(lambda: obstore.list_with_delimiter(self._store))
            paths = [*found["common_prefixes"], *(one["path"] for one in found["objects"])]
            return sorted({path.split("/")[0] for path in paths} - {""})

    def remove(self, path: str) -> None:
        """Delete an object; no error if it does not exist."""
        self._library()
        with object_errors("cannot be removed", self._named(path)), contextlib.suppress(FileNotFoundError):
            delete(self.root, self._key(path))

    def remove_folder(self, folder: str) -> None:
        """Do nothing: an object store has no folders."""

    def _holds(self, path: str, data: bytes) -> bool:
        try:
            return self.read_bytes(path, len(data)) == data
        except StorageError:
            return False  # writing it replaces it, or explains the error

    @contextlib.contextmanager
    def write(self, path: str, *, durable: bool = True, new: bool = False) -> Iterator[BinaryIO]:
        """Open a file for writing. It is uploaded if the block succeeds; nothing is sent otherwise.

        An existing object is replaced atomically. A `new` object replaces none: of several writers at once, one
        succeeds. Every object is durable.

        Raises:
            StorageError: the upload fails or is shorter than what was written, the temporary file cannot be written, or
                a `new` object exists already. Other errors pass through.
        """
        key = self._key(path)
        refuse_lost(self.root)
        with tempfile.SpooledTemporaryFile(_SPOOL) as stream:
            try:
                yield cast(BinaryIO, stream)
                length = stream.seek(0, io.SEEK_END)
                stream.seek(0)
            except OSError as error:  # of the temporary file
                where = f"{path}, in the temporary folder {tempfile.gettempdir()}"
                raise_object_error(error, "cannot be written", where)
            self._upload(key, path, cast(BinaryIO, stream), length, new)

    def _upload(self, key: str, path: str, stream: BinaryIO, length: int, new: bool) -> None:
        self._library()
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with object_errors("cannot be written", self._named(path)):
            try:
                done = create(self.root, key, stream.read()) if new else upload(self.root, key, stream, length)
            except (AlreadyExistsError, PreconditionError):
                remedy = "See what it holds, and choose another"
                raise StorageError("this file exists already", where=self.place(path), remedy=remedy) from None
        found = self._head(path)
        if found["size"] != length:
            if found["e_tag"] == done["e_tag"]:  # it is ours, and no half file stays under a final name
                with contextlib.suppress(StorageError):
                    self.remove(path)
            what = f"the upload was cut: the store holds {found['size']:,} bytes of {length:,}"
            remedy = "Run the same command again; if it happens again, check the network and the store"
            raise StorageError(what, where=path, remedy=remedy) from OSError(errno.EIO, what)

    @contextlib.contextmanager
    def write_errors(self, path: str) -> Iterator[None]:
        """Raise an OSError of writing to a file that `write` opened, outside of its block, as `write` does inside."""
        with object_errors("cannot be written", self._named(path)):
            yield

    def partials(self, folders: tuple[str, ...] = FOLDERS) -> _Paths:
        """Small objects that a killed process left while it locked the root."""
        return [name for name in self.names() if is_partial(name)]

    def sync_folders(self, *folders: str) -> None:
        """Do nothing: every object is durable."""

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Lock the root for this process, without waiting, by a lease that is an object; see `hold_lease`.

        Raises:
            StorageError: another process holds it, or the root cannot be written.
        """
        with hold_lease(self.root, LOCK):
            yield

    def _named(self, path: str) -> str:
        """URL of a file or folder, for messages."""
        return f"{self.root}/{path}".rstrip("/")

    def _key(self, path: str) -> str:
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or "\0" in path or not pure.parts:
            what = "a path must be relative and stay inside the output folder"
            raise StorageError(what, where=self.root, value=ascii(path), remedy=REPAIR)
        return str(pure)

    def _head(self, path: str, what: str = "cannot be accessed") -> Any:
        obstore = self._library()

        with object_errors(what, self._named(path)):
            return repeated(lambda: obstore.head(self._store, self._key(path)))

    def _refuse_long(self, path: str, length: int, most_bytes: int | None) -> None:
        try:
            check_length(length, most_bytes)
        except ValueError as error:
            remedy = "Move it away; if the build needs it, the same `faceloom build` makes it anew"
            raise StorageError(f"cannot be read: {error}", where=path, remedy=remedy) from None


URL_KINDS.append(ObjectStorage)


def _range(store: ObjectStore, key: str, offset: int, length: int, e_tag: str | None = None) -> bytes:
    """A byte range of an object; of the version with this ETag, if one is given."""
    import obstore

    options: Any = {"range": (offset, offset + length)}
    if e_tag:
        options["if_match"] = e_tag
    return _exactly(repeated(lambda: bytes(obstore.get(store, key, options=options).bytes())), length)


def _exactly(data: bytes, length: int) -> bytes:
    if len(data) != length:
        raise OSError(errno.EIO, f"the answer was cut: {len(data):,} bytes of {length:,}")
    return data
