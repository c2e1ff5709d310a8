"""List a folder of a bucket in order and page by page; a long list in several ranges at once.

Consoles and some tools write empty objects for folders, such as `a/`, which the library lists as `a`, behind `a-b/c`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice, pairwise
from typing import TYPE_CHECKING, NamedTuple

from faceloom.pipelines.store.repeats import Tries
from faceloom.schemas.column_types import Offset

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_PAGE = 1000
"""Objects that are listed by one request; stores send no more."""
_ALONE = 20
"""Pages of one range before others are listed at the same time."""
_AT_ONCE = 8
"""Ranges that are listed at the same time."""
_LENGTH = 10
"""Pages of a range, if folders are like the first ones."""
_HELD = 2 * _LENGTH
"""Pages of a range that wait in memory for their turn; those behind them are listed when it has come."""


class ObjectEntry(NamedTuple):
    """A listed object: path below the root, size in bytes, and a text that changes with the content."""

    path: str
    size: Offset
    e_tag: str


def list_objects(
    store: ObjectStore, folders: Callable[[], Sequence[str]] | None = None, behind: str = ""
) -> Iterator[ObjectEntry]:
    """Yield all objects in the order of the store; the empty object of a folder may come twice.

    Errors are those of the library. If an answer breaks off, the list goes on behind the last object of the page before
    it, for as long as `repeated` repeats a request.

    Args:
        store: a folder of a bucket.
        folders: called if the list is long, for the names of the folders directly below. The list is then divided at
            them, and ranges are listed at the same time. The store must be able to begin a list behind any name.
        behind: a path; those behind it are listed.
    """
    last = behind
    for number, page in enumerate(_pages(store, behind or None), 1):
        yield from page
        last = end_of(page, last)
        if folders is not None and number == _ALONE:
            break
    else:
        return
    assert folders is not None
    names = sorted(folders())
    seen = bisect_right(names, last)
    few = (seen - bisect_right(names, behind)) * _LENGTH // _ALONE
    bounds = [last, *names[seen :: max(1, few)], None]
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        waiting: deque[tuple[str | None, Future[list[list[ObjectEntry]]]]] = deque()
        for start, stop in pairwise(bounds):
            waiting.append((stop, pool.submit(_first_pages, store, start, stop)))
            if len(waiting) > _AT_ONCE:
                yield from _whole(store, *waiting.popleft())
        while waiting:
            yield from _whole(store, *waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _first_pages(store: ObjectStore, start: str | None, stop: str | None) -> list[list[ObjectEntry]]:
    return [*islice(_range(store, start, stop), _HELD)]


def _whole(store: ObjectStore, stop: str | None, first: Future[list[list[ObjectEntry]]]) -> Iterator[ObjectEntry]:
    """All objects of a range: those of its first pages, and those behind them."""
    pages = first.result()
    for page in pages:
        yield from page
    if len(pages) == _HELD:
        for page in _range(store, end_of(chain(*pages), ""), stop):
            yield from page


def _range(store: ObjectStore, start: str | None, stop: str | None) -> Iterator[list[ObjectEntry]]:
    """Pages of the objects behind `start`, up to `stop`."""
    for page in _pages(store, start):
        if stop is not None and end_of(page, "") > stop:
            if rest := [one for one in page if one.path <= stop]:
                yield rest
            return
        yield page


def _pages(store: ObjectStore, last: str | None) -> Iterator[list[ObjectEntry]]:
    """Pages of the objects behind `last`."""
    import obstore

    tries = Tries()
    while True:
        try:
            for listed in obstore.list(store, offset=last, chunk_size=_PAGE):
                page = [ObjectEntry(one["path"], one["size"], (one["e_tag"] or "").strip('"')) for one in listed]
                yield page
                before, last = last, end_of(page, last or "")
                if last != before:
                    tries = Tries()
            return
        except Exception as error:
            tries.wait(error)


def end_of(page: Iterable[ObjectEntry], before: str) -> str:
    """Where the list goes on behind a page: behind its last path, and not behind that of a folder listed late."""
    return max([before, *(one.path for one in page)])
