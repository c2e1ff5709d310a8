"""Read pictures from one folder, and a flattened label map of the same name for each from another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from faceloom.pipelines.sources.flat_folder import FlatFolder
from faceloom.pipelines.sources.listing import entries_of
from faceloom.pipelines.sources.source import lies_there, place_of, read_if_there, stamp_of_file
from faceloom.pipelines.sources.walk import Found
from faceloom.pipelines.store.store_path import StorePath
from faceloom.schemas.errors import SourceError
from faceloom.schemas.keys import digest
from faceloom.schemas.labels import LabelFiles
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.source_spec import SourceSpec

_ENDINGS = ("png", "bmp", "tif", "tiff", "gif")
"""File name endings of label maps: lossless formats, the most common first."""


class LabelMaps(FlatFolder):
    """All pictures below a folder; the label map of `a/1.jpg` is `a/1.png` below `spec.labels`. No identities."""

    def __init__(self, spec: SourceSpec) -> None:
        super().__init__(spec)
        self.labels = place_of(spec.labels or "")
        self._listed: Mapping[str, str] = {}
        there = next(entries_of(self.labels), None) if isinstance(self.labels, StorePath) else self.labels.is_dir()
        if not there:
            remedy = "Give the folder of label maps as the source's `labels`"
            raise SourceError("the folder of label maps does not exist", where=str(self.labels), remedy=remedy)
        self.order = spec.label_order if isinstance(spec.label_order, str) else "given"
        # The meaning of the values belongs to the stamp like the bytes: see `LabelFiles.sha256`.
        self.meaning = digest(self.order, spec.label_names)[:12]

    def scan(self) -> Iterator[Photo | Reject]:
        """See `Source.scan`."""
        if isinstance(self.labels, StorePath):  # a list takes fewer requests than a look for each photo
            self._listed = {one.path: f"{one.size}+{one.e_tag}" for one in entries_of(self.labels)}
        try:
            yield from super().scan()
        finally:
            self._listed = {}

    def row_of(self, found: Found) -> Photo | Reject:
        """See `FlatFolder.row_of`. A picture whose label map is missing or cannot be read is still a photo."""
        row = super().row_of(found)
        if isinstance(row, Reject):
            return row
        for name in _maps_of(found.uri):
            if stamp := self._stamp(name):
                return replace(row, labels=f"{self.meaning}+{name.rpartition('.')[2]}+{stamp}")
        return row

    def read_labels(self, photo_uri: str) -> LabelFiles | None:
        """See `LabelledSource.read_labels`."""
        for name in _maps_of(photo_uri):
            if (data := read_if_there(self.labels, name, photo_uri)) is not None:
                return LabelFiles(self.order, self.spec.label_names, (("", data),))
        return None

    def _stamp(self, name: str) -> str:
        """Changes with the content of a label map; empty if there is none."""
        if isinstance(self.labels, StorePath):
            return self._listed.get(name, "")
        # A link without a target is a label map that cannot be read, not a photo without one.
        return stamp_of_file(self.labels / name) if lies_there(self.labels / name) else ""


def _maps_of(uri: str) -> list[str]:
    """Paths at which the label map of a photo may lie."""
    stem = uri.rpartition(".")[0]
    return [f"{stem}.{kind}" for kind in _ENDINGS]
