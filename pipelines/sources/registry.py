"""All kinds of photo sources, and detection of the kind."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path

from faceloom.pipelines.sources.ahead_source import AheadSource
from faceloom.pipelines.sources.celebamask_hq import CelebAMaskHq
from faceloom.pipelines.sources.flat_folder import FlatFolder
from faceloom.pipelines.sources.folder_of_people import FolderOfPeople
from faceloom.pipelines.sources.label_maps import LabelMaps
from faceloom.pipelines.sources.listing import entries_of
from faceloom.pipelines.sources.object_table import ObjectTable
from faceloom.pipelines.sources.other_formats import advice_on_source
from faceloom.pipelines.sources.pairs import Pairs
from faceloom.pipelines.sources.path_pattern import PathPattern
from faceloom.pipelines.sources.recordio import RecordIo
from faceloom.pipelines.sources.source import Source, full_path, place_of
from faceloom.pipelines.sources.table import Table
from faceloom.pipelines.sources.tinyface import TinyFace
from faceloom.pipelines.sources.walk import PICTURE_ENDINGS, Found, ending, walk
from faceloom.pipelines.sources.webdataset_shards import WebDatasetShards
from faceloom.pipelines.store.paths import MARKER, SHARDS
from faceloom.pipelines.store.store_path import StorePath
from faceloom.schemas.errors import SourceError
from faceloom.schemas.json_text import parse_json
from faceloom.schemas.regular_files import read_regular_file
from faceloom.schemas.source_spec import SourceSpec, is_pattern
from faceloom.schemas.urls import url_of

_MARKS = {
    "celebamask_hq": {"CelebA-HQ-img", "CelebAMask-HQ-mask-anno"},
    "tinyface": {"Training_Set", "Testing_Set"},
}
"""Folder names that identify a data set."""
_MOST_OUTER = 3
"""Folders around a data set that are looked into."""
_MOST_BESIDE = 20
"""With more folders it is a folder of people, and none of these is listed to look for a data set."""
_EXPORT = "export.json"
"""Marks the target folder of `faceloom export`."""
_MOST_EXPORT_BYTES = 1 << 16
_LOOKED_AT = 1000
"""Objects by which the kind of a folder in a store is detected: one page of a list."""
_OF_ENDING = {"csv": "table", "tsv": "table", "parquet": "table", "tar": "shards", "rec": "recordio"}


ADAPTERS: Mapping[str, Callable[[SourceSpec], Source]] = {
    "people": FolderOfPeople,
    "flat": FlatFolder,
    "table": Table,
    "shards": WebDatasetShards,
    "recordio": RecordIo,
    "celebamask_hq": CelebAMaskHq,
    "label_maps": LabelMaps,
    "tinyface": TinyFace,
    "path_pattern": PathPattern,
    "pairs": Pairs,
}
"""The adapter of each kind of source except `auto`."""


def open_source(spec: SourceSpec) -> Source:
    """Open the adapter for a source; `auto` detects the kind from the files at its path.

    Raises:
        SourceError: the path does not exist, or does not hold a source of that kind.
        StorageError: the path is a URL of no known kind of object store.
    """
    if url_of(spec.path):
        return AheadSource(_open_stored(spec))
    if url_of(spec.root or ""):
        return AheadSource(ObjectTable(spec))
    path = full_path(spec.path)
    exists = is_folder = False
    try:
        exists, is_folder = path.exists(), path.is_dir()
        if is_folder and (path / MARKER).is_file():
            remedy = f"To use its pictures, give {path / SHARDS}"
            raise SourceError("this is an output folder of faceloom, not photos", where=spec.path, remedy=remedy)
    except OSError as error:
        if not (error.errno == errno.ENAMETOOLONG and is_pattern(spec.path)):
            raise SourceError(
                f"cannot be accessed ({error.strerror})", where=spec.path, remedy="Check the path"
            ) from error
    if not exists and not is_pattern(spec.path):
        remedy = "Give the path of a folder of photos, a table, tar shards or a .rec file"
        raise SourceError("no such file or folder", where=spec.path, remedy=remedy)
    if exists and not is_folder and not path.is_file():
        remedy = "Give a folder or a file"
        raise SourceError("a pipe, socket or device is no source", where=spec.path, remedy=remedy)
    if is_folder and spec.kind in ("auto", *_MARKS) and (inner := _data_set_inside(path, spec.kind)) is not None:
        spec = spec.model_copy(update={"path": str(inner), "name": spec.source_name})
        path = inner
    kind = _kind_at(path) if spec.kind == "auto" else spec.kind
    kind = _naming_people(kind, spec)
    if kind not in ("table", "shards", "recordio") and not is_folder:
        remedy = "Give a folder, or set the kind to 'table', 'shards' or 'recordio'"
        raise SourceError(advice_on_source(path.name) or "not a folder", where=spec.path, remedy=remedy)
    # A table, shards and records name their pictures; a folder of an export mixes masked faces, faces and masks.
    if kind not in ("table", "shards", "recordio") and _is_in_export(path):
        remedy = "Give the photos themselves, or the shards of the build: OUT/shards"
        raise SourceError("this is an export of faceloom, not photos", where=spec.path, remedy=remedy)
    return ADAPTERS[kind](spec)


def _naming_people(kind: str, spec: SourceSpec) -> str:
    """The kind of a source whose spec may state which folder names the person."""
    if spec.identity is None or kind in ("flat", "people", "pairs"):
        return "people" if spec.identity is not None and kind == "flat" else kind
    what = "the key `identity` is for folders of people"
    remedy = "Leave it out; name the column of a table under `columns`"
    raise SourceError(what, where=spec.path, value=f"kind `{kind}`", remedy=remedy)


def _open_stored(spec: SourceSpec) -> Source:
    """Open the adapter for a source in an object store; a name with the ending of a table, tar or .rec file is one."""
    kind: str = spec.kind
    if kind == "auto":
        kind = _OF_ENDING.get(ending(spec.path)) or _kind_of_stored(spec.path)
    kind = _naming_people(kind, spec)
    return ObjectTable(spec) if kind == "table" else ADAPTERS[kind](spec)


def _kind_of_stored(url: str) -> str:
    """The kind of a folder by its first objects."""
    folder = place_of(url)
    assert isinstance(folder, StorePath)
    if (folder / MARKER).exists():
        remedy = f"To use its pictures, give {folder / SHARDS}"
        raise SourceError("this is an output folder of faceloom, not photos", where=url, remedy=remedy)
    paths = [entry.path for entry in islice(entries_of(folder), _LOOKED_AT)]
    tops = {path.partition("/")[0] for path in paths}
    for kind, marks in _MARKS.items():
        if marks & tops and all(next(entries_of(folder / name), None) for name in marks - tops):
            return kind
    pictures = [path for path in paths if ending(path) in PICTURE_ENDINGS]
    below = sum("/" in path for path in pictures)
    on_top = {ending(path) for path in paths if "/" not in path}
    if below == len(pictures):
        for name, kind in (("tar", "shards"), ("rec", "recordio")):
            if name in on_top:
                return kind
    return "people" if below > len(pictures) - below else "flat"


def kind_of(source: Source) -> str:
    """The kind of an open source, a key of `ADAPTERS`."""
    if isinstance(source, AheadSource):
        source = source.source
    if isinstance(source, ObjectTable):
        return "table"
    return next(kind for kind, adapter in ADAPTERS.items() if type(source) is adapter)


def _is_in_export(folder: Path) -> bool:
    """Whether `faceloom export` wrote a folder: its target, or the folder of a split or of a person in it."""
    for place in [folder, *folder.absolute().parents][:4]:
        with contextlib.suppress(OSError, ValueError):
            mark = parse_json(read_regular_file(place / _EXPORT, _MOST_EXPORT_BYTES), _MOST_EXPORT_BYTES)
            if isinstance(mark, dict) and {"plan"} <= mark.keys() <= {
                "plan",
                "layout",
            }:  # other programs use this file name too
                return True
    return False


def _data_set_inside(path: Path, kind: str) -> Path | None:
    """The only folder below an outer one, if it holds a known data set; None if there is none.

    Raises:
        SourceError: other folders lie beside the data set.
    """
    for _ in range(_MOST_OUTER):
        folders = {entry.name: set[str]() for entry in _entries(path) if _is_folder(entry)}
        if any(marks <= folders.keys() for marks in _MARKS.values()) or len(folders) > _MOST_BESIDE:
            return None
        for name in folders:
            with contextlib.suppress(SourceError):  # the scan reports a folder that cannot be listed
                folders[name] = {entry.name for entry in _entries(path / name)}
        known = [name for name, held in folders.items() if any(marks <= held for marks in _MARKS.values())]
        if known and len(folders) > 1 and kind == "auto":
            remedy = f"Give {path / known[0]}, and the other folders as sources of their own"
            raise SourceError("a known data set and other folders lie in this folder", where=str(path), remedy=remedy)
        if len(known) == 1:
            return path / known[0]
        if len(folders) != 1:
            return None
        path /= next(iter(folders))
    return None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _entries(path: Path) -> list[os.DirEntry[str]]:
    """What a folder holds, without hidden files.

    Raises:
        SourceError: it cannot be listed.
    """
    try:
        with os.scandir(path) as found:
            return [entry for entry in found if not entry.name.startswith(".")]
    except OSError as error:
        raise SourceError(f"this folder cannot be listed ({error.strerror})", where=str(path)) from error


def _kind_at(path: Path) -> str:
    if os.path.isdir(path):  # noqa: PTH112  # Path.is_dir raises on a name that is too long
        return _kind_of_folder(path)
    kind = _OF_ENDING.get(ending(path.name))
    if kind is None:
        remedy = "Give a folder, or a .csv, .tsv, .parquet, .tar or .rec file"
        raise SourceError(advice_on_source(path.name) or "not a source of photos", where=str(path), remedy=remedy)
    return kind


def _kind_of_folder(path: Path) -> str:
    entries = _entries(path)
    endings = [ending(entry.name) for entry in entries]
    on_top = sum(name in PICTURE_ENDINGS for name in endings)
    for kind, marks in _MARKS.items():
        if marks <= {entry.name for entry in entries}:
            return kind
    if not on_top:
        for name, kind in (("tar", "shards"), ("rec", "recordio")):
            if name in endings:
                return kind
    below = 0
    for folder in sorted(entry.name for entry in entries if ending(entry.name) not in PICTURE_ENDINGS):
        if not (path / folder).is_dir():
            continue
        # The scan reports a folder that cannot be listed.
        with contextlib.suppress(SourceError):
            for row in walk(path / folder, ""):
                below += isinstance(row, Found)
                if below > on_top:
                    return "people"
    if not on_top and (inside := sorted(path.glob("*/*.rec"))):
        remedy = f"Give one of them, such as {inside[0].parent}; labels in each may count from 0"
        raise SourceError("no .rec file in this folder, only in folders below it", where=str(path), remedy=remedy)
    return "flat"
