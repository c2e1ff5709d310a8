"""Read pictures from one folder, and a flattened label map of the same name for each from another."""

from __future__ import annotations

from dataclasses import replace

from faceloom.pipelines.sources.flat_folder import FlatFolder
from faceloom.pipelines.sources.source import full_path, lies_there, read_span, stamp_of_file
from faceloom.pipelines.sources.walk import Found
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
        self.labels = full_path(spec.labels or "")
        if not self.labels.is_dir():
            remedy = "Give the folder of label maps as the source's `labels`"
            raise SourceError("the folder of label maps does not exist", where=str(self.labels), remedy=remedy)
        self.order = spec.label_order if isinstance(spec.label_order, str) else "given"
        # The meaning of the values belongs to the stamp like the bytes: see `LabelFiles.sha256`.
        self.meaning = digest(self.order, spec.label_names)[:12]

    def row_of(self, found: Found) -> Photo | Reject:
        """See `FlatFolder.row_of`. A picture whose label map is missing or cannot be read is still a photo."""
        row = super().row_of(found)
        name = self._map_of(found.uri)
        if isinstance(row, Reject) or name is None:
            return row
        return replace(row, labels=f"{self.meaning}+{name.rpartition('.')[2]}+{stamp_of_file(self.labels / name)}")

    def read_labels(self, photo_uri: str) -> LabelFiles | None:
        """See `LabelledSource.read_labels`."""
        name = self._map_of(photo_uri)
        if name is None:
            return None
        return LabelFiles(self.order, self.spec.label_names, (("", read_span(self.labels, name, uri=photo_uri)),))

    def _map_of(self, uri: str) -> str | None:
        stem = uri.rpartition(".")[0]
        # A link without a target is a label map that cannot be read, not a photo without one.
        names = (f"{stem}.{kind}" for kind in _ENDINGS)
        return next((name for name in names if lies_there(self.labels / name)), None)
