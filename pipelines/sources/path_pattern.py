"""Read photos whose paths hold their attributes, the layout of K-FACE."""

from __future__ import annotations

import re

from faceloom.pipelines.sources.flat_folder import FlatFolder
from faceloom.pipelines.sources.values import as_attributes
from faceloom.pipelines.sources.walk import Found, scan_reject
from faceloom.schemas.path_pattern import RECOGNISED, compile_pattern
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.source_spec import SourceSpec


class PathPattern(FlatFolder):
    """All pictures below a folder whose uri matches `spec.pattern`; a picture that does not match becomes a reject.

    The names `identity`, `split`, `licence` and `consent` fill those fields; any other becomes an attribute.
    """

    def __init__(self, spec: SourceSpec) -> None:
        super().__init__(spec)
        self.pattern = spec.pattern or "*"
        self.expression = compile_pattern(self.pattern)

    def row_of(self, found: Found) -> Photo | Reject:
        """See `FlatFolder.row_of`."""
        match = self.expression.fullmatch(found.uri)
        if match is None:
            return scan_reject(self.name, found.uri, "no_match", f"the path does not match {self.pattern}")
        return photo_of(self.name, self.spec, found, match)


def photo_of(source: str, spec: SourceSpec, found: Found, match: re.Match[str]) -> Photo:
    """The row of a picture whose uri matched a pattern."""
    named = match.groupdict()
    return Photo(
        source=source,
        uri=found.uri,
        identity=named.get("identity"),
        split=named.get("split"),
        licence=named.get("licence") or spec.licence,
        consent=named.get("consent") or spec.consent,
        attributes=as_attributes({name: text for name, text in named.items() if name not in RECOGNISED}),
        landmarks=None,
        size=found.size,
        stamp=str(found.version),
    )
