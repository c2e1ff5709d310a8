"""The log of a set: who promoted or withdrew which release, when and why. Each line names the digest of the one before.

A changed, moved or missing line is detected; lines that are missing at the end, by the marker of the folder.
"""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

from faceloom.pipelines.release.log_heads import Head, check_log, read_heads, write_head
from faceloom.pipelines.release.manifest import digest_of
from faceloom.pipelines.store.paths import channel_log
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.column_types import parse_model
from faceloom.schemas.errors import ReleaseError, StorageError
from faceloom.schemas.release import Name, ReleaseId, Sha256

MOST_LOG = 2**24
"""Bytes of a log. A line takes 500."""
MOST_LINE = 2**16
START = "0" * 64
"""What the first line names in place of the digest of the line before."""
Action = Literal["promote", "yank", "erase", "purge"]
_Line = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00-\x1f\x7f]*$")]


class Entry(BaseModel):
    """One line of a log.

    Attributes:
        action: `promote`: a channel points to the release; `yank`: the release is withdrawn; `erase`: people were
            erased, the release replaces an older one; `purge`: the files of the release were deleted.
        release: what it is about.
        channel: of a promotion; empty otherwise.
        replacement: what to use in place of a withdrawn release; empty if nothing.
        why: the reason.
        who: name of the user.
        when: UTC, such as `2026-01-31T12:00:00Z`.
        previous: `sha256` of the line before.
        sha256: of this line without `sha256`, as canonical JSON.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    action: Action
    release: ReleaseId
    channel: Name | Literal[""] = ""
    replacement: ReleaseId | Literal[""] = ""
    why: _Line = ""
    who: _Line
    when: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    previous: Sha256
    sha256: Sha256

    @model_validator(mode="after")
    def _is_whole(self) -> Entry:
        if bool(self.channel) != (self.action == "promote"):
            raise ValueError("a promotion, and nothing else, names a channel")
        if self.sha256 != _digest(self):
            raise ValueError("the line is not the one that was written")
        return self

    @property
    def version(self) -> str:
        """Version of the release."""
        return self.release.split("/")[1].split("+")[0]


def _digest(entry: Entry) -> str:
    return digest_of(_canonical(entry.model_dump(mode="json", exclude={"sha256"})))


def _canonical(plain: dict[str, str]) -> bytes:
    import rfc8785

    return rfc8785.dumps(plain)


def make_entry(
    action: Action,
    release: str,
    *,
    previous: str = START,
    channel: str = "",
    replacement: str = "",
    why: str = "",
    who: str | None = None,
    when: str = "",
) -> Entry:
    """Make a line of a log. Arguments as in `Entry`; by default the present user and time.

    Raises:
        ReleaseError: a text is too long or has control characters.
    """
    named = {"why": why, "who": user_name() if who is None else who}
    for name, text in named.items():
        if len(text) > 2000 or not text.isprintable():
            what = "a text of the log takes one line of at most 2,000 characters"
            raise ReleaseError(what, where=name, value=ascii(text)[:80], remedy="Shorten it")
    plain = {
        "action": action, "release": release, "channel": channel, "replacement": replacement, **named,
        "when": when or f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "previous": previous,
    }  # fmt: skip
    return Entry.model_validate({**plain, "sha256": digest_of(_canonical(plain))})


def user_name() -> str:
    """Name of the user who runs this process; `unknown` without one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"


def log_bytes(entries: Sequence[Entry]) -> bytes:
    """A log as a file, a line of canonical JSON for each entry."""
    return b"".join(_canonical(entry.model_dump(mode="json")) + b"\n" for entry in entries)


def parse_log(data: bytes, where: str) -> tuple[Entry, ...]:
    """Parse the log of a stranger.

    Raises:
        StorageError: it is too long, or a line is damaged, changed, moved or missing; names the line.
    """
    entries: list[Entry] = []
    lines = data.split(b"\n")
    try:
        if len(data) > MOST_LOG:
            raise ValueError(f"the log has {len(data):,} bytes; at most {MOST_LOG:,} are read")
        for line in lines[:-1]:
            entry = parse_model(Entry, line, MOST_LINE)
            if entry.previous != (entries[-1].sha256 if entries else START):
                raise ValueError("a line before it is missing or was changed")
            if log_bytes([entry]) != line + b"\n":
                raise ValueError("the line is not the one that was written")
            entries.append(entry)
        if lines[-1]:
            raise ValueError("it has no end")
    except ValueError as error:
        remedy = "Get an undamaged copy of the log. Until then, do not rely on its channels"
        raise StorageError(f"damaged log: line {len(entries) + 1}: {error}", where=where, remedy=remedy) from None
    return tuple(entries)


def read_log(storage: Storage, name: str) -> tuple[Entry, ...]:
    """Read the log of a set; empty if there is none.

    Raises:
        StorageError: as `parse_log`; or it cannot be read, holds lines of another set, is cut off or lost.
    """
    path = channel_log(name)
    storage.place(path)  # refuses a link
    head = read_heads(storage).get(name)
    entries = parse_log(storage.read_bytes(path, MOST_LOG), path) if storage.exists(path) else ()
    check_log(path, [entry.sha256 for entry in entries], head)
    for entry in entries:
        if not entry.release.startswith(f"{name}/"):
            raise StorageError("the log is of another set", where=path, value=entry.release[:120])
    return entries


def append_entry(
    storage: Storage,
    action: Action,
    release: str,
    *,
    channel: str = "",
    replacement: str = "",
    why: str = "",
    who: str | None = None,
    when: str = "",
) -> Entry:
    """Append a line to the log of a set. Hold `locked_root`.

    The file is replaced atomically, so that a killed process leaves no part of a line. Its end is noted afterwards, so
    that such a process leaves one line too many at most.

    Raises:
        StorageError: the log is damaged, or cannot be written.
        ReleaseError: as `make_entry`.
    """
    name = release.split("/")[0]
    entries = read_log(storage, name)
    previous = entries[-1].sha256 if entries else START
    entry = make_entry(
        action, release, previous=previous, channel=channel, replacement=replacement, why=why, who=who, when=when
    )
    if entries:
        write_head(storage, name, Head(len(entries), previous))  # a killed process did not
    with storage.write(channel_log(name)) as stream:
        stream.write(log_bytes([*entries, entry]))
    write_head(storage, name, Head(len(entries) + 1, entry.sha256))
    return entry


def channels(entries: Sequence[Entry]) -> dict[str, Entry]:
    """The last promotion of each channel."""
    return {entry.channel: entry for entry in entries if entry.action == "promote"}


def yanked(entries: Sequence[Entry]) -> dict[str, Entry]:
    """The last withdrawal of each withdrawn version."""
    return {entry.version: entry for entry in entries if entry.action == "yank"}
