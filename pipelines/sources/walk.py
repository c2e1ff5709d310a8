"""List the files below a folder, in a fixed order, and say of each why it is left out, if it is."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from faceloom.schemas.errors import SourceError
from faceloom.schemas.photos import Reject

PICTURE_ENDINGS = frozenset(
    {"jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "tif", "tiff"}
    | {"gif", "pgm", "ppm", "pbm", "pnm", "jp2", "avif", "heic", "heif"}
)
"""File name endings, in lower case, that count as pictures."""

_UNSAFE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")

_MESSAGES = {
    "bad_name": "the name holds a control character or bytes that are not text; rename it",
    "dangling_link": "a link to nothing",
    "duplicate_uri": "a second member with this key and ending",
    "empty": "zero bytes long",
    "hidden_file": "hidden: the name starts with a dot",
    "hidden_folder": "hidden: the name starts with a dot; what lies in it is not listed",
    "not_a_file": "a pipe, socket or device; not opened",
    "not_a_picture": "no picture by its name",
    "not_a_record_file": "no .rec file by its name",
    "not_a_shard": "no tar file by its name",
    "resource_fork": "side file of macOS that holds no picture",
    "symlink_loop": "a link to a folder that is listed already, or to itself; not followed",
    "unreadable": "cannot be looked at",
    "unreadable_directory": "this folder cannot be listed; nothing in it was seen",
    "vanished": "gone between listing and looking",
}


class Found(NamedTuple):
    """A file worth reading: uri with forward slashes, size in bytes, time of the last change in nanoseconds."""

    uri: str
    size: int
    mtime_ns: int


def safe_text(name: str) -> str:
    r"""A name as printable text: bytes that were not text and control characters become `\xNN`."""
    return _UNSAFE.sub(lambda found: f"\\x{ord(found.group()) & 0xFF:02x}", name)


def is_unsafe(name: str) -> bool:
    """True if a name holds control characters or bytes that are not UTF-8, and so cannot stand in a table."""
    return _UNSAFE.search(name) is not None


def ending(name: str) -> str:
    """What follows the last dot, in lower case; empty without a dot."""
    return name.rpartition(".")[2].lower() if "." in name else ""


def scan_reject(source: str, uri: str, code: str, detail: str = "") -> Reject:
    """A row for the reject table with the standard message of a code, or `detail` in its place."""
    return Reject("scan", source, safe_text(uri), code, detail or _MESSAGES[code])


def walk(
    root: Path,
    source: str,
    *,
    wanted: Callable[[str], bool] | None = None,
    endings: frozenset[str] = PICTURE_ENDINGS,
    other: str = "not_a_picture",
) -> Iterator[Found | Reject]:
    """Yield every file below a folder, sorted by uri, as found or as a reject of stage `scan`.

    Links to folders are followed, each target once, and never back up. No file is opened and each is looked at once.

    Args:
        root: the folder.
        source: name of the source, for rejects.
        wanted: uris for which it is False are passed over in silence; the user asked for that.
        endings: file name endings that count.
        other: reject code of a file with any other ending.

    Raises:
        SourceError: the root cannot be listed, at the start or later.
    """
    try:
        stack = [("", _listing(root), frozenset({_identity(os.stat(root))}))]  # noqa: PTH116
    except OSError as error:
        raise _root_error(root, error) from error
    followed: set[tuple[int, int]] = set()
    while stack:
        prefix, entries, above = stack[-1]
        item = next(entries, None)
        if item is None:
            stack.pop()
            continue
        kind, entry = item
        uri = prefix + entry.name
        if kind != "folder":
            if wanted is None or wanted(uri):
                yield _file_row(kind, entry, uri, source, endings, other)
            continue
        if entry.name.startswith("."):
            yield scan_reject(source, uri, "hidden_folder")
            continue
        try:
            here = _identity(entry.stat())
            if entry.is_symlink():
                if here in above or here in followed:
                    yield scan_reject(source, uri, "symlink_loop")
                    continue
                followed.add(here)
            stack.append((uri + "/", _listing(entry.path), above | {here}))
        except OSError as error:
            if not root.is_dir():
                raise _root_error(root, error) from error
            gone = isinstance(error, FileNotFoundError)
            yield scan_reject(source, uri, "vanished" if gone else "unreadable_directory")


def _listing(folder: str | Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(folder) as entries:
        rows = [(kind, entry) for entry in entries for kind in [_kind(entry)]]
    # A folder sorts as its uris do, with the slash: "a.jpg" comes before "a/b.jpg".
    rows.sort(key=lambda row: row[1].name + "/" if row[0] == "folder" else row[1].name)
    return iter(rows)


def _kind(entry: os.DirEntry[str]) -> str:
    """`file`, `folder`, or the reject code of an entry that is neither."""
    try:
        if entry.is_file():
            return "file"
        if entry.is_dir():
            return "folder"
        entry.stat()
    except FileNotFoundError:
        return "dangling_link" if entry.is_symlink() else "vanished"
    except OSError as error:
        return "symlink_loop" if error.errno == errno.ELOOP else "unreadable"
    return "not_a_file"


def _file_row(
    kind: str, entry: os.DirEntry[str], uri: str, source: str, endings: frozenset[str], other: str
) -> Found | Reject:
    name = entry.name
    if kind != "file":
        return scan_reject(source, uri, kind)
    if name.startswith("._"):
        return scan_reject(source, uri, "resource_fork")
    if ending(name) not in endings:
        return scan_reject(source, uri, other)
    if name.startswith("."):
        return scan_reject(source, uri, "hidden_file")
    if is_unsafe(uri):
        return scan_reject(source, uri, "bad_name")
    try:
        stat = entry.stat()
    except OSError as error:
        return scan_reject(source, uri, "vanished" if isinstance(error, FileNotFoundError) else "unreadable")
    if stat.st_size == 0:
        return scan_reject(source, uri, "empty")
    return Found(uri, stat.st_size, stat.st_mtime_ns)


def _identity(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino


def _root_error(root: Path, error: OSError) -> SourceError:
    return SourceError(
        f"the folder of photos cannot be listed ({error.strerror})",
        where=str(root),
        remedy="Check the path and that it is mounted and readable, then run the same command again",
    )
