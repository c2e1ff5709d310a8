"""Record photos that changed or vanished between analysis and render; the next run analyses them again."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping

from faceloom.pipelines.store.parquet_tables import read_faces, write_faces
from faceloom.pipelines.store.paths import FACES, WORK, failure_note, is_failure_note
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.column_types import adapter
from faceloom.schemas.errors import SourceError, StorageError
from faceloom.schemas.json_text import parse_json

_MOST_NOTE_BYTES = 2**24


def note_failure(storage: Storage, work: str, photos: Mapping[str, str]) -> None:
    """Record the photos, by id with reasons, that stopped a part or a block of textures."""
    with storage.write(failure_note(work)) as stream:
        stream.write(json.dumps(photos, sort_keys=True).encode())


def failed_photos(storage: Storage) -> dict[str, str]:
    """Ids and reasons of the photos that stopped a part or a block of textures. A damaged note counts as none."""
    failed: dict[str, str] = {}
    for path in filter(is_failure_note, storage.list(WORK)):
        with contextlib.suppress(StorageError, ValueError):  # the photo fails again if it still differs
            failed |= adapter(dict[str, str]).validate_python(
                parse_json(storage.read_bytes(path, _MOST_NOTE_BYTES), _MOST_NOTE_BYTES)
            )
    return failed


def refuse_failed(storage: Storage, what: str) -> None:
    """End a run in which photos failed.

    Args:
        what: the effect on the run, for the message.

    Raises:
        SourceError: photos failed.
    """
    if failed := failed_photos(storage):
        raise failed_error(failed, what)


def failed_error(failed: Mapping[str, str], what: str) -> SourceError:
    """Return the error of a run in which photos failed, by id with reasons."""
    shown = "; ".join(f"{photo}: {why}" for photo, why in list(failed.items())[:3])
    remedy = "Run the same command again: it analyses what changed again and keeps everything else"
    which = "1 photo" if len(failed) == 1 else f"{len(failed)} photos"
    return SourceError(f"{which} changed or vanished after the analysis; {what}. {shown}", remedy=remedy)


def forget_failed(storage: Storage) -> None:
    """Remove failed photos from the face table, so that they are analysed again although they look unchanged.

    Otherwise a photo whose bytes changed, but not its size and time, would fail every run.
    """
    failed = failed_photos(storage)
    for path in storage.list(FACES) if failed else ():
        rows = read_faces(storage, path)
        if any(row.photo_id in failed for row in rows):
            write_faces(storage, path, [row for row in rows if row.photo_id not in failed])
    for path in storage.list(WORK):
        if is_failure_note(path):
            storage.remove(path)
