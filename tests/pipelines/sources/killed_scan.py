"""A scan of photos in a store that is killed when it has listed half of them."""

from __future__ import annotations

import os
import signal
from typing import Any
from unittest import mock

from faceloom.pipelines.sources.folder_of_people import FolderOfPeople
from faceloom.pipelines.sources.listing import kept_lists
from faceloom.pipelines.store import kept_list, object_list
from faceloom.pipelines.store.kept_list import KeptLists
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.source_spec import SourceSpec


def listed(root: str, out: str, notes: list[str] | None = None) -> list[str]:
    """The photos of people in a store, listed as by a build, in pieces of 4 objects."""
    pages: Any = {"_PAGE": 2, "_ALONE": 2, "_LENGTH": 1}
    small = mock.patch.object(kept_list, "PIECE", 4)
    note = (notes if notes is not None else list[str]()).append
    with small, mock.patch.multiple(object_list, **pages), kept_lists(Storage(out), note):
        return [row.uri for row in FolderOfPeople(SourceSpec(path=root, kind="people")).scan()]


def listed_until_killed(root: str, out: str, pieces: int) -> None:
    """End when so many pieces of the list are written, as by a fault of the machine."""
    real, written = KeptLists._write, list[str]()

    def write(self: KeptLists, path: str, *rest: Any) -> None:
        real(self, path, *rest)
        written.append(path)
        if len(written) == pieces:
            os.kill(os.getpid(), signal.SIGKILL)

    with mock.patch.object(KeptLists, "_write", write):
        listed(root, out)
