"""The mark of a gallery, by which a page is recognised before it is replaced or deleted."""

from __future__ import annotations

from pathlib import Path

from faceloom.pipelines.store.paths import GALLERY
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.regular_files import UnfitFileError, open_regular_file
from faceloom.schemas.urls import url_of

MARK = '<meta name="generator" content="faceloom gallery">'
"""Stands in the first bytes of each page."""
_HEAD = 512


def is_gallery(page: Path) -> bool:
    """Whether a file has the mark of a gallery. One that cannot be read has not."""
    try:
        with open_regular_file(page, follow_links=False) as stream:
            return MARK.encode() in stream.read(_HEAD)
    except (OSError, UnfitFileError):
        return False


def is_gallery_in(storage: Storage, path: str) -> bool:
    """As `is_gallery`, of a file of a folder or of an object store."""
    try:
        with storage.open(path) as stream:
            return MARK.encode() in stream.read(_HEAD)
    except StorageError:
        return False


def forget_gallery(storage: Storage) -> None:
    """Delete the gallery of an output folder, which may show samples that the folder no longer holds.

    A file of another origin with its name stays.

    Raises:
        StorageError: the page cannot be deleted.
    """
    if not url_of(storage.root) and is_gallery(storage.local(GALLERY)):  # none is written into a store by itself
        storage.remove(GALLERY)
