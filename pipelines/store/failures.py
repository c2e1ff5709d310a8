"""Photos that changed or vanished between analysis and render: noted, and looked at anew by the next run."""

from __future__ import annotations

import json
from collections.abc import Mapping

from faceloom.pipelines.store.parquet_tables import read_faces, write_faces
from faceloom.pipelines.store.paths import FACES, WORK, failure_note, is_failure_note
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import SourceError


def note_failure(storage: Storage, work: str, photos: Mapping[str, str]) -> None:
    """Note which photos kept a part, or a block of textures, from being made: ids and reasons."""
    with storage.write(failure_note(work)) as stream:
        stream.write(json.dumps(photos, sort_keys=True).encode())


def failed_photos(storage: Storage) -> dict[str, str]:
    """Ids and reasons of the photos that kept parts from being rendered."""
    paths = [path for path in storage.list(WORK) if is_failure_note(path)]
    return {photo: why for path in paths for photo, why in json.loads(storage.read_bytes(path)).items()}


def refuse_failed(storage: Storage, what: str) -> None:
    """End a run in which photos failed.

    Args:
        what: became of the work.

    Raises:
        SourceError: there are such photos.
    """
    if failed := failed_photos(storage):
        raise failed_error(failed, what)


def failed_error(failed: Mapping[str, str], what: str) -> SourceError:
    """The error of a run in which photos failed, by id with reasons."""
    shown = "; ".join(f"{photo}: {why}" for photo, why in list(failed.items())[:3])
    remedy = "Everything else is kept. Run the same command again: it looks at those photos anew"
    return SourceError(
        f"{len(failed)} photos changed or vanished after they were analysed; {what}. {shown}", remedy=remedy
    )


def forget_failed(storage: Storage) -> None:
    """Take failed photos out of the face table, so that they are analysed again although they look unchanged.

    Without this a photo whose bytes changed under the same size and time would fail every run.
    """
    failed = failed_photos(storage)
    for path in storage.list(FACES) if failed else ():
        rows = read_faces(storage, path)
        if any(row.photo_id in failed for row in rows):
            write_faces(storage, path, [row for row in rows if row.photo_id not in failed])
    for path in storage.list(WORK):
        if is_failure_note(path):
            storage.remove(path)
