"""Read photos from MXNet RecordIO, the format of CASIA-WebFace and others: `train.rec`, `train.idx`, `property`."""

from __future__ import annotations

import math
from collections.abc import Iterator

from faceloom.pipelines.recordio.record_file import index_of, picture_of, read_head
from faceloom.pipelines.sources.source import full_path, read_error, uri_filter
from faceloom.pipelines.sources.values import as_attributes, as_text
from faceloom.pipelines.sources.walk import Found, ending, is_unsafe, scan_reject, walk
from faceloom.schemas.errors import PhotoError, SourceError
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.regular_files import UnfitFileError, check_regular, open_regular_file
from faceloom.schemas.source_spec import SourceSpec

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
        self.path = full_path(spec.path)
        self.root = self.path if self.path.is_dir() else self.path.parent
        self.name = spec.source_name

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
            offset = index_of(path).offset(int(number))
            if offset is None:
                raise PhotoError("vanished", "no longer in its .rec file", where=photo_uri)
            with open_regular_file(path) as stream:
                return picture_of(stream.fileno(), offset)
        except OSError as error:
            # A single .rec file is the source itself.
            raise read_error(path if path == self.path else self.root, photo_uri, error) from error
        except ValueError as error:
            raise PhotoError("unreadable", f"cannot be read ({error})", where=photo_uri) from error

    def _files(self) -> Iterator[Found | Reject]:
        if self.path.is_dir():
            for row in walk(self.path, self.name, endings=frozenset({"rec"}), other=_OTHER):
                # Other codes are of links, pipes and folders, whatever their names.
                if isinstance(row, Found) or row.code != _OTHER or not is_companion(row.uri.rpartition("/")[2]):
                    yield row
            return
        try:
            stat = self.path.stat()
            check_regular(stat)
        except UnfitFileError as error:
            raise SourceError(f"no .rec file: {error}", where=str(self.path), remedy="Check the path") from error
        except OSError as error:
            raise SourceError(
                f"the .rec file is gone ({error.strerror})", where=str(self.path), remedy="Check the path"
            ) from error
        yield Found(self.path.name, stat.st_size, stat.st_mtime_ns)

    def _records(self, file: Found) -> Iterator[Photo | Reject]:
        if _JOINT in file.uri or is_unsafe(file.uri):
            yield scan_reject(self.name, file.uri, "bad_name", f"the name holds {_JOINT} or a control character")
            return
        path = self.root / file.uri
        before: int | None = None
        try:
            index = index_of(path)
            with open_regular_file(path) as stream:
                for number, offset in zip(index.numbers.tolist(), index.offsets.tolist(), strict=True):
                    uri = f"{file.uri}{_JOINT}{number:09d}"
                    if number == before:
                        yield scan_reject(self.name, uri, "duplicate_uri", "a second record with this number")
                    elif number not in _NUMBERS:
                        message = "the record number in the .idx file is out of range"
                        yield scan_reject(self.name, uri, "damaged_record", message)
                    elif (row := self._row(stream.fileno(), uri, offset, file.mtime_ns)) is not None:
                        yield row
                    before = number
        except (OSError, ValueError) as error:
            yield scan_reject(self.name, file.uri, "unreadable", f"cannot be read ({error})")
        else:
            if before is None:
                yield scan_reject(self.name, file.uri, "empty", "a .rec file without records")

    def _row(self, file: int, uri: str, offset: int, mtime_ns: int) -> Photo | Reject | None:
        try:
            head = read_head(file, offset)
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
            stamp=f"{mtime_ns}+{offset}",
        )
