"""Read a folder of photos without identities."""

from __future__ import annotations

from collections.abc import Iterator

from faceloom.pipelines.sources.listing import list_files
from faceloom.pipelines.sources.source import place_of, read_span, uri_filter
from faceloom.pipelines.sources.walk import Found
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.source_spec import SourceSpec


class FlatFolder:
    """All pictures in a folder and the folders below it; no identities."""

    in_folders = False
    """Whether most pictures lie in folders."""

    def __init__(self, spec: SourceSpec) -> None:
        self.spec = spec
        self.root = place_of(spec.path)
        self.name = spec.source_name

    def identity_of(self, uri: str) -> str | None:
        """Identity of a photo from its path; None here."""
        return None

    def scan(self) -> Iterator[Photo | Reject]:
        """See `Source.scan`. A file that is not a picture becomes a reject."""
        for row in self._files():
            yield row if isinstance(row, Reject) else self.row_of(row)

    def _files(self, *, sizes: bool = True) -> Iterator[Found | Reject]:
        wanted = uri_filter(self.spec)
        return list_files(self.root, self.name, wanted=wanted, in_folders=self.in_folders, sizes=sizes)

    def row_of(self, found: Found) -> Photo | Reject:
        """Return the row of a picture file."""
        uri, size, version = found
        licence, consent = self.spec.licence, self.spec.consent
        return Photo(self.name, uri, self.identity_of(uri), None, licence, consent, (), None, size, str(version))

    def read(self, photo_uri: str) -> bytes:
        """See `Source.read`."""
        return read_span(self.root, photo_uri)
