"""List the files below a folder of this machine or of an object store."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

from faceloom.pipelines.sources.other_formats import advice_on
from faceloom.pipelines.sources.walk import PICTURE_ENDINGS, Found, ending, is_unsafe, scan_reject, walk
from faceloom.pipelines.store.kept_list import KeptLists
from faceloom.pipelines.store.object_list import ObjectEntry
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.store_path import Place, StorePath
from faceloom.schemas.errors import SourceError, StorageError
from faceloom.schemas.photos import Reject

_KEPT: ContextVar[KeptLists | None] = ContextVar("kept_lists", default=None)
"""Where lists of objects are kept now."""


def list_files(
    root: Place,
    source: str,
    *,
    wanted: Callable[[str], bool] | None = None,
    endings: frozenset[str] = PICTURE_ENDINGS,
    other: str = "not_a_picture",
    in_folders: bool = False,
    sizes: bool = True,
) -> Iterator[Found | Reject]:
    """Yield every file below a folder, sorted by uri, as `Found` or as a reject of stage `scan`. See `walk`.

    Objects are listed page by page; a store has no links, and no folder that cannot be listed. Empty objects without a
    wanted ending stand for folders there, and are left out. With `in_folders`, which
    is right where most files lie in folders, long lists of objects are listed in several ranges at once.

    Raises:
        SourceError: the folder cannot be listed, or is a folder of a store without any object.
    """
    if not isinstance(root, StorePath):
        yield from walk(root, source, wanted=wanted, endings=endings, other=other, sizes=sizes)
        return
    before, hidden = "", set[str]()
    for entry in entries_of(root, in_folders=in_folders):
        if not entry.size and ending(entry.path) not in endings:  # of a folder; see `object_list`
            continue
        before = in_order(entry.path, before, root)
        *folders, _ = entry.path.split("/")
        if number := next((n for n, name in enumerate(folders, 1) if name.startswith(".")), 0):
            if (folder := "/".join(folders[:number])) not in hidden:
                hidden.add(folder)
                yield scan_reject(source, folder, "hidden_folder")
        elif wanted is None or wanted(entry.path):
            yield _row(entry, source, endings, other, sizes)
    if not before:
        remedy = "Check the URL, and run the same command again"
        raise SourceError("there are no objects in this folder", where=str(root), remedy=remedy)


@contextlib.contextmanager
def kept_lists(storage: Storage, note: Callable[[str], object]) -> Iterator[None]:
    """Keep in the output folder what the block lists of object stores, and use what a run that was killed kept there.

    The lists are deleted when the block ends, also if it is interrupted: a user may then change the photos. They stay
    if the process is killed or a store fails.

    Args:
        storage: the output folder, locked.
        note: called with a line for the user if an earlier list is used.
    """
    lists = KeptLists(storage, note)
    token = _KEPT.set(lists)
    try:
        yield
    except (SourceError, StorageError):
        raise
    except BaseException:
        with contextlib.suppress(StorageError):
            lists.forget()
        raise
    else:
        lists.forget()
    finally:
        _KEPT.reset(token)


def entries_of(folder: StorePath, *, in_folders: bool = False) -> Iterator[ObjectEntry]:
    """Yield all objects below a folder, in the order of the store.

    Raises:
        SourceError: they cannot be listed.
    """
    store, kept = folder.folder(), _KEPT.get()

    def behind(last: str) -> Iterator[ObjectEntry]:
        return store.entries(in_folders=in_folders, behind=last)

    try:
        yield from kept.entries(store.root, behind) if kept else behind("")
    except StorageError as error:
        raise SourceError(f"the folder of photos {error.what}", where=str(folder), remedy=error.remedy) from error


def in_order(path: str, before: str, root: StorePath) -> str:
    """The path of an object, which must not come before that of the object listed before it.

    Raises:
        SourceError: it does.
    """
    if path < before:
        remedy = "Directory buckets are one kind of these; copy the photos to another bucket"
        raise SourceError("this store does not list objects in order", where=str(root), remedy=remedy)
    return path


def _row(entry: ObjectEntry, source: str, endings: frozenset[str], other: str, sizes: bool) -> Found | Reject:
    uri, name = entry.path, entry.path.rpartition("/")[2]
    if name.startswith("._"):
        return scan_reject(source, uri, "resource_fork")
    if ending(name) not in endings:
        return scan_reject(source, uri, other, advice_on(name))
    if name.startswith("."):
        return scan_reject(source, uri, "hidden_file")
    if is_unsafe(uri):
        return scan_reject(source, uri, "bad_name")
    return Found(uri, entry.size, entry.e_tag) if entry.size or not sizes else scan_reject(source, uri, "empty")
