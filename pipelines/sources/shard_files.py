"""Find the tar files that a path or a pattern names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from faceloom.pipelines.sources.walk import Found, scan_reject, walk
from faceloom.schemas.path_pattern import expand_braces
from faceloom.schemas.photos import Reject
from faceloom.schemas.regular_files import UnfitFileError, check_regular

_MARKS = "{*?["


def root_of(path: Path) -> Path:
    """The folder that uris are relative to: the path, the folder of a tar file, or the fixed part of a pattern."""
    if _is_folder(path):
        return path
    root = path.parent
    while not _is_file(path) and any(mark in str(root) for mark in _MARKS):
        root = root.parent
    return root


def shard_files(path: Path, source: str) -> Iterator[Found | Reject]:
    """Yield the tar files in a folder and below it, the one at the path, or those that match a pattern.

    Args:
        path: absolute; a pattern may hold `{000..041}`, `{a,b}`, `*`, `?`, `[0-9]` and `**`.
        source: name of the source, for the rejects: other files in a folder, and missing shards of a brace pattern.
    """
    if _is_folder(path):
        yield from walk(path, source, endings=frozenset({"tar"}), other="not_a_shard")
        return
    root = root_of(path)
    pattern = path.relative_to(root).as_posix()
    names = {pattern} if _is_file(path) else {name for part in expand_braces(pattern) for name in _matches(root, part)}
    for name in names:
        try:
            found = (root / name).stat()
            check_regular(found)
        except OSError as error:
            yield scan_reject(source, name, "missing_file", f"tar file not found ({error.strerror})")
        except UnfitFileError as error:
            yield scan_reject(source, name, "not_a_file", f"{error}; not opened")
        else:
            yield Found(name, found.st_size, found.st_mtime_ns)


# A pattern may be too long for the name of a file, at which Path.is_dir and Path.is_file raise.
def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113


def _matches(root: Path, pattern: str) -> list[str]:
    if not any(mark in pattern for mark in _MARKS):
        return [pattern]
    # pathlib lists every folder once for each `**`.
    return [path.relative_to(root).as_posix() for path in root.glob(re.sub(r"(\*\*/)+", "**/", pattern))]
