"""Write objects into a root whose lease this process may hold, and repeat what fails while the store is away.

Each try is refused if this process has lost the lease: a store may be away for longer than a lease lasts, and another
process may have taken it over meanwhile. Parts of a long upload are repeated by the library, without this check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

from faceloom.pipelines.store.lease import refuse_lost
from faceloom.pipelines.store.object_client import open_store
from faceloom.pipelines.store.repeats import Tries, is_passing, repeated

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_LONG = 2**25
"""Bytes from which an upload is sent in parts."""


def upload(root: str, key: str, stream: BinaryIO, length: int) -> Any:
    """Write an object, or replace it atomically.

    Args:
        root: URL of the folder.
        key: path of the object in it.
        stream: the bytes; it is read from its beginning.
        length: number of bytes.

    Returns:
        The library's answer, with the ETag.

    Raises:
        StorageError: this process has lost the lease. Other errors are those of the library.
    """
    import obstore

    def put() -> Any:
        refuse_lost(root)
        stream.seek(0)
        if length < _LONG:
            return obstore.put(open_store(root), key, stream.read(), mode="overwrite", use_multipart=False)
        return obstore.put(open_store(root, repeats=True), key, stream, use_multipart=True)

    return repeated(put, in_library=length >= _LONG)


def create(root: str, key: str, data: bytes) -> Any:
    """Write an object that does not exist. Arguments, result and errors as `upload`, and:

    If a try without an answer was done all the same, the next one finds our own object, which is the result.

    Raises:
        AlreadyExistsError, PreconditionError: there is another object; stores differ in which of them.
    """
    import obstore
    from obstore.exceptions import AlreadyExistsError, PreconditionError

    store, tries = open_store(root), Tries()
    while True:
        try:
            refuse_lost(root)
            return obstore.put(store, key, data, mode="create", use_multipart=False)
        except Exception as error:
            if isinstance(error, AlreadyExistsError | PreconditionError) and not is_passing(error):
                if tries.failed and (found := _of_content(store, key, data)):
                    return found
                raise
            tries.wait(error)


def delete(root: str, key: str) -> None:
    """Delete an object. Arguments and errors as `upload`; FileNotFoundError if the store finds none."""
    import obstore

    def remove() -> None:
        refuse_lost(root)
        obstore.delete(open_store(root), key)

    repeated(remove)


def _of_content(store: ObjectStore, key: str, data: bytes) -> Any:
    """Size, times and versions of an object, if it holds these bytes."""
    import obstore

    def get() -> Any:
        found = obstore.get(store, key)
        return found.meta if found.meta["size"] == len(data) and bytes(found.bytes()) == data else None

    return repeated(get)
