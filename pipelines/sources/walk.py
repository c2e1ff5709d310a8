"""List the files below a folder in a fixed order, with a reject for each file left out."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from faceloom.pipelines.sources.other_formats import advice_on
from faceloom.schemas.errors import SourceError
from faceloom.schemas.photos import Reject
from faceloom.schemas.reject_codes import default_message

PICTURE_ENDINGS = frozenset(
    {"jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "tif", "tiff"}
    | {"gif", "pgm", "ppm", "pbm", "pnm", "jp2", "avif", "heic", "heif"}
)
"""File name endings of pictures, in lower case."""

_UNSAFE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Found(NamedTuple):
    """A file to read: uri with forward slashes, size in bytes, modification time in nanoseconds or ETag."""

    uri: str
    size: int
    version: int | str


def safe_text(name: str) -> str:
    r"""Return a name as printable text: undecodable bytes and control characters become `\xNN`."""
    return _UNSAFE.sub(lambda found: f"\\x{ord(found.group()) & 0xFF:02x}", name)


def is_unsafe(name: str) -> bool:
    """True if a name holds control characters or bytes that are not UTF-8, which a table cannot store."""
    return _UNSAFE.search(name) is not None


def ending(name: str) -> str:
    """Return the part after the last dot, in lower case; empty without a dot."""
    return name.rpartition(".")[2].lower() if "." in name else ""


def scan_reject(source: str, uri: str, code: str, detail: str = "") -> Reject:
    """Return a scan reject with the standard message of its code, or with `detail`."""
    return Reject("scan", source, safe_text(uri), code, detail or default_message(code))


def walk(
    root: Path,
    source: str,
    *,
    wanted: Callable[[str], bool] | None = None,
    endings: frozenset[str] = PICTURE_ENDINGS,
    other: str = "not_a_picture",
    sizes: bool = True,
) -> Iterator[Found | Reject]:
    """Yield every file below a folder, sorted by uri, as `Found` or as a reject of stage `scan`.

    Links to folders are followed, each target once, but not to a folder above. Opens no file; one stat per file.

    Args:
        root: the folder.
        source: name of the source, for rejects.
        wanted: uris for which it is False are skipped without a reject, as the user asked.
        endings: file name endings to list.
        other: reject code of files with any other ending.
        sizes: whether to look at each file; otherwise its size and time are 0, and empty files are listed too.

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
                yield _file_row(kind, entry, uri, source, endings, other, sizes)
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
    # A folder sorts like its uris, with the slash: "a.jpg" comes before "a/b.jpg".
    rows.sort(key=lambda row: row[1].name + "/" if row[0] == "folder" else row[1].name)
    return iter(rows)


def _kind(entry: os.DirEntry[str]) -> str:
    """Return `file`, `folder`, or the reject code of any other entry."""
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
    kind: str, entry: os.DirEntry[str], uri: str, source: str, endings: frozenset[str], other: str, sizes: bool
) -> Found | Reject:
    name = entry.name
    if kind != "file":
        return scan_reject(source, uri, kind)
    if name.startswith("._"):
        return scan_reject(source, uri, "resource_fork")
    if ending(name) not in endings:
        return scan_reject(source, uri, other, advice_on(name))
    if name.startswith("."):
        return scan_reject(source, uri, "hidden_file")
    if is_unsafe(uri):
        return scan_reject(source, uri, "bad_name")
    if not sizes:
        return Found(uri, 0, 0)
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
