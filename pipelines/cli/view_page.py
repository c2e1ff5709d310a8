"""What `faceloom view` shows: the page of a build or of a release."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from faceloom.pipelines.cards.gallery_mark import is_gallery, is_gallery_in
from faceloom.pipelines.cli.build_command import source_of
from faceloom.pipelines.export.target_folder import refuse_among_photos
from faceloom.pipelines.gallery.write_gallery import gallery_html
from faceloom.pipelines.preview import all_rejects
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.sources.registry import open_source
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.checked_shards import check_shards
from faceloom.pipelines.store.output_folder import refuse_inside
from faceloom.pipelines.store.paths import GALLERY
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.store_path import StorePath, file_in_store
from faceloom.schemas.errors import FaceloomError, StorageError
from faceloom.schemas.release import Reference, parse_reference
from faceloom.schemas.urls import url_of

if TYPE_CHECKING:
    from faceloom.pipelines.sources.source import Source


@dataclass(frozen=True, slots=True)
class Target:
    """What to show.

    Attributes:
        folder: the output folder of a build, or the folder of releases.
        release: in that folder; None for a build.
    """

    folder: str
    release: Reference | None


def parse_target(what: str, root: Path | None) -> Target:
    """Tell a build from a release.

    Args:
        what: an output folder, `NAME@VERSION`, or `ROOT/NAME@VERSION`.
        root: folder of releases; None if none is given.

    Raises:
        FaceloomError: it is neither.
    """
    if os.path.isdir(what) or ("@" not in what and url_of(what)):  # noqa: PTH112  # Path.is_dir raises on a name that is too long
        return Target(what, None)
    folder, _, name = what.rpartition("/")
    if "@" not in name:
        remedy = "Give the output folder of a build, or NAME@VERSION with --root ROOT"
        raise FaceloomError("there is no such folder", value=what, remedy=remedy)
    reference = parse_reference(name)
    if folder or what.startswith("/"):
        return Target(folder or "/", reference)
    if root is None:
        remedy = "Give it with --root ROOT or FACELOOM_ROOT, or write ROOT/NAME@VERSION"
        raise FaceloomError("the folder of releases is not known", value=what, remedy=remedy)
    return Target(str(root), reference)


def open_sources(given: Sequence[str]) -> dict[str, Source]:
    """Open sources as `--source` gives them, by name.

    Raises:
        RecipeError, SourceError: one is no source.
    """
    specs = [source_of(one) for one in given]
    return {spec.source_name: open_source(spec) for spec in specs}


def write_page(target: Target, to: Path | None, sources: Mapping[str, Source], watcher: Watcher) -> Path | StorePath:
    """Write the page of a build, or find that of a release.

    Args:
        target: what to show.
        to: page to write, by path or URL; None for the place beside the build or the release.
        sources: of a build, by name; their photos are shown among the rejects.
        watcher: receives the progress.

    Returns:
        The absolute path of the page, or where it lies in an object store.

    Raises:
        StorageError: there is no such build or release, or it is damaged; or the page cannot be written: another file
            has its name, or it would lie in the output folder.
        FaceloomError: the page would lie among the photos, or sources are given for a release.
    """
    if target.release is not None:
        if sources:
            remedy = "Leave --source out, or view the output folder of the build"
            raise FaceloomError("the rejects of a release have no pictures", value=", ".join(sources), remedy=remedy)
        return _page_of_release(target.folder, target.release, to, watcher)
    storage = Storage(target.folder)
    record = read_record(storage)
    shards = check_shards(storage, record)
    place = _place(to, storage)
    if to is not None:
        refuse_among_photos(_folder_of(place), storage, record)
    rejects = all_rejects(storage)
    page = gallery_html(storage, record.settings.name, shards, rejects, watcher, sources=sources)
    return _write(place, page)


def _page_of_release(folder: str, wanted: Reference, to: Path | None, watcher: Watcher) -> Path | StorePath:
    from faceloom.pipelines.release.resolve import resolve
    from faceloom.pipelines.release.root import open_root
    from faceloom.pipelines.store.paths import release_file

    storage = open_root(folder)
    found = resolve(storage, wanted)
    name, version = found.release.name, found.release.version
    path = release_file(name, version, GALLERY)
    if to is not None:
        place = _place(to, storage)
    page = gallery_html(storage, f"{name} {version}", found.shards, found.release.rejects, watcher)
    if to is not None:
        return _write(place, page)
    # A release may come from a stranger, whose page could run a script of its own.
    if not storage.exists(path) or storage.read_bytes(path) != page:
        what = "the page of this release is missing, or is not the one that this version makes of its samples"
        raise StorageError(what, where=path, remedy="Write another one with --to FILE")
    _refuse_url(storage)
    return _absolute(storage.local(path))


def _place(to: Path | None, storage: Storage) -> Path | StorePath:
    """Where the page goes: beside the build, to the user's own path, which may be a link, or to an object store."""
    if to is not None and (url := url_of(to)):
        there = file_in_store(url)
        refuse_inside(there.storage.root, storage)
        if there.exists() and not is_gallery_in(there.storage, there.path):
            raise _other_file(url)
        return there
    if to is None:
        _refuse_url(storage)
        place = _absolute(storage.local(GALLERY))
    else:
        place = Path(os.path.realpath(to))
        if not place.parent.is_dir():
            raise StorageError("the folder of the page does not exist", where=str(to), remedy="Create it first")
        refuse_inside(place.parent, storage)
    if os.path.lexists(place) and not is_gallery(place):
        raise _other_file(str(place))
    return place


def _other_file(place: str) -> StorageError:
    remedy = "Choose a new name with --to FILE"
    return StorageError("a file that is no gallery has this name", where=place, remedy=remedy)


def _folder_of(place: Path | StorePath) -> Storage:
    return place.storage if isinstance(place, StorePath) else Storage(str(place.parent))


def _refuse_url(storage: Storage) -> None:
    if url_of(storage.root):
        what, remedy = "a browser opens pages of this machine", "Name a page to write with --to FILE"
        raise StorageError(what, where=storage.root, remedy=remedy)


def _write(place: Path | StorePath, page: bytes) -> Path | StorePath:
    _folder_of(place).write_if_changed(place.name, page)
    return place


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100  # a link to the folder stays in the path
