"""How many lines the log of each set has, and the digest of the last one, in the marker of the folder of releases.

So a log that was cut off at its end, replaced or lost is found. Each head is written after its log: of a process that
was killed in between, the log is one line ahead, which is no fault.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, NamedTuple

from pydantic import Field, ValidationError

from faceloom.pipelines.release.manifest import digest_of
from faceloom.pipelines.release.root import read_mark, write_mark
from faceloom.pipelines.store.paths import CHANNELS, MARKER
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.column_types import adapter, first_fault, place_text
from faceloom.schemas.errors import StorageError
from faceloom.schemas.release import Name, Sha256

_LOGS, _SUM = "logs", "logs_sha256"
_INSTEAD = (
    f"If there is none, take `{_LOGS}` and `{_SUM}` out of {MARKER}: then logs count as they are, and what lost lines "
    "state is forgotten"
)
_REMEDY = f"Get an undamaged copy of the log. {_INSTEAD}"


class Head(NamedTuple):
    """The end of a log.

    Attributes:
        lines: their number.
        sha256: of the last line, as it names itself.
    """

    lines: Annotated[int, Field(ge=1, lt=2**31)]
    sha256: Sha256


def read_heads(storage: Storage) -> dict[str, Head]:
    """The end of each log, by the name of its set. A set without one was never written to, or by an older version.

    Raises:
        ReleaseError: the folder is none of releases.
        StorageError: its marker is damaged.
    """
    mark = read_mark(storage)
    logs = mark.get(_LOGS, {})
    try:
        heads: dict[str, Head] = adapter(dict[Name, Head]).validate_python(logs)
        if mark.get(_SUM, _sum({})) != _sum(logs):
            raise ValueError(f"{_LOGS} is not what was written")
    except ValueError as error:
        text = str(error)
        if isinstance(error, ValidationError):
            place, fault = first_fault(error)
            text = f"{place_text((_LOGS, *place))}: {fault}"
        remedy = f"Get an undamaged copy of {MARKER}. {_INSTEAD}"
        raise StorageError(f"damaged marker: {text}", where=storage.place(MARKER), remedy=remedy) from None
    return heads


def write_head(storage: Storage, name: str, head: Head) -> None:
    """Replace the end of one log, which is written already. Hold `locked_root`. Errors as `read_heads`."""
    heads = read_heads(storage)
    if heads.get(name) != head:
        heads[name] = head
        logs = {one: heads[one]._asdict() for one in sorted(heads)}
        storage.sync_folders(CHANNELS)  # or a power cut could leave the end without the log
        write_mark(storage, {_LOGS: logs, _SUM: _sum(logs)})


def _sum(logs: object) -> str:
    return digest_of(json.dumps(logs, sort_keys=True).encode())


def check_log(where: str, digests: Sequence[str], head: Head | None) -> None:
    """Compare a log with its end.

    Args:
        where: its place, for messages.
        digests: sha256 of its lines; none if there is no log.
        head: read before the log, which another process may append to meanwhile.

    Raises:
        StorageError: the log is lost, was cut off, or is another one.
    """
    if head is None:
        return
    if not digests:
        raise StorageError("the log is lost", where=where, value=f"it had {head.lines:,} lines", remedy=_REMEDY)
    if len(digests) < head.lines:
        what = f"the log is cut off: it has {len(digests):,} of its {head.lines:,} lines"
        raise StorageError(what, where=where, remedy=_REMEDY)
    if digests[head.lines - 1] != head.sha256:
        what = f"the log is another one: line {head.lines:,} is not the one that {MARKER} names"
        raise StorageError(what, where=where, remedy=_REMEDY)
