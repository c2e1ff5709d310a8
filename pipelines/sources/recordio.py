"""Read photos from MXNet RecordIO, the format of CASIA-WebFace and others: `train.rec`, `train.idx`, `property`."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping

from faceloom.pipelines.recordio.record_file import Head, Index, index_of, read_head, read_picture
from faceloom.pipelines.sources.listing import list_files
from faceloom.pipelines.sources.source import photo_errors, place_of, uri_filter
from faceloom.pipelines.sources.values import as_attributes, as_text
from faceloom.pipelines.sources.walk import Found, ending, is_unsafe, scan_reject
from faceloom.pipelines.store.read_at import File, opened
from faceloom.pipelines.store.store_path import Place, StorePath, file_in_store
from faceloom.schemas.errors import PhotoError, SourceError, StorageError
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.regular_files import UnfitFileError, check_regular
from faceloom.schemas.source_spec import SourceSpec
from faceloom.schemas.urls import url_of

_JOINT = "::"
_NUMBERS = range(2**63)
_OTHER = "not_a_record_file"


def is_companion(name: str) -> bool:
    """Whether a file with this name lies beside .rec files and holds no photos to list."""
    return name in ("property", "labels.csv") or ending(name) in ("idx", "lst", "bin")


class RecordIo:
    """The records of a .rec file, or of all .rec files in a folder; read without MXNet and without unpacking.

    A uri is `train.rec::000000017`: the file, and the record's number in the .idx file, or from 0 without one. The
    identity is the first label of the record; the others become attributes `label_1` and so on. Records that hold only
    numbers, such as InsightFace's two kinds that mark where identities begin, are skipped.
    """

    def __init__(self, spec: SourceSpec) -> None:
        self.spec = spec
        self.name = spec.source_name
        self.root, self.file = _root_and_file(spec.path)

    def scan(self) -> Iterator[Photo | Reject]:
        """See `Source.scan`. A truncated or damaged record becomes a reject that names its offset."""
        wanted = uri_filter(self.spec)
        files = sorted(self._files(), key=lambda row: row.uri + _JOINT)
        if not any(isinstance(file, Found) for file in files):
            raise SourceError("no .rec file at this path", where=self.spec.path, remedy="Check the path")
        for file in files:
            for row in (file,) if isinstance(file, Reject) else self._records(file):
                if wanted is None or wanted(row.uri):
                    yield row

    def read(self, photo_uri: str) -> bytes:
        """See `Source.read`. The first read from a file loads its index; later reads seek to the bytes."""
        file, _, number = photo_uri.partition(_JOINT)
        path = self.root / file
        try:
            # A single .rec file is the source itself.
            with photo_errors(path if file == self.file else self.root, photo_uri):
                picture = read_picture(path, int(number))
        except ValueError as error:
            raise PhotoError("unreadable", f"cannot be read ({error})", where=photo_uri) from error
        if picture is None:
            raise PhotoError("vanished", "no longer in its .rec file", where=photo_uri)
        return picture

    def _files(self) -> Iterator[Found | Reject]:
        if not self.file:
            for row in list_files(self.root, self.name, endings=frozenset({"rec"}), other=_OTHER):
                # Other codes are of links, pipes and folders, whatever their names.
                if isinstance(row, Found) or row.code != _OTHER or not is_companion(row.uri.rpartition("/")[2]):
                    yield row
            return
        path = self.root / self.file
        try:
            if isinstance(path, StorePath):
                size, e_tag = path.storage.stamp(path.path)
                yield Found(self.file, int(str(size)), str(e_tag or "").strip('"'))
                return
            stat = path.stat()
            check_regular(stat)
        except UnfitFileError as error:
            raise SourceError(f"no .rec file: {error}", where=str(path), remedy="Check the path") from error
        except (OSError, StorageError) as error:
            why = error.what if isinstance(error, StorageError) else error.strerror
            raise SourceError(f"the .rec file is gone ({why})", where=str(path), remedy="Check the path") from error
        yield Found(self.file, stat.st_size, stat.st_mtime_ns)

    def _records(self, file: Found) -> Iterator[Photo | Reject]:
        if _JOINT in file.uri or is_unsafe(file.uri):
            yield scan_reject(self.name, file.uri, "bad_name", f"the name holds {_JOINT} or a control character")
            return
        path = self.root / file.uri
        before: int | None = None
        try:
            index = index_of(path)
            with opened(path) as opened_file:
                heads = _heads_in_order(opened_file, index)
                for number, offset in zip(index.numbers.tolist(), index.offsets.tolist(), strict=True):
                    uri = f"{file.uri}{_JOINT}{number:09d}"
                    if number == before:
                        yield scan_reject(self.name, uri, "duplicate_uri", "a second record with this number")
                    elif number not in _NUMBERS:
                        message = "the record number in the .idx file is out of range"
                        yield scan_reject(self.name, uri, "damaged_record", message)
                    elif (row := self._row(opened_file, uri, offset, file.version, heads)) is not None:
                        yield row
                    before = number
        except (OSError, ValueError) as error:
            yield scan_reject(self.name, file.uri, "unreadable", f"cannot be read ({error})")
        else:
            if before is None:
                yield scan_reject(self.name, file.uri, "empty", "a .rec file without records")

    def _row(
        self, file: File, uri: str, offset: int, version: int | str, heads: Mapping[int, Head]
    ) -> Photo | Reject | None:
        try:
            head = heads.get(offset) or read_head(file, offset)
        except ValueError as error:
            return scan_reject(self.name, uri, "damaged_record", str(error))
        except OSError as error:  # a bad disk sector affects its own records only
            return scan_reject(self.name, uri, "unreadable", f"cannot be read ({error})")
        if head.length == 0:
            return None if head.packed else scan_reject(self.name, uri, "empty")
        if math.isinf(head.labels[0]):
            return scan_reject(self.name, uri, "damaged_record", "its label is infinite")
        return Photo(
            source=self.name,
            uri=uri,
            identity=as_text(head.labels[0]),
            split=None,
            licence=self.spec.licence,
            consent=self.spec.consent,
            attributes=as_attributes({f"label_{place}": label for place, label in enumerate(head.labels) if place}),
            landmarks=None,
            size=head.length,
            stamp=f"{version}+{offset}",
        )


def _root_and_file(path: str) -> tuple[Place, str]:
    """The folder of the .rec files, and the file in it that the source is; empty for all of them."""
    if (url := url_of(path)) and ending(url) == "rec":
        file = file_in_store(url)
        return StorePath(file.storage), file.path
    place = place_of(path)
    if isinstance(place, StorePath) or place.is_dir():
        return place, ""
    return place.parent, place.name


def _heads_in_order(file: File, index: Index) -> dict[int, Head]:
    """The heads of the records of an object, by offset, if their numbers have another order than their places.

    Read in the order of the numbers, each would take a request.
    """
    heads: dict[int, Head] = {}
    if isinstance(file, int) or bool((index.offsets[1:] >= index.offsets[:-1]).all()):
        return heads
    for offset in sorted(index.offsets.tolist()):
        with contextlib.suppress(ValueError):  # reported with its number
            heads[offset] = read_head(file, offset)
    return heads
