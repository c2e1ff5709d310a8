"""The rejects of a gallery: counts by reason, and a few examples of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from faceloom.pipelines.gallery.thumbnails import reject_uri
from faceloom.pipelines.sources.source import Source
from faceloom.schemas.errors import FaceloomError
from faceloom.schemas.photos import Reject
from faceloom.schemas.reject_codes import REJECT_CODES

MOST_EXAMPLES = 6
"""Examples of a reason."""


@dataclass(frozen=True, slots=True)
class Example:
    """A rejected photo, face or sample.

    Attributes:
        uri: path in the source.
        picture: a small copy of the photo as a data URI; empty without.
    """

    uri: str
    message: str
    picture: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Rejects of one stage and code.

    Attributes:
        meaning: of the code.
    """

    stage: str
    code: str
    meaning: str
    count: int
    examples: tuple[Example, ...]


Rejects = Sequence[Reject] | Mapping[str, Mapping[str, int]]
"""Rejects of all stages, or their numbers by stage and code, as a release lists them."""


def list_reasons(rejects: Rejects, sources: Mapping[str, Source] | None = None) -> list[Reason]:
    """Group rejects by stage and code.

    Args:
        rejects: of all stages, or their numbers.
        sources: open sources by name, from which photos of examples are read; one that is gone gives no picture. None
            leaves all examples out, since names of files may name people who are in no sample.
    """
    if isinstance(rejects, Mapping):
        return [_reason(stage, code, count) for stage, codes in rejects.items() for code, count in codes.items()]
    groups: dict[tuple[str, str], list[Reject]] = {}
    for reject in rejects:
        groups.setdefault((reject.stage, reject.code), []).append(reject)
    reasons = []
    for (stage, code), found in groups.items():
        shown = [] if sources is None else [_example(reject, sources) for reject in found[:MOST_EXAMPLES]]
        reasons.append(_reason(stage, code, len(found), tuple(shown)))
    return reasons


def _reason(stage: str, code: str, count: int, examples: tuple[Example, ...] = ()) -> Reason:
    known = REJECT_CODES.get(code)  # a manifest may come from a later version
    return Reason(stage, code, known.meaning if known else "", count, examples)


def _example(reject: Reject, sources: Mapping[str, Source]) -> Example:
    source, picture = sources.get(reject.source), ""
    path = PurePosixPath(reject.uri)
    leads_out = path.is_absolute() or ".." in path.parts  # the table of rejects may be that of a stranger
    if source is not None and not leads_out:
        try:
            picture = reject_uri(source.read(reject.uri))
        except FaceloomError:
            picture = ""
    return Example(f"{reject.source}/{reject.uri}", reject.message, picture)
