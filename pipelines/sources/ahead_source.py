"""A source in an object store: any adapter, whose photos and label files are read ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

from faceloom.pipelines.sources.read_ahead import AHEAD, ReadAhead
from faceloom.pipelines.sources.source import LabelledSource, Source, labels_of
from faceloom.schemas.errors import PhotoError
from faceloom.schemas.labels import LabelFiles
from faceloom.schemas.photos import Photo, Reject

_Labels = LabelFiles | PhotoError | None


class AheadSource:
    """Reads photos ahead in the order that `expect` announces.

    Attributes:
        source: the adapter.
        name: of the source.
    """

    def __init__(self, source: Source) -> None:
        self.source, self.name = source, source.name
        self._ahead = ReadAhead(self._read)
        self._lock = threading.Lock()
        self._labels: dict[str, _Labels] = {}

    def __reduce__(self) -> tuple[type[AheadSource], tuple[Source]]:
        return AheadSource, (self.source,)

    @property
    def notices(self) -> tuple[str, ...]:
        """What the last scan left out."""
        return tuple(getattr(self.source, "notices", ()))

    def scan(self) -> Iterator[Photo | Reject]:
        """See `Source.scan`."""
        return self.source.scan()

    def expect(self, uris: Iterable[str]) -> None:
        """See `ExpectingSource.expect`."""
        self._ahead.expect(uris)

    def read(self, photo_uri: str) -> bytes:
        """See `Source.read`."""
        data, labels = self._ahead.read(photo_uri)
        if isinstance(self.source, LabelledSource):
            with self._lock:
                self._labels[photo_uri] = labels
                while len(self._labels) > AHEAD:
                    del self._labels[next(iter(self._labels))]
        return data

    def read_labels(self, photo_uri: str) -> LabelFiles | None:
        """See `LabelledSource.read_labels`. Those of a photo that was just read have come with it."""
        with self._lock:
            known = photo_uri in self._labels
            labels = self._labels.pop(photo_uri, None)
        if isinstance(labels, PhotoError):
            raise labels
        return labels if known else labels_of(self.source, photo_uri)

    def _read(self, uri: str) -> tuple[bytes, _Labels]:
        data = self.source.read(uri)
        try:
            return data, labels_of(self.source, uri)
        except PhotoError as error:
            return data, error
