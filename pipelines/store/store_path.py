"""Places of files: paths of this machine and paths in object stores, which code that reads sources treats alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from faceloom.pipelines.store.object_storage import ObjectStorage


@dataclass(frozen=True, slots=True)
class StorePath:
    """A file or folder of an object store, with the few methods of `pathlib.Path` that sources use.

    Attributes:
        storage: the folder that the source names.
        path: below it; empty for the folder itself.
    """

    storage: ObjectStorage
    path: str = ""

    def __truediv__(self, name: str) -> StorePath:
        return StorePath(self.storage, f"{self.path}/{name}".strip("/"))

    def __str__(self) -> str:
        return f"{self.storage.root}/{self.path}".rstrip("/")

    @property
    def name(self) -> str:
        """The last part."""
        return str(self).rpartition("/")[2]

    def with_suffix(self, suffix: str) -> StorePath:
        """The file beside it with another ending, such as `.idx`."""
        return StorePath(self.storage, str(PurePosixPath(self.path).with_suffix(suffix)))

    def exists(self) -> bool:
        """Whether there is such an object. Raises StorageError if the store cannot be asked."""
        return bool(self.path) and self.storage.exists(self.path)

    def folder(self) -> ObjectStorage:
        """The storage of a folder."""
        return ObjectStorage(str(self)) if self.path else self.storage


Place: TypeAlias = Path | StorePath
"""Where a file or folder of a source lies."""


def file_in_store(url: str) -> StorePath:
    """An object by its URL.

    Raises:
        StorageError: the URL names no object of a bucket of a known kind.
    """
    folder, _, name = url.rstrip("/").rpartition("/")
    return StorePath(ObjectStorage(folder), name)
