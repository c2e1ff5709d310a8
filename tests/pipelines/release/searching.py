"""Search every file of a folder, however it is stored, for what a person leaves behind."""

from __future__ import annotations

import base64
import gzip
import io
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq

_DATA_URI = re.compile(rb"data:image/[a-z+]+;base64,([A-Za-z0-9+/=]+)")
_PACKED = re.compile(rb"[A-Za-z0-9+/]{200,}={0,2}")
_PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF")


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """A file, and what is packed in it: members of a tar, cells of a table, pictures inside of a page."""
    data = path.read_bytes()
    yield path.name, data
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        yield f"{path.name}::rows", repr((table.to_pylist(), table.schema.metadata)).encode()
    if path.suffix == ".tar":
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar:
                stream = tar.extractfile(member)
                assert stream is not None
                yield f"{path.name}::{member.name}", member.name.encode() + b"\n" + stream.read()
    for number, found in enumerate(_DATA_URI.finditer(data)):
        yield f"{path.name}::picture {number}", b"\n" + base64.b64decode(found[1])
    if path.suffix == ".html":
        for number, found in enumerate(_PACKED.finditer(data)):
            for unpack in (gzip.decompress, zlib.decompress):
                try:
                    yield f"{path.name}::packed {number}", unpack(base64.b64decode(found[0]))
                except (OSError, EOFError, ValueError, zlib.error):
                    continue


def files(folder: Path) -> list[Path]:
    """All files of a folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def naming(folder: Path, words: Iterable[str]) -> dict[str, list[str]]:
    """Files that hold one of some words, by their path."""
    wanted = [word.encode() for word in words]
    found: dict[str, list[str]] = {}
    for path in files(folder):
        places = [place for place, data in contents(path) if any(word in data for word in wanted)]
        if places or any(word.decode() in path.as_posix() for word in wanted):
            found[path.relative_to(folder).as_posix()] = places
    return found


def pictures(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Every picture of a folder, decoded in colour."""
    for path in files(folder):
        for place, data in contents(path):
            at = data.find(b"\n") + 1 if "::" in place else 0
            if data[at:].startswith(_PICTURES):
                pixels = cv2.imdecode(np.frombuffer(data[at:], np.uint8), cv2.IMREAD_COLOR)
                if pixels is not None:
                    yield place, pixels


def look(pixels: np.ndarray) -> np.ndarray:
    """A picture as 16 x 16 grey levels without mean: copies that are scaled or compressed look alike."""
    small = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), (16, 16), interpolation=cv2.INTER_AREA).astype(float)
    small -= small.mean()
    return small / max(float(np.linalg.norm(small)), 1e-9)


def alike(folder: Path, looks: list[np.ndarray], least: float = 0.97) -> list[str]:
    """Places of pictures that resemble one of some looks."""
    wanted = np.array([one.ravel() for one in looks])
    return [place for place, pixels in pictures(folder) if (wanted @ look(pixels).ravel()).max() > least]
