"""Promote a release to a channel, or withdraw it: lines in the log of its set. No file of a release changes."""

from __future__ import annotations

import re

from faceloom.pipelines.release.channel_log import Entry, append_entry
from faceloom.pipelines.release.resolve import LATEST, parsed_reference, read_versions, resolve, usable
from faceloom.pipelines.release.root import locked_root
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import ReleaseError
from faceloom.schemas.release import NAME_PATTERN, VERSION_PATTERN


def promote(root: Storage, reference: str, channel: str, *, why: str = "", who: str | None = None) -> Entry:
    """Let a channel point to a release, so that NAME@CHANNEL opens it.

    Args:
        root: the folder of releases.
        reference: such as `masked-faces@1.0.0`.
        channel: such as `stable`.
        why: the reason, one line.
        who: name of the person; default: the user.

    Raises:
        ReleaseError: there is no such release, it is yanked, or a channel cannot have this name.
        StorageError: the log is damaged or cannot be written.
    """
    if not re.fullmatch(NAME_PATTERN, channel) or channel == LATEST:
        remedy = f"Use lower-case letters, digits, `-` and `_`, such as stable; {LATEST} is the highest version"
        raise ReleaseError("a channel cannot have this name", value=ascii(channel)[:80], remedy=remedy)
    with locked_root(root):
        return append_entry(root, "promote", usable(root, reference).id, channel=channel, why=why, who=who)


def yank(
    root: Storage, reference: str, *, why: str, replacement: str = "", who: str | None = None
) -> tuple[Entry, tuple[str, ...]]:
    """Withdraw a release: `open_release` refuses it from then on. Its files stay, and it can still be verified.

    Args:
        root: the folder of releases.
        reference: with a version, such as `masked-faces@1.0.0`.
        why: the reason, one line; readers see it.
        replacement: what to use in its place, such as `masked-faces@1.0.1`, or a version of the same set; empty for
            nothing.
        who: name of the person; default: the user.

    Returns:
        The line of the log, and the channels that point to the release.

    Raises:
        ReleaseError: there is no such release or replacement, the replacement is yanked, or there is no reason.
        StorageError: the log is damaged or cannot be written.
    """
    wanted = parsed_reference(reference)
    if not wanted.is_version:
        remedy = "Name the version, such as masked-faces@1.0.0"
        raise ReleaseError("a yank takes a version", value=reference, remedy=remedy)
    if not why.strip():
        raise ReleaseError("a yank takes a reason", where=reference, remedy="State it in one line: --reason TEXT")
    if re.fullmatch(VERSION_PATTERN, replacement):
        replacement = f"{wanted.name}@{replacement}"
    with locked_root(root):
        found = resolve(root, wanted)
        instead = usable(root, replacement).id if replacement else ""
        if instead == found.id:
            raise ReleaseError("a release cannot replace itself", where=reference, remedy="Name another one")
        entry = append_entry(root, "yank", found.id, why=why.strip(), replacement=instead, who=who)
        current = read_versions(root, wanted.name).channels
    return entry, tuple(sorted(name for name, last in current.items() if last.release == found.id))
