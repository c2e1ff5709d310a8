"""Tar members as WebDataset reads them, with nothing in them but name and content."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterable
from typing import BinaryIO

from faceloom.schemas.index import Member

BLOCK = 512
END = bytes(2 * BLOCK)
"""Closes an archive."""

# Only name, size and checksum differ between headers; the sum counts the checksum's own eight bytes as spaces.
_BLANK = tarfile.TarInfo("").tobuf(tarfile.USTAR_FORMAT)
_BLANK_SUM = sum(_BLANK[:124]) + sum(_BLANK[136:148]) + 8 * ord(" ") + sum(_BLANK[156:])


def member_header(name: str, size: int) -> bytes:
    """The 512-byte USTAR header of a plain file: mtime 0, owner 0, mode 0644.

    Raises:
        ValueError: the name is longer than 100 bytes, or the size than 8 GiB.
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
    """Append the files of one sample, in the order given.

    Args:
        stream: open for writing.
        offset: where in the tar the sample begins.
        key: the sample's key; a file `face.jpg` becomes `key.face.jpg`.
        files: name and content of each.

    Returns:
        Where each content lies, as a byte range of the tar, with its digest.
    """
    members = []
    for name, content in files:
        padding = -len(content) % BLOCK
        stream.write(b"".join((member_header(f"{key}.{name}", len(content)), content, bytes(padding))))
        members.append(Member(name, offset + BLOCK, len(content), hashlib.sha256(content).hexdigest()))
        offset += BLOCK + len(content) + padding
    return tuple(members)


def sample_length(members: Iterable[Member]) -> int:
    """Bytes that the members take in a tar, with headers and padding."""
    return sum(BLOCK + member.size + -member.size % BLOCK for member in members)
