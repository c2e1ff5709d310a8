"""What a user wants to compare: releases by name, or the output folders of builds."""

from __future__ import annotations

import os
from pathlib import Path

from faceloom.pipelines.release.diff import SampleSet, build_set, release_set
from faceloom.pipelines.release.resolve import resolve
from faceloom.pipelines.release.root import open_root
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import ReleaseError
from faceloom.schemas.urls import url_of


def open_side(text: str, root: str | Path | None) -> SampleSet:
    """Open a release or a build to compare it. A folder of this path is a build; anything else names a release.

    Args:
        text: path of a build's output folder, or `NAME@VERSION`, `NAME@latest` or `NAME@CHANNEL`.
        root: the folder of releases; None if none is given.

    Raises:
        ReleaseError: there is no such release, or no folder of releases is given.
        StorageError: the folder is no finished build, or something of it is damaged.
    """
    if os.path.isdir(text) or ("@" not in text and url_of(text)):  # noqa: PTH112 - Path.is_dir raises on a name that is too long
        storage = Storage(text)
        return build_set(storage, read_record(storage))
    if root is None:
        remedy = "Give it with --root or FACELOOM_ROOT; a build is given by the path of its output folder"
        raise ReleaseError("no folder of releases is given", value=text, remedy=remedy)
    storage = open_root(root)
    return release_set(storage, resolve(storage, text).release)
