"""Rows of a shard's index: the place of each sample, its sources and its operations."""

from __future__ import annotations

from dataclasses import dataclass, replace

from faceloom.schemas.column_types import Count, FileName, Hex, Key, Offset


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a sample inside the tar: byte range of its content, and its digest."""

    name: FileName
    offset: Offset
    size: Offset
    sha256: str


@dataclass(frozen=True, slots=True)
class Parent:
    """One of the two faces of a morph."""

    key: str
    identity: str
    source: str
    uri: str
    photo_sha256: str

    def record(self) -> dict[str, str]:
        """Its fields by name. A quarter of the time of `dataclasses.asdict`, which copies deeply."""
        return {
            "key": self.key,
            "identity": self.identity,
            "source": self.source,
            "uri": self.uri,
            "photo_sha256": self.photo_sha256,
        }


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One sample.

    Attributes:
        offset, length: the sample's byte range in the tar, first header to last padding.
        part: digest of the part that it was rendered in.
        inputs: digest of everything that its bytes depend on: the same digest, the same bytes.
        mask: label of its mask, empty if it has none.
        people: identity of everyone whose face is in its pictures, at least one; both people of a morph.
        parents: the two faces of a morph; otherwise empty.
        operations: JSON, every operation in order with its parameters and seed.
        renderer: version of the rendering code.
    """

    key: Key
    identity: str
    split: FileName
    part: str
    inputs: Hex
    offset: Offset
    length: Offset
    members: tuple[Member, ...]
    mask: str
    source: str
    uri: str
    photo_sha256: str
    face: Count
    people: tuple[str, ...]
    parents: tuple[Parent, ...]
    operations: str
    renderer: str
    licence: str | None
    consent: str | None


def moved(row: IndexRow, offset: int) -> IndexRow:
    """The row of the same sample where it begins at byte `offset` of a tar file."""
    by = offset - row.offset
    if not by:
        return row
    members = tuple(Member(one.name, one.offset + by, one.size, one.sha256) for one in row.members)
    return replace(row, offset=offset, members=members)
