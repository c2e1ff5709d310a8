"""What a person leaves in tables and texts: how an erasure recognises it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from faceloom.schemas.errors import FaceloomError
from faceloom.schemas.keys import IDENTITY_BITS, POSITION_BITS, position, unnamed_person
from faceloom.schemas.photos import Reject

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("key", "split", "identity", "people", "source", "uri", "photo_sha256", "parents")
"""Columns of an index that traces are found in."""
REDACTED = "erased"
"""What stands in a manifest in place of a text that names an erased person."""
_KEY_LETTERS = 16  # of a photo's sha256 in the keys of its samples
_PHOTO = re.compile(rf"[0-9a-f]{{{_KEY_LETTERS}}}(?=-f\d\d)")
_FACE = re.compile(r"[0-9a-f]+-f\d+")  # the key of a face, in those of its samples
_STEP = re.compile(r"/|::")


@dataclass(frozen=True)
class Traces:
    """A person, or photos, to erase, and how files refer to them.

    Attributes:
        identity: of the person; empty if only photos are erased.
        asked: sha256 of the photos to erase, of any people.
        photos: sha256 of all photos that have samples to erase, and none that stay.
        places: source and path of these photos.
        others: sha256 of the photos that have samples which stay.
        other_places: source and path of these photos.
        shared: sha256 of photos with samples of both kinds, such as a photo of two people. Their digest and path do not
            name the person.
        faces: keys of the faces to erase in shared photos.
    """

    identity: str = ""
    asked: frozenset[str] = frozenset()
    photos: frozenset[str] = frozenset()
    places: frozenset[tuple[str, str]] = frozenset()
    others: frozenset[str] = frozenset()
    other_places: frozenset[tuple[str, str]] = frozenset()
    shared: frozenset[str] = frozenset()
    faces: frozenset[str] = frozenset()

    def rows(self, table: pa.Table) -> list[bool]:
        """For each row of an index whether the person or a photo to erase is in its sample, as a parent too.

        A face that the source does not name counts if the path of its photo names the person: a photo of several people
        in the person's folder shows them, and it is unknown which face is theirs.

        Args:
            table: `COLUMNS` of an index.
        """
        columns = (table[name].to_pylist() for name in ("identity", "people", "photo_sha256", "uri", "parents"))
        return [
            self._shows(identity, photo, uri)
            or (bool(self.identity) and self.identity in people)
            or any(self._is_parent(parent) for parent in parents)
            for identity, people, photo, uri, parents in zip(*columns, strict=True)
        ]

    def _shows(self, identity: str, photo: str, uri: str) -> bool:
        if photo in self.asked:
            return True
        if not self.identity:
            return False
        return identity == self.identity or (identity.startswith(unnamed_person(photo)) and self.in_path(uri))

    def _is_parent(self, parent: Mapping[str, str]) -> bool:
        return self._shows(parent["identity"], parent["photo_sha256"], parent["uri"])

    def in_path(self, path: str) -> bool:
        """Whether a path has the identity as a folder, or as the name of a file unless it is a number."""
        if not self.identity or self.identity not in path:
            return False
        *folders, file = _STEP.split(path)
        stems = (step.rpartition(".")[0] for step in (*folders, file)) if self._has_letters else ()
        return self.identity in {*folders, *stems}

    def with_photos_of(self, tables: Iterable[pa.Table]) -> Traces:
        """The same, with the photos that indexes list for it, and those of others."""
        gone: set[tuple[str, tuple[str, str], str]] = set()
        others, other_places = set(self.others), set(self.other_places)
        for table in tables:
            goes = self.rows(table)
            gone.update(self._faces_in(table, goes))
            columns = (table[name].to_pylist() for name in ("photo_sha256", "source", "uri"))
            for leaves, photo, source, uri in zip(goes, *columns, strict=True):
                if not leaves:
                    others.add(photo)
                    other_places.add((source, uri))
        of_person = {*self.photos, *self.shared, *(photo for photo, _, _ in gone)} - self.asked
        shared = frozenset(of_person & others)
        return replace(
            self,
            photos=frozenset(of_person | self.asked) - shared,
            places=(self.places | {place for _, place, _ in gone}) - other_places,
            others=frozenset(others - self.asked),
            other_places=frozenset(other_places),
            shared=shared,
            faces=self.faces | {face for photo, _, face in gone if photo in shared},
        )

    def _faces_in(self, table: pa.Table, goes: list[bool]) -> Iterator[tuple[str, tuple[str, str], str]]:
        """Photo, place and key of each face that makes a row of an index go."""
        import pyarrow as pa

        for row in table.filter(pa.array(goes, pa.bool_())).to_pylist():
            for parent in row["parents"]:
                if self._is_parent(parent):
                    yield parent["photo_sha256"], (parent["source"], parent["uri"]), parent["key"]
            if not row["parents"]:
                face = _FACE.match(row["key"])
                yield row["photo_sha256"], (row["source"], row["uri"]), face[0] if face else row["key"]

    def rejects(self, reject: Reject) -> bool:
        """Whether a reject is of the person or a photo. One too many does no harm: rejects only inform."""
        of_photo = (reject.source, reject.uri) in self.places or self.names_path(reject.uri)
        return of_photo or self.names(reject.key) or self.names(reject.message)

    def may_name(self, reject: Reject, shard: str) -> bool:
        """Whether a reject in the index of a shard may be of a photo of the person that has no samples.

        Nothing states whose such a photo is. But all photos of a person lie at one place of the prefix tree.
        """
        if not self.identity:
            return False
        own = (reject.source, reject.uri) not in self.other_places and self._may_lie_in(shard)
        return own or self.names_unknown(f"{reject.key[_KEY_LETTERS:]} {reject.message}")

    def names_unknown(self, text: str) -> bool:
        """Whether a text holds the key of a face in a photo without samples of others."""
        return not self._other_keys.issuperset(_PHOTO.findall(text))

    def _may_lie_in(self, shard: str) -> bool:
        steps = shard.split("-")
        bits = steps[-2] if len(steps) > 2 else ""
        place = f"{position(self.identity, '0' * 64):0{POSITION_BITS}b}"
        return not {*bits} <= {"0", "1"} or place[:IDENTITY_BITS].startswith(bits[:IDENTITY_BITS])  # the root is `all`

    @cached_property
    def _other_keys(self) -> frozenset[str]:
        return frozenset(photo[:_KEY_LETTERS] for photo in self.others)

    def names_path(self, path: str) -> bool:
        """Whether the path of a photo has the identity as a folder or as its name, or is that of a photo."""
        if any(path in (uri, f"{source}/{uri}") for source, uri in self.places):
            return True
        steps = _STEP.split(path)
        return bool(self.identity) and self.identity in {*steps, *(step.rpartition(".")[0] for step in steps)}

    def names(self, text: str) -> bool:
        """Whether a text holds the identity as a word, the digest of a photo, or a key or path of one.

        An identity without letters, such as a label of RecordIO, is found where a text names it as one: quoted, after a
        word such as `identity`, as a step of a path, or alone. Elsewhere it is a figure.
        """
        return self.names_word(text) or text == self.identity != "" or self._number.search(text) is not None

    def names_word(self, text: str) -> bool:
        """As `names`, but without identities that have no letters."""
        return self._pattern.search(text) is not None

    def redacted(self, text: str) -> str:
        """A text with `REDACTED` in place of what `names` finds."""
        if text and text == self.identity:
            return REDACTED
        return self._number.sub(REDACTED, self._pattern.sub(REDACTED, text))

    @cached_property
    def _has_letters(self) -> bool:
        return any(letter.isalpha() for letter in self.identity)

    @cached_property
    def _number(self) -> re.Pattern[str]:
        """Where a text names an identity without letters."""
        if not self.identity or self._has_letters:
            return re.compile(r"(?!)")
        word, start, end = re.escape(self.identity), r"(?<![\w.,/-])", r"(?![\w]|[.,]\d)"
        ways = [
            rf"([\"'`]){word}\1",
            rf"(?i:\b(?:identity|person|label|subject|class)[ :=]{{1,2}}){word}{end}",
            rf"(?<=/){word}(?=/\S*[^\W\d]|::)",
            rf"{start}{word}(?=/\S*[^\W\d])",
            rf"(?:(?<=\()|(?<=, )){word}(?= in \S+ and )",  # a warning about several sources
            rf"(?:(?<=: )|(?<=, )){word}(?= has [\d,]+ of [\d,]+ photos\b)",  # one about people with many photos
        ]
        return re.compile("|".join(ways))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        parts = [rf"{photo[:_KEY_LETTERS]}(?:{photo[_KEY_LETTERS:]})?" for photo in sorted(self.photos)]
        parts += [rf"{face}(?!\d)" for face in sorted(self.faces)]
        words = sorted({uri for _, uri in self.places}, key=len, reverse=True)
        if self._has_letters:  # a number is found in any text
            words.append(self.identity)
        parts += [rf"(?<!\w){re.escape(word)}(?!\w)" for word in words]
        return re.compile("|".join(parts) or r"(?!)")


def traces_of(identity: str = "", photos: Iterable[str] = ()) -> Traces:
    """The traces of a person, of photos, or of both.

    Raises:
        FaceloomError: neither is given, or a photo is no sha256.
    """
    asked = frozenset(photo.strip().lower() for photo in photos)
    for photo in asked:
        if not re.fullmatch(r"[0-9a-f]{64}", photo):
            remedy = "Give the sha256 of the file, 64 hexadecimal digits, as `sha256sum` prints it"
            raise FaceloomError("this is no digest of a photo", value=ascii(photo)[:80], remedy=remedy)
    if not identity and not asked:
        remedy = "Give --identity, --photo or both"
        raise FaceloomError("nothing to erase is given", remedy=remedy)
    return Traces(identity, asked, asked)
