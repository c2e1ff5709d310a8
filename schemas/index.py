"""Rows of a shard's index: where each sample lies, what it is made of and how."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a sample inside the tar: byte range of its content, and its digest."""

    name: str
    offset: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Parent:
    """One of the faces that a morph was made from."""

    key: str
    identity: str
    source: str
    uri: str
    photo_sha256: str


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One sample.

    Attributes:
        offset, length: the sample's byte range in the tar, first header to last padding.
        part: digest of the part that it was rendered in.
        mask: label of its mask, empty if it has none.
        parents: the faces that it was made from, if it is a morph: whoever must be erased is looked for here too.
        operations: JSON, every operation in order with its parameters and seed.
        renderer: version of the code that made the pixels.
    """

    key: str
    identity: str
    split: str
    part: str
    offset: int
    length: int
    members: tuple[Member, ...]
    mask: str
    source: str
    uri: str
    photo_sha256: str
    face: int
    parents: tuple[Parent, ...]
    operations: str
    renderer: str
    licence: str | None
    consent: str | None
