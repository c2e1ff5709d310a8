"""Readers of RecordIO that share no code with faceloom, to check its files."""

from __future__ import annotations

import struct
from pathlib import Path

MAGIC = struct.pack("<I", 0xCED7230A)


def read_plainly(data: bytes, at: int = 0, most: int | None = None) -> list[bytes]:
    """What lies in each record from a place on, by the format's description and nothing of ours."""
    found, parts = [], []  # type: list[bytes], list[bytes]
    while at < len(data) and len(found) != most:
        magic, word = struct.unpack_from("<II", data, at)
        assert magic == 0xCED7230A
        length = word & 0x1FFFFFFF
        parts.append(data[at + 8 : at + 8 + length])
        at += 8 + (length + 3) // 4 * 4
        if word >> 29 in (0, 3):
            found.append(MAGIC.join(parts))
            parts = []
    assert not parts
    return found


def train_on(folder: Path) -> list[tuple[int, bytes]]:
    """Label and picture of each record, found as InsightFace's loader for PyTorch does, by nothing of ours.

    It takes number 0 first. If that has a flag, the first of its labels is one more than the number of pictures, which
    are 1, 2, 3 …; otherwise all records are pictures.
    """
    data = (folder / "train.rec").read_bytes()
    lines = [line.split("\t") for line in (folder / "train.idx").read_text().splitlines()]
    places = {int(number): int(begin) for number, begin in lines}

    def record(number: int) -> tuple[tuple[float, ...], bytes]:
        content = read_plainly(data, places[number], 1)[0]
        flag, label, _, _ = struct.unpack_from("<IfQQ", content)
        labels = struct.unpack_from(f"<{flag}f", content, 24)
        return labels or (label,), content[24 + 4 * flag :]

    head, rest = record(0)
    numbers = range(1, int(head[0])) if not rest else list(places)
    return [(int(record(number)[0][0]), record(number)[1]) for number in numbers]
