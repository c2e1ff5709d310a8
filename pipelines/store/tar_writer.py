"""Write tar members for WebDataset. Headers hold only name and size, so equal samples give equal bytes."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterable
from typing import BinaryIO

from faceloom.schemas.index import Member

BLOCK = 512
END = bytes(2 * BLOCK)
"""The two zero blocks that end an archive."""

# Only name, size and checksum differ between headers; the checksum counts its own eight bytes as spaces.
_BLANK = tarfile.TarInfo("").tobuf(tarfile.USTAR_FORMAT)
_BLANK_SUM = sum(_BLANK[:124]) + sum(_BLANK[136:148]) + 8 * ord(" ") + sum(_BLANK[156:])


def member_header(name: str, size: int) -> bytes:
    """Return the 512-byte USTAR header of a regular file: mtime 0, owner 0, mode 0644.

    Raises:
        ValueError: the name is longer than 100 bytes, or the size is 8 GiB or more.
    """
    encoded = name.encode()
    if len(encoded) > 100:
        raise ValueError(f"tar member name too long: {name}")
    if size >= 8**11:
        raise ValueError(f"tar member too large: {size} bytes")
    length = b"%011o\0" % size
    checksum = b"%06o\0 " % (_BLANK_SUM + sum(encoded) + sum(length))
    return b"".join((encoded.ljust(100, b"\0"), _BLANK[100:124], length, _BLANK[136:148], checksum, _BLANK[156:]))


def append_sample(stream: BinaryIO, offset: int, key: str, files: Iterable[tuple[str, bytes]]) -> tuple[Member, ...]:
    """Append the files of one sample in the given order.

    Args:
        stream: the tar, open for writing.
        offset: where the sample begins in the tar, in bytes.
        key: the sample's key; a file `face.jpg` becomes `key.face.jpg`.
        files: name and content of each.

    Returns:
        The byte range of each content in the tar, with its sha256.
    """
    members = []
    for name, content in files:
        padding = -len(content) % BLOCK
        stream.write(b"".join((member_header(f"{key}.{name}", len(content)), content, bytes(padding))))
        members.append(Member(name, offset + BLOCK, len(content), hashlib.sha256(content).hexdigest()))
        offset += BLOCK + len(content) + padding
    return tuple(members)


def sample_length(members: Iterable[Member]) -> int:
    """Length of the members in a tar in bytes, headers and padding included."""
    return sum(BLOCK + member.size + -member.size % BLOCK for member in members)
