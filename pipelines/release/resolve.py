"""Find a release by its name and version, by `latest`, or by a channel."""

from __future__ import annotations

import contextlib
import re
from typing import NamedTuple

from faceloom.pipelines.release.channel_log import Entry, channels, read_log, yanked
from faceloom.pipelines.release.manifest import Published, read_manifest
from faceloom.pipelines.release.tombstone import read_tombstone, refuse_purged
from faceloom.pipelines.store.paths import RELEASE, RELEASES, TOMBSTONE
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, ReleaseError, StorageError
from faceloom.schemas.release import NAME_PATTERN, VERSION_PATTERN, Reference, parse_reference

LATEST = "latest"
"""The highest version that is not yanked. No channel has this name."""
_MOST_NAMED = 10


class Versions(NamedTuple):
    """The releases of a set.

    Attributes:
        versions: ascending.
        yanked: the withdrawal of each withdrawn version.
        channels: the last promotion of each channel.
    """

    versions: tuple[str, ...]
    yanked: dict[str, Entry]
    channels: dict[str, Entry]

    @property
    def latest(self) -> str | None:
        """The highest version that is not yanked; None without one."""
        return next((version for version in reversed(self.versions) if version not in self.yanked), None)


def version_key(version: str) -> tuple[int, ...]:
    """Key to sort versions by.

    >>> sorted(["1.10.0", "1.9.0"], key=version_key)
    ['1.9.0', '1.10.0']
    """
    return tuple(map(int, version.split(".")))


def set_names(storage: Storage) -> list[str]:
    """Sorted names of the sets that have releases."""
    return sorted({name for name, _, file in _files(storage) if file == RELEASE})


def read_versions(storage: Storage, name: str) -> Versions:
    """The releases of a set; none if there is no such set. A purge that was interrupted counts as one that ended.

    Raises:
        StorageError: the log of the set is damaged, or the folder cannot be read.
    """
    log = read_log(storage, name)
    return Versions(listed_versions(storage, name), yanked(log), channels(log))


def listed_versions(storage: Storage, name: str) -> tuple[str, ...]:
    """The versions of a set, ascending. Reads no log. A purge that was interrupted counts as one that ended."""
    files = _files(storage, name)
    purged = {version for _, version, file in files if file == TOMBSTONE}
    found = [version for _, version, file in files if file == RELEASE and version not in purged]
    return tuple(sorted(found, key=version_key))


def _files(storage: Storage, name: str = "") -> list[tuple[str, str, str]]:
    """Name, version and file of everything that lies where a file of a release lies."""
    folder = f"{RELEASES}/{name}" if name else RELEASES
    parts = [path.split("/")[1:] for path in storage.list(folder)]
    return [
        (held, version, file)
        for held, version, file in (part for part in parts if len(part) == 3)
        if re.fullmatch(NAME_PATTERN, held) and re.fullmatch(VERSION_PATTERN, version)
    ]


def resolve(storage: Storage, reference: str | Reference) -> Published:
    """Find a release, yanked or not.

    Args:
        storage: the folder of releases.
        reference: `NAME@VERSION`, `NAME@latest`, `NAME@CHANNEL`, or NAME alone for `NAME@latest`.

    Raises:
        ReleaseError: it names no release.
        StorageError: the manifest or the log is damaged or cannot be read.
    """
    wanted = reference if isinstance(reference, Reference) else parsed_reference(reference)
    known = read_versions(storage, wanted.name)
    version: str | None = wanted.wanted
    if wanted.wanted == LATEST:
        version = known.latest
    elif not wanted.is_version:
        promoted = known.channels.get(wanted.wanted)
        version = promoted.version if promoted else None
    if version not in known.versions:
        raise _unknown(storage, wanted, known)
    return read_manifest(storage, wanted.name, str(version))


def usable(storage: Storage, reference: str | Reference) -> Published:
    """Find a release that is not yanked. Arguments and errors as `resolve`.

    Raises:
        ReleaseError: it is yanked; names the reason and the replacement.
    """
    found = resolve(storage, reference)
    refuse_yanked(storage, found)
    return found


def refuse_yanked(storage: Storage, found: Published) -> None:
    """Refuse a release that is yanked.

    Raises:
        ReleaseError: it is; names the reason and the replacement.
    """
    name, version = found.release.name, found.release.version
    if yank := yanked(read_log(storage, name)).get(version):
        instead = short_name(yank.replacement)
        remedy = (
            f"Use {instead}"
            if instead
            else f"Choose another release, see `faceloom release list {name} --root {storage.root}`"
        )
        what = f"the release is yanked: {yank.why or 'no reason is given'}"
        raise ReleaseError(what, where=f"{name}@{version}", remedy=remedy)


def short_name(release_id: str) -> str:
    """`NAME@VERSION` of a release's id; empty for an empty id."""
    return release_id.partition("+")[0].replace("/", "@")


def parsed_reference(text: str) -> Reference:
    """Parse what a user names a release by.

    Raises:
        ReleaseError: it names none.
    """
    try:
        return parse_reference(text)
    except FaceloomError as error:
        raise ReleaseError(error.what, value=error.value, remedy=error.remedy) from None


def _unknown(storage: Storage, wanted: Reference, known: Versions) -> ReleaseError:
    where, shown = storage.root, f"{wanted.name}@{wanted.wanted}"
    if wanted.is_version:
        refuse_purged(storage, *wanted)
    elif promoted := known.channels.get(wanted.wanted):
        with contextlib.suppress(StorageError):
            if stone := read_tombstone(storage, wanted.name, promoted.version):
                what = f"the channel points to {promoted.version}, which was purged at {stone.when}"
                remedy = f"Promote another release to {wanted.wanted}, or name a version"
                return ReleaseError(what, where=shown, value=stone.why or "no reason is given", remedy=remedy)
    if not known.versions:
        names = ", ".join(set_names(storage)[:_MOST_NAMED]) or "none"
        what = "there is no release of this name"
        return ReleaseError(what, where=where, value=shown, remedy=f"Sets with releases: {names}")
    listed = ", ".join([*known.versions[-_MOST_NAMED:], *sorted(known.channels)])
    if wanted.wanted == LATEST:
        listed = "all of its versions are yanked; name one of them to look at it"
        return ReleaseError("no release is the latest", where=where, value=shown, remedy=listed.capitalize())
    return ReleaseError("there is no such release", where=where, value=shown, remedy=f"Known: {listed}")
