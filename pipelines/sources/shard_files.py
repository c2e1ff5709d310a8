"""Find the tar files that a path or a pattern names."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from faceloom.pipelines.sources.listing import entries_of, list_files
from faceloom.pipelines.sources.source import full_path
from faceloom.pipelines.sources.walk import Found, scan_reject, walk
from faceloom.pipelines.store.object_storage import ObjectStorage
from faceloom.pipelines.store.store_path import Place, StorePath
from faceloom.schemas.path_pattern import expand_braces
from faceloom.schemas.photos import Reject
from faceloom.schemas.regular_files import UnfitFileError, check_regular
from faceloom.schemas.urls import url_of

_MARKS = "{*?["


def shards_at(path: str) -> tuple[Place, str]:
    """The folder that uris are relative to, and the tar file or pattern below it; empty for the whole folder.

    What ends in `.tar` in an object store is a file or a pattern.
    """
    if url := url_of(path):
        folders = url.split("/")
        name = [folders.pop()] if url.endswith(".tar") else []
        while name and any(mark in folder for folder in folders for mark in _MARKS):
            name.insert(0, folders.pop())
        return StorePath(ObjectStorage("/".join(folders))), "/".join(name)
    place = full_path(path)
    root = root_of(place)
    return root, "" if root == place else place.relative_to(root).as_posix()


def list_shards(root: Place, pattern: str, source: str) -> Iterator[Found | Reject]:
    """As `shard_files`, for what `shards_at` found.

    Raises:
        SourceError, StorageError: the folder cannot be listed, or the store cannot be asked.
    """
    if not isinstance(root, StorePath):
        yield from shard_files(root / pattern, source)
    elif not pattern:
        yield from list_files(root, source, endings=frozenset({"tar"}), other="not_a_shard")
    else:
        yield from _stored_shards(root, pattern, source)


def _stored_shards(root: StorePath, pattern: str, source: str) -> Iterator[Found | Reject]:
    patterns = expand_braces(pattern)
    if len(patterns) == 1 and pattern == patterns[0] and not any(mark in pattern for mark in _MARKS):
        if (root / pattern).exists():
            size, e_tag = root.storage.stamp(pattern)
            yield Found(pattern, int(str(size)), str(e_tag or "").strip('"'))
        else:
            yield scan_reject(source, pattern, "missing_file")
        return
    there = {one.path: Found(one.path, one.size, one.e_tag) for one in entries_of(root) if one.path.endswith(".tar")}
    plain = {one for one in patterns if not any(mark in one for mark in _MARKS)}
    wild = [re.sub(r"(\*\*/)+", "**/", one).split("/") for one in patterns if one not in plain]
    for name, found in there.items():
        if name in plain or any(_fits(name.split("/"), one) for one in wild):
            yield found
    for name in plain - there.keys():
        yield scan_reject(source, name, "missing_file")


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the parts of a path match those of a pattern, in which `**` stands for any number of folders."""
    if not pattern or not parts:
        return not pattern and not parts
    if pattern[0] == "**":
        return any(_fits(parts[start:], pattern[1:]) for start in range(len(parts)))
    return fnmatch.fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


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
