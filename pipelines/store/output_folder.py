"""Check, mark and lock the output folder of a build."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from faceloom.pipelines.store.paths import (
    BUILD_RECORD,
    DATA_CARD,
    FOLDERS,
    GALLERY,
    LAST_RUN,
    LOCK,
    MARKER,
    REJECTS,
    RELEASES_MARK,
)
from faceloom.pipelines.store.repeats import without_patience
from faceloom.pipelines.store.storage import Storage, is_partial
from faceloom.schemas.errors import RecipeError, StorageError
from faceloom.schemas.json_text import parse_json
from faceloom.schemas.recipe import Recipe
from faceloom.schemas.source_spec import is_pattern
from faceloom.schemas.urls import url_of

_MARK = {"what": "an output folder of faceloom", "format": 1}
_MOST_MARK_BYTES = 4096


def check_output(recipe: Recipe, out: str) -> None:
    """Refuse an output folder inside a source, or one with files of another program. Writes nothing.

    Raises:
        RecipeError: the folder lies inside a source; the next run would read results as photos.
        StorageError: it is a file, holds files but no marker of faceloom, or has a link in place of one of its files or
            folders.
    """
    Storage(out).check_folder()
    for number, spec in enumerate(recipe.sources):
        # Path.is_dir raises on a name that is too long.
        place = url_of(spec.path) or str(Path(spec.path).expanduser().resolve())
        is_folder = not is_pattern(place) if url_of(place) else os.path.isdir(place)  # noqa: PTH112
        if is_folder and Storage(place).holds(out):
            remedy = "Choose a folder outside the source"
            where = f"$.sources[{number}].path"
            raise RecipeError("the output folder lies inside this source", where=where, value=out, remedy=remedy)
    _refuse_if_foreign(Storage(out))


@contextlib.contextmanager
def locked_output(storage: Storage, *, keep: bool = False) -> Iterator[None]:
    """Lock an output folder for one build or plan. Writes the marker if it is missing; deletes partial files.

    A run that ends with nothing but the marker and the lock, such as one without photos, leaves neither them nor the
    folders that it created: they would claim the folder for faceloom.

    Args:
        storage: the output folder.
        keep: leave the marker, because worker processes will write to the folder later.

    Raises:
        StorageError: another process holds the lock, the folder cannot be written, or it holds foreign files.
    """
    _refuse_if_foreign(storage)  # before the lock file is written
    created = storage.missing_folders()
    try:
        with storage.exclusive():
            try:
                _refuse_if_foreign(storage)
                if not storage.exists(MARKER):
                    with storage.write(MARKER) as stream:
                        stream.write((json.dumps(_MARK) + "\n").encode())
                storage.sweep_partials()
                storage.check_writable()
                yield
            finally:
                if not keep:
                    with without_patience():  # the store may be why the block failed
                        _unclaim_if_empty(storage)
    finally:
        with contextlib.suppress(OSError):  # the first one that is not empty ends it
            for place in created:
                os.rmdir(place)  # noqa: PTH106


def is_marked(storage: Storage) -> bool:
    """Whether the folder has the marker of faceloom.

    Raises:
        StorageError: its marker is damaged, is of another program, or is of a later version.
    """
    if not storage.exists(MARKER):
        if storage.is_taken(MARKER):
            raise _foreign_marker(storage, "it is no file")
        return False
    try:
        mark = parse_json(storage.read_bytes(MARKER, _MOST_MARK_BYTES), _MOST_MARK_BYTES)
    except ValueError as error:
        raise _foreign_marker(storage, error) from None
    if isinstance(mark, dict) and mark.get("what") == RELEASES_MARK:
        raise _releases_marker(storage)
    if not isinstance(mark, dict) or mark.get("what") != _MARK["what"]:
        raise _foreign_marker(storage, "it has another content")
    if mark.get("format") != _MARK["format"]:
        remedy = "Use the version of faceloom that wrote it, or a later one"
        raise StorageError(
            "the output folder has a format that this version does not know",
            where=storage.place(MARKER),
            value=ascii(mark.get("format"))[:40],
            remedy=remedy,
        )
    return True


def require_marker(storage: Storage) -> None:
    """Refuse a folder without the marker of faceloom.

    Raises:
        StorageError: it is missing or damaged, or there is no such bucket.
    """
    if not is_marked(storage):
        storage.check_folder()  # a bucket that does not exist has no marker either
        remedy = "It is no output folder of faceloom; give the folder that `faceloom build` wrote"
        raise StorageError("no finished build in this folder", where=storage.root, remedy=remedy)


def refuse_inside(target: str | Path, storage: Storage) -> None:
    """Refuse a target that lies in the output folder of a build, whose files `clean` deletes.

    Raises:
        StorageError: it does.
    """
    if storage.holds(target):
        remedy = "Choose a place outside it"
        raise StorageError("the target lies in the output folder of the build", where=str(target), remedy=remedy)


def _releases_marker(storage: Storage) -> StorageError:
    remedy = "Give the output folder of a build, or use `faceloom release` with --root"
    return StorageError("this is a folder of releases, and no build", where=storage.root, remedy=remedy)


def _foreign_marker(storage: Storage, why: object) -> StorageError:
    remedy = "If the folder is not of faceloom, choose another; otherwise get an undamaged copy of the file"
    what = f"this is not the marker of an output folder of faceloom: {why}"
    return StorageError(what, where=storage.place(MARKER), remedy=remedy)


def _refuse_if_foreign(storage: Storage) -> None:
    for path in (BUILD_RECORD, DATA_CARD, GALLERY, LAST_RUN, LOCK, *FOLDERS):
        storage.place(path)  # a link is found now, not after an hour of work
    storage.list(REJECTS)
    if is_marked(storage):
        return
    foreign = [name for name in storage.names() if name != LOCK and not is_partial(name)]
    if foreign:
        remedy = "Choose a new or empty folder"
        shown = ", ".join(foreign[:3])
        raise StorageError("the output folder holds files that faceloom did not write", where=storage.root, value=shown,
                           remedy=remedy)  # fmt: skip


def _unclaim_if_empty(storage: Storage) -> None:
    """Remove the marker and the lock, while it is held, if there is nothing else. A lock by URL removes itself."""
    with contextlib.suppress(StorageError):
        if {*storage.names()} <= {MARKER, LOCK}:
            storage.remove(MARKER)
            if not url_of(storage.root):
                storage.remove(LOCK)
