"""What the owner of a release should know after an erasure: who still serves the person, and what came back."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from faceloom.pipelines.release.erase import Erasure
from faceloom.pipelines.release.manifest import read_manifest
from faceloom.pipelines.release.resolve import read_versions
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError


@dataclass(frozen=True, slots=True)
class AfterErasure:
    """Facts about the other releases of the folder.

    Attributes:
        channels: names of the channels that point to a release that still holds the person, by `NAME@VERSION`.
        other_erasures: releases of the same set that were made by erasures which the new release does not contain.
    """

    channels: dict[str, tuple[str, ...]]
    other_erasures: tuple[str, ...]


def look_around(root: Storage, done: Erasure) -> AfterErasure:
    """Look at the other releases of a folder after an erasure. Damaged ones are left out; `verify` names them."""
    channels: dict[str, tuple[str, ...]] = {}
    for reference in done.still_in:
        name, _, version = reference.partition("@")
        with contextlib.suppress(StorageError):
            pointing = read_versions(root, name).channels.items()
            if found := tuple(sorted(channel for channel, entry in pointing if entry.version == version)):
                channels[reference] = found
    release, others = done.published.release, []
    ancestors = {release.parent}
    for version in reversed(read_versions(root, release.name).versions):
        with contextlib.suppress(StorageError):
            one = read_manifest(root, release.name, version)
            if one.id in ancestors:
                ancestors.add(one.release.parent)
            elif one.id != done.published.id and one.release.erased:
                others.append(f"{release.name}@{version}")
    return AfterErasure(channels, tuple(others[::-1]))
