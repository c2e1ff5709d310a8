"""Where the samples of a tar file lie, and whether that can be true. Reads no files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, Protocol, overload

from faceloom.pipelines.store.tar_writer import BLOCK, member_header
from faceloom.schemas.keys import SAMPLE_KEY

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

MOST_BYTES = 1 << 29
"""A longer sample is refused; those of the largest crops are shorter."""
_NAME = re.compile(r"json|[a-z][a-z0-9_]*\.[a-z0-9]+")
_LONGEST_NAME = 100  # key, dot and name of a member: a field of the tar header
_DEVICE = re.compile(r"con|prn|aux|nul|(com|lpt)[0-9]")
_PADDING = bytes(BLOCK)


class Contained(Protocol):
    """The place of a member's content in a tar file: a `Content`, or a `Member` of an index."""

    @property
    def name(self) -> str:
        """File name without the key."""

    @property
    def offset(self) -> int:
        """First byte of the content."""

    @property
    def size(self) -> int:
        """Bytes of the content."""

    @property
    def sha256(self) -> str:
        """Digest of the content."""


class Placed(Protocol):
    """A sample's place in a tar file: a `Place`, or a row of an index."""

    @property
    def key(self) -> str:
        """Key of the sample."""

    @property
    def offset(self) -> int:
        """First byte of its first header."""

    @property
    def length(self) -> int:
        """Bytes to the end of its last padding."""

    @property
    def members(self) -> Sequence[Contained]:
        """Its files in order."""


class Content(NamedTuple):
    """The place of a member's content. Made five times as fast as a `Member`."""

    name: str
    offset: int
    size: int
    sha256: str


class Place(NamedTuple):
    """A sample's place in a tar file, without the other columns of the index."""

    key: str
    offset: int
    length: int
    members: tuple[Content, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Places(Sequence[Place]):
    """The places of all samples of a shard, in some 250 bytes per sample."""

    keys: npt.NDArray[np.bytes_]
    ends: npt.NDArray[np.int64]
    names: tuple[tuple[str, ...], ...]
    kinds: npt.NDArray[np.int32]
    firsts: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    digests: bytes

    @classmethod
    def of(cls, places: Sequence[Place]) -> Places:
        """Pack places that `check_places` has accepted."""
        import numpy as np

        kinds: dict[tuple[str, ...], int] = {}
        number = [kinds.setdefault(tuple(member.name for member in one.members), len(kinds)) for one in places]
        return cls(
            keys=np.array([one.key.encode() for one in places], np.bytes_),
            ends=np.array([0, *(one.offset + one.length for one in places)], np.int64),
            names=tuple(kinds),
            kinds=np.array(number, np.int32),
            firsts=np.cumsum([0, *(len(one.members) for one in places)], dtype=np.int64),
            sizes=np.array([member.size for one in places for member in one.members], np.int64),
            digests=b"".join(bytes.fromhex(member.sha256) for one in places for member in one.members),
        )

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, number: int) -> Place: ...
    @overload
    def __getitem__(self, number: slice) -> list[Place]: ...
    def __getitem__(self, number: int | slice) -> Place | list[Place]:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        if not 0 <= number < len(self):
            raise IndexError(number)
        begin, end = self.ends[number : number + 2].tolist()
        first, members, at = int(self.firsts[number]), [], begin + BLOCK
        for place, name in enumerate(self.names[self.kinds[number]], first):
            size = int(self.sizes[place])
            members.append(Content(name, at, size, self.digests[32 * place : 32 * place + 32].hex()))
            at += size + -size % BLOCK + BLOCK
        return Place(self.keys[number].decode(), begin, end - begin, tuple(members))


def quick_places(table: pa.Table, end: int) -> Places | None:
    """Pack the places of samples if all are certainly right: what `find_misplaced` finds no fault with.

    It takes a tenth of the time, and can neither name a fault nor judge the rare.

    Args:
        table: the columns key, offset, length and members of an index.
        end: where the last sample ends, in bytes.

    Returns:
        The places; None if there may be a fault.
    """
    import numpy as np

    key, offset, length, members = (
        table.column(name).combine_chunks() for name in ("key", "offset", "length", "members")
    )
    parts = members.flatten()
    name, *numbers, sha256 = (parts.field(place) for place in ("name", "offset", "size", "sha256"))
    if not len(table) or any(one.null_count for one in (key, offset, length, members, parts, name, *numbers, sha256)):
        return None
    keys, texts = key.to_pylist(), sha256.to_pylist()
    longest = max(map(len, keys))
    if longest >= _LONGEST_NAME or len(set(keys)) < len(keys) or not all(map(SAMPLE_KEY.fullmatch, keys)):
        return None
    if any(map(_DEVICE.fullmatch, keys)) or set(map(len, texts)) - {64}:
        return None
    try:
        digests = bytes.fromhex(joined := "".join(texts))
    except ValueError:
        return None
    if digests.hex() != joined:  # fromhex takes spaces and capitals too
        return None
    begins, lengths, places, sizes = (one.to_numpy() for one in (offset, length, *numbers))
    if not all(np.all((one >= 0) & (one <= MOST_BYTES)) for one in (lengths, sizes)) or not np.all(lengths):
        return None
    ends, filled = (
        np.concatenate([[0], np.cumsum(one, dtype=np.int64)]) for one in (lengths, BLOCK + sizes + -sizes % BLOCK)
    )
    firsts = members.offsets.to_numpy().astype(np.int64) - members.offsets[0].as_py()
    fits = np.array_equal(begins, ends[:-1]) and np.array_equal(ends, filled[firsts]) and ends[-1] == end
    if not fits or not np.array_equal(places, filled[:-1] + BLOCK):
        return None
    names, at = name.to_pylist(), firsts.tolist()
    kinds: dict[tuple[str, ...], int] = {}
    number = [kinds.setdefault(tuple(names[one:other]), len(kinds)) for one, other in pairwise(at)]
    if any(_name_fault(kind, longest) for kind in kinds):
        return None
    packed = np.array(keys).astype(np.bytes_)
    return Places(packed, ends, tuple(kinds), np.array(number, np.int32), firsts, sizes, digests)


def find_misplaced(places: Iterable[Placed], end: int) -> str:
    """Find the first sample that does not begin where the one before it ends, or whose members do not fill it.

    Args:
        places: of all samples of a tar file, in order.
        end: where the last one ends, in bytes.

    Returns:
        The fault with the number of the row, from 0; empty if there is none.
    """
    at, keys = 0, set()
    for row, place in enumerate(places):
        if len(place.key) >= _LONGEST_NAME or not SAMPLE_KEY.fullmatch(place.key) or _DEVICE.fullmatch(place.key):
            return f"row {row} has the key {ascii(place.key)[:60]}"
        if place.key in keys:
            return f"row {row} has the key {place.key} again"
        keys.add(place.key)
        start, at = at, at + place.length
        if place.offset != start or not 0 < place.length <= MOST_BYTES or at > end:
            return f"row {row}, {place.key}, lists {place.length} bytes from {place.offset}, but begins at {start}"
        for member in place.members:
            if member.offset != start + BLOCK or not 0 <= member.size < at - start:
                return f"row {row}, {place.key}, lists its {member.name[:40]!a} at {member.offset}"
            start += BLOCK + member.size + -member.size % BLOCK
            if not _is_digest(member.sha256):
                return f"row {row}, {place.key}, has no sha256 of its {member.name[:40]!a}"
        if start != at:
            return f"row {row}, {place.key}, has members of {start - place.offset} bytes in {place.length}"
        if fault := _name_fault(tuple(member.name for member in place.members), len(place.key)):
            return f"row {row}, {place.key}, {fault}"
    return "" if at == end else f"its samples end at byte {at} instead of {end}"


def _is_digest(text: str) -> bool:
    return len(text) == 64 and text.isascii() and not text.strip("0123456789abcdef")


@lru_cache(maxsize=256)
def _name_fault(names: tuple[str, ...], key: int) -> str:
    """What is wrong with the names of a sample's members; `key` is the length of its key."""
    for name in names:
        if not _NAME.fullmatch(name) or key + 1 + len(name) > _LONGEST_NAME:
            return f"has a member called {ascii(name)[:60]}"
    if len({name.partition(".")[0] for name in names}) < len(names):
        return "has two members of one name"
    return ""


def contents(place: Placed, data: bytes, begin: int) -> dict[str, bytes]:
    """Cut the content of a sample's members, by name, out of a piece of a tar file that begins at byte `begin`."""
    return {member.name: data[member.offset - begin : member.offset - begin + member.size] for member in place.members}


def find_damage(place: Placed, data: bytes, begin: int) -> str:
    """Compare every byte of a sample with its place in the index.

    Args:
        place: of the sample.
        data: a piece of the tar file that holds the whole sample.
        begin: offset of `data` in the tar file.

    Returns:
        What differs, with the member's name; empty if nothing does.
    """
    for name, offset, size, sha256 in ((m.name, m.offset - begin, m.size, m.sha256) for m in place.members):
        end = offset + size
        if data[offset - BLOCK : offset] != member_header(f"{place.key}.{name}", size):
            return f"the tar header of its {name} differs from the index"
        if hashlib.sha256(memoryview(data)[offset:end]).hexdigest() != sha256:
            return f"the sha256 of its {name} differs from the index"
        padding = -size % BLOCK
        if data[end : end + padding] != _PADDING[:padding]:
            return f"the padding after its {name} is not zero"
    return ""
