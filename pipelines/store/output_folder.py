"""Check, mark and lock the output folder of a build."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from faceloom.pipelines.store.paths import LOCK, MARKER
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import RecipeError, StorageError
from faceloom.schemas.recipe import Recipe

_MARK = {"what": "an output folder of faceloom", "format": 1}


def check_output(recipe: Recipe, out: str) -> None:
    """Refuse an output folder inside a source, or one with files of another program. Writes nothing.

    Raises:
        RecipeError: the folder lies inside a source; the next run would read results as photos.
        StorageError: it is a file, or holds files but no marker of faceloom.
    """
    Storage(out).check_folder()
    for number, spec in enumerate(recipe.sources):
        source = Path(spec.path).expanduser().resolve()
        # Path.is_dir raises on a name that is too long.
        if os.path.isdir(source) and Path(out).resolve().is_relative_to(source):  # noqa: PTH112
            remedy = "Choose a folder outside the source"
            where = f"$.sources[{number}].path"
            raise RecipeError("the output folder lies inside this source", where=where, value=out, remedy=remedy)
    _refuse_if_foreign(Storage(out))


@contextlib.contextmanager
def locked_output(storage: Storage) -> Iterator[None]:
    """Lock an output folder for one build or plan. Writes the marker if it is missing; deletes partial files.

    Raises:
        StorageError: another process holds the lock, the folder cannot be written, or it holds foreign files.
    """
    with storage.exclusive():
        _refuse_if_foreign(storage)
        if not storage.exists(MARKER):
            with storage.write(MARKER) as stream:
                stream.write((json.dumps(_MARK) + "\n").encode())
        storage.sweep_partials()
        storage.check_writable()
        yield


def _refuse_if_foreign(storage: Storage) -> None:
    root = Path(storage.root)
    if storage.exists(MARKER) or not root.is_dir():
        return
    foreign = sorted(path.name for path in root.iterdir() if path.name != LOCK and ".partial-" not in path.name)
    if foreign:
        remedy = "Choose a new or empty folder"
        shown = ", ".join(foreign[:3])
        raise StorageError("the output folder holds files that faceloom did not write", where=storage.root, value=shown,
                           remedy=remedy)  # fmt: skip
