"""Photos that a worker on another machine could not read, although they are there: the machine is to blame."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable

from faceloom.pipelines.analyse.photo_task import RETRY_CODES
from faceloom.pipelines.context import Context
from faceloom.pipelines.sources.source import Source, labels_of
from faceloom.pipelines.store.parquet_tables import read_face_columns
from faceloom.schemas.errors import PhotoError, SourceError
from faceloom.schemas.faces import UNREADABLE


def refuse_unseen(context: Context, files: Iterable[str]) -> None:
    """Read the photos and labels that workers could not read, according to their rows, on this machine.

    A worker without the folder of the photos rejects them all, and the build would go on with what is left. The
    next run analyses these photos again.

    Args:
        context: of the build.
        files: files of the face table that this run wrote.

    Raises:
        SourceError: one of them can be read here.
    """
    for path in files:
        for photo_id, code, labels in read_face_columns(context.storage, path, ("photo_id", "code", "labels")):
            if code in RETRY_CODES:
                _refuse_if_here(context, photo_id, "this photo", lambda source, uri: source.read(uri))
            elif labels.startswith(UNREADABLE):
                _refuse_if_here(context, photo_id, "the files beside this photo", labels_of)


def _refuse_if_here(context: Context, photo_id: str, what: str, read: Callable[[Source, str], object]) -> None:
    name, _, uri = photo_id.partition("/")
    with contextlib.suppress(PhotoError):
        read(context.source(name), uri)
        remedy = "Mount the source at the same path on every machine, and run the same command again"
        raise SourceError(f"a worker could not read {what}, which can be read here", where=photo_id, remedy=remedy)
