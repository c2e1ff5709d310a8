"""Read WebDataset shards: tar files in which members with the same key form a sample."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from faceloom.pipelines.sources.shard_files import list_shards, shards_at
from faceloom.pipelines.sources.shard_sample import NOTES, Members, SampleNotes, attributes_of, photo_of
from faceloom.pipelines.sources.source import photo_errors, read_span, uri_filter
from faceloom.pipelines.sources.tar_index import find_picture
from faceloom.pipelines.sources.tar_members import Member, members_of
from faceloom.pipelines.sources.text_labels import RepeatedTexts
from faceloom.pipelines.sources.values import as_attributes, notices_of
from faceloom.pipelines.sources.walk import Found, is_unsafe, scan_reject
from faceloom.pipelines.store.read_at import File, opened, read_at, up_to_date, version_of
from faceloom.pipelines.store.store_path import StorePath
from faceloom.schemas.errors import PhotoError, SourceError
from faceloom.schemas.photos import Photo, Reject
from faceloom.schemas.source_spec import SourceSpec

_JOINT = "::"
_MOST_NOTES = 2**27
"""Bytes of notes that are kept while a tar file in a store is listed; others are read by their range."""


class WebDatasetShards:
    """Samples of uncompressed tar files: one file, all in a folder, or those that match a pattern.

    Nothing is unpacked. A sample is all members whose paths agree up to the first dot of the file name. `photo_of` and
    `SampleNotes` read them; `json` also gives split, attributes, licence and consent. If people are named in `txt`
    alone, the tar files are read twice, to see which texts repeat.
    """

    def __init__(self, spec: SourceSpec) -> None:
        self.spec = spec
        self.root, self.pattern = shards_at(spec.path)
        self.name = spec.source_name
        self.notices: tuple[str, ...] = ()

    def scan(self) -> Iterator[Photo | Reject]:
        """See `Source.scan`. One row per sample, and one per file that belongs to no sample."""
        left_out: Counter[str] = Counter()
        wanted = uri_filter(self.spec)
        shards = sorted(list_shards(self.root, self.pattern, self.name), key=lambda row: row.uri + _JOINT)
        if not any(isinstance(shard, Found) for shard in shards):
            raise SourceError(
                "no tar file at this path", where=self.spec.path, remedy="Check the path, or the pattern's range"
            )
        is_name = RepeatedTexts(lambda: self._texts(shards))
        for shard in shards:
            if isinstance(shard, Reject):
                if shard.code != "missing_file":  # which holds an unknown number of photos, and is none
                    yield shard
                continue
            for row in sorted(self._samples(shard, left_out, is_name), key=lambda row: row.uri):
                if wanted is None or wanted(row.uri):
                    yield row
        missing = [shard.uri for shard in shards if isinstance(shard, Reject) and shard.code == "missing_file"]
        self.notices = (*notices_of_missing(missing), *notices_of(left_out))

    def read(self, photo_uri: str) -> bytes:
        """See `Source.read`. The first read from a shard lists its members; later reads seek to the bytes."""
        shard, _, name = photo_uri.partition(_JOINT)
        file = self.root / shard
        # A single tar file is the source itself.
        with photo_errors(file if shard == self.pattern else self.root, photo_uri):
            return up_to_date(file, partial(self._read, shard, name, photo_uri))

    def _read(self, shard: str, name: str, uri: str) -> bytes:
        file = self.root / shard
        e_tag = str(version_of(file)[1]) if isinstance(file, StorePath) else ""
        if (place := find_picture(file, name)) is None:
            raise PhotoError("vanished", "no longer in its tar file", where=uri)
        if isinstance(file, StorePath):
            return file.storage.read_range(file.path, *place, e_tag or None)
        return read_span(self.root, shard, *place, uri=uri)

    def _texts(self, shards: Sequence[Found | Reject]) -> Iterator[str]:
        """The `txt` of each sample that has one, empty if it is a caption."""
        for shard in shards:
            samples: dict[str, Members] = {}
            notes = _Notes()
            with contextlib.suppress(OSError, ValueError):  # the scan reports a damaged tar file
                if isinstance(shard, Found):
                    with opened(self.root / shard.uri) as file:
                        for member in members_of(file):
                            if not _sort_in(member, samples) and not isinstance(file, int):
                                notes.keep(member, file)
            for beside in (SampleNotes(self.root, shard.uri, sample, notes) for sample in samples.values()):
                with contextlib.suppress(PhotoError):
                    if beside.has_text:
                        yield beside.label(beside.facts()) or ""

    def _samples(
        self, shard: Found, left_out: Counter[str], is_name: Callable[[str], bool]
    ) -> Iterator[Photo | Reject]:
        if _JOINT in shard.uri or is_unsafe(shard.uri):
            yield scan_reject(self.name, shard.uri, "bad_name", f"the name holds {_JOINT} or a control character")
            return
        samples: dict[str, Members] = {}
        notes = _Notes()
        try:
            with opened(self.root / shard.uri) as file:
                for member in members_of(file):
                    code = _sort_in(member, samples)
                    if code:
                        yield scan_reject(self.name, shard.uri + _JOINT + member.name, code)
                    elif not isinstance(file, int):
                        notes.keep(member, file)
        except (OSError, ValueError) as error:
            message = f"{error}; samples before it are used"
            yield scan_reject(self.name, shard.uri, "damaged_shard", message)
        else:
            if not samples:
                yield scan_reject(self.name, shard.uri, "empty", "a tar file without samples")
        for key, sample in samples.items():
            uri = shard.uri + _JOINT + key
            try:
                photo = photo_of(sample)
                uri = shard.uri + _JOINT + photo.name
                beside = SampleNotes(self.root, shard.uri, sample, notes)
                yield self._photo(shard, uri, photo, beside, left_out, is_name)
            except PhotoError as error:
                yield scan_reject(self.name, uri, error.code, error.what)

    def _photo(
        self,
        shard: Found,
        uri: str,
        photo: Member,
        notes: SampleNotes,
        left_out: Counter[str],
        is_name: Callable[[str], bool],
    ) -> Photo:
        if is_unsafe(uri):
            raise PhotoError("bad_name", "the name holds a control character or undecodable bytes")
        facts = notes.facts()
        try:
            attributes = as_attributes(attributes_of(facts, self.spec.columns, left_out), left_out)
        except ValueError as error:
            raise PhotoError("bad_metadata", f"the json has {error}") from error
        field, stated = self.spec.columns.identity, "identity" in self.spec.columns.model_fields_set
        return Photo(
            source=self.name,
            uri=uri,
            identity=notes.identity(facts, field if stated else None, is_name) if field else None,
            split=notes.role("split", facts.get("split")),
            licence=notes.role("licence", facts.get("licence", facts.get("license"))) or self.spec.licence,
            consent=notes.role("consent", facts.get("consent")) or self.spec.consent,
            attributes=attributes,
            landmarks=notes.landmarks(facts),
            size=photo.size,
            stamp=f"{shard.version}+{photo.offset}",
        )


def notices_of_missing(names: Sequence[str]) -> tuple[str, ...]:
    """What the user should know about tar files that a pattern names and that do not exist."""
    if not names:
        return ()
    shown = ", ".join(ascii(name)[1:-1] for name in names[:5]) + (", …" if len(names) > 5 else "")
    many = "1 tar file" if len(names) == 1 else f"{len(names):,} tar files"
    return (f"{many} of the pattern {'does' if len(names) == 1 else 'do'} not exist: {shown}",)


class _Notes(dict[int, bytes]):
    """Notes of a tar file in a store, by offset: read in passing, because each would take a request later."""

    left = _MOST_NOTES

    def keep(self, member: Member, file: File) -> None:
        kind = member.name.rpartition("/")[2].partition(".")[2].lower()
        if kind in NOTES and member.is_file and member.size <= self.left:
            self[member.offset] = read_at(file, member.size, member.offset)
            self.left -= member.size


def _sort_in(member: Member, samples: dict[str, Members]) -> str:
    """Add a member to its sample; return the reject code if it belongs to none."""
    folder, slash, base = member.name.rpartition("/")
    if base.startswith("."):
        return "resource_fork" if base.startswith("._") else "hidden_file"
    key, _, kind = base.partition(".")
    sample = samples.setdefault(folder + slash + key, {})
    if kind.lower() in sample:
        return "duplicate_uri"
    sample[kind.lower()] = member
    return ""
