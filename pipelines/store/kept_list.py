"""Keep what a long list of objects has found so far, so that a run that is killed need not list it again.

A list is kept in pieces below `work/`, in order. It is used only until the scan that began it is finished, and not for
long: objects that come or go meanwhile are seen as if they had during the scan.
"""

from __future__ import annotations

import contextlib
import io
import math
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from faceloom.pipelines.store.object_list import ObjectEntry, end_of
from faceloom.pipelines.store.paths import LISTINGS, WORK, listing_piece
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.table_reader import checked, parse_stored_metadata, parse_table, read_stored_metadata
from faceloom.schemas.errors import StorageError
from faceloom.schemas.keys import digest

if TYPE_CHECKING:
    import pyarrow as pa

PIECE = 50_000
"""Objects of a piece. A shorter list is not kept."""
MOST_SECONDS = 2 * 3600.0
"""For how long a list is used after it began."""
_BEGAN = b"began"
_START = b"start"
_WHOLE = b"whole"


class KeptLists:
    """The lists of one scan.

    Attributes:
        storage: the output folder of the build.
    """

    def __init__(self, storage: Storage, note: Callable[[str], object]) -> None:
        """Args:
        storage: the output folder of the build, locked.
        note: called with a line for the user if what an earlier run listed is used.
        """
        self.storage, self._note = storage, note
        self._began: dict[str, float] = {}
        self._kept = False

    def entries(self, root: str, behind: Callable[[str], Iterator[ObjectEntry]]) -> Iterator[ObjectEntry]:
        """Yield all objects of a folder: those that are kept, then those behind them, which are kept too.

        Args:
            root: URL of the folder.
            behind: lists the objects behind a path; behind an empty one, all.

        Raises:
            StorageError: of `behind`, or a piece cannot be written.
        """
        name, last, number, whole = digest(root)[:16], "", 0, False
        if name not in self._began:
            self._began[name] = self._begin(listing_piece(name, 0), root)
        began = self._began[name]
        while not whole and (piece := self._read(listing_piece(name, number), began, last)):
            found, whole = piece
            yield from found
            last, number = end_of(found, last), number + 1
        if whole:
            return
        start, found = last, []
        for entry in behind(last):
            found.append(entry)
            if len(found) == PIECE:
                self._write(listing_piece(name, number), found, _facts(began, start))
                start, number, found = end_of(found, start), number + 1, []
            yield entry
        if number:
            self._write(listing_piece(name, number), found, {**_facts(began, start), _WHOLE: b"1"})

    def forget(self) -> None:
        """Delete all lists, if there are any."""
        if self._kept:
            forget_lists(self.storage)
            self.storage.remove_folder(WORK)

    def _begin(self, first: str, root: str) -> float:
        """When the list of a folder began: now, or when an earlier run began it, if that is not too long ago."""
        now, began = time.time(), -math.inf
        with contextlib.suppress(StorageError, ValueError):
            if self.storage.exists(first):
                self._kept = True
                began = float(read_stored_metadata(self.storage, first).get(_BEGAN, b""))
        if not 0 <= now - began <= MOST_SECONDS:  # a clock may have been set back
            return now
        what = f"goes on with the list of {root} that an earlier run began {(now - began) / 60:.0f} minutes ago"
        self._note(f"{what}; `faceloom build --no-resume` lists all again")
        return began

    def _read(self, path: str, began: float, start: str) -> tuple[list[ObjectEntry], bool] | None:
        """The objects of a piece, and whether it is the last one; None if it is missing, damaged or of another list."""
        try:
            if not self.storage.exists(path):
                return None
            content = self.storage.read_bytes(path)
            facts = parse_stored_metadata(content, path)
            if not _facts(began, start).items() <= facts.items():
                return None
            columns = parse_table(content, path, _schema(), _schema().names).to_pydict()
            found = checked(ObjectEntry, [*zip(*columns.values(), strict=True)], path)
        except StorageError:
            return None  # this run lists what it held
        whole = _WHOLE in facts
        return (found, whole) if found or whole else None

    def _write(self, path: str, found: list[ObjectEntry], facts: dict[bytes, bytes]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = [[getattr(entry, name) for entry in found] for name in ObjectEntry._fields]
        table = pa.table(columns, schema=_schema().with_metadata(facts))
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd", use_dictionary=False, write_page_checksum=True)
        with self.storage.write(path, durable=False) as stream:
            stream.write(buffer.getbuffer())
        self._kept = True


def forget_lists(storage: Storage) -> None:
    """Delete what earlier runs listed."""
    for path in storage.list(WORK):
        if path.startswith(LISTINGS):
            storage.remove(path)


def _facts(began: float, start: str) -> dict[bytes, bytes]:
    """What is stored with a piece: when its list began, and the path behind which it starts."""
    return {_BEGAN: repr(began).encode(), _START: start.encode()}


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([("path", pa.string()), ("size", pa.int64()), ("e_tag", pa.string())])
