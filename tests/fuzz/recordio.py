"""RecordIO files: records with odd chunks, flags and labels, and the files beside them."""

from __future__ import annotations

import struct
from pathlib import Path
from random import Random

from tests.fuzz import notes
from tests.fuzz.base import INPUT, Case, Kind, build, face_photo, tiny_photo
from tests.fuzz.mutate import mutate, noise
from tests.fuzz.rules import Outcomes

_MAGIC = 0xCED7230A
_FLOATS = (0.0, 1.0, -1.0, 0.5, 1e30, float("nan"), float("inf"), float("-inf"), 16_777_217.0)


def record(
    content: bytes,
    flag: int = 0,
    labels: tuple[float, ...] = (1.0,),
    numbers: tuple[int, int] = (7, 0),
    chunk: int = 0,
    length: int | None = None,
    magic: int = _MAGIC,
) -> bytes:
    """A record. If flag is not 0 that many labels are stated, whatever follows."""
    extra = struct.pack(f"<{len(labels)}f", *labels) if flag else b""
    body = struct.pack("<IfQQ", flag, labels[0] if labels else 0.0, *numbers) + extra + content
    return chunk_of(body, chunk, length, magic)


def chunk_of(body: bytes, chunk: int = 0, length: int | None = None, magic: int = _MAGIC) -> bytes:
    """A chunk of a record; `length` is what its header states."""
    stated = len(body) if length is None else length
    return struct.pack("<II", magic, chunk << 29 | stated & (1 << 29) - 1) + body + bytes(-len(body) % 4)


def _with_index(*records: bytes) -> Case:
    lines, at = [], 0
    for number, one in enumerate(records):
        lines.append(b"%d\t%d\n" % (number, at))
        at += len(one)
    return {"train.rec": b"".join(records), "train.idx": b"".join(lines)}


def seeds() -> dict[str, Case]:
    """Files as InsightFace writes them, and files that lie about lengths and numbers."""
    one, two = record(tiny_photo()), record(tiny_photo(1), labels=(2.0,))
    head = record(b"", 2, (3.0, 3.0))
    good = _with_index(head, one, two, record(face_photo()))
    middle = chunk_of(b"x" * 40, 2)
    rec = good["train.rec"]
    return {
        "valid": {**good, "property": b"2,112,112\n", "train.lst": b"1\ta.jpg\t0\n", "lfw.bin": b"\x80\4K\1."},
        "without index": {"train.rec": rec},
        "empty": {"train.rec": b"", "train.idx": b""},
        "index alone": {"train.rec": b"", "train.idx": good["train.idx"]},
        "2^62": {"train.rec": rec, "train.idx": b"0\t0\n1\t%d\n" % 2**62},
        "2^80": {"train.rec": rec, "train.idx": b"0\t0\n%d\t%d\n" % (2**80, 2**90)},
        "minus": {"train.rec": rec, "train.idx": b"-1\t0\n1\t-5\n"},
        "floats": {"train.rec": rec, "train.idx": b"0.0\t0.0\n"},
        "three columns": {"train.rec": rec, "train.idx": b"0\t0\t0\n"},
        "digits": {"train.rec": rec, "train.idx": b"0\t" + b"9" * 5_000},
        "underscores": {"train.rec": rec, "train.idx": b"1_0\t0\n"},
        "letters": {"train.rec": rec, "train.idx": "٣\t0\n".encode()},
        "same number": {"train.rec": rec, "train.idx": b"1\t0\n" * 2_000},
        "one place": {"train.rec": rec, "train.idx": b"".join(b"%d\t0\n" % n for n in range(2_000))},
        "binary index": {"train.rec": rec, "train.idx": bytes(range(256)) * 40},
        "2^32 labels": _with_index(record(tiny_photo(), 2**32 - 1)),
        "2^29 bytes": _with_index(one, record(b"x", length=2**29 - 1)),
        "endless parts": {"train.rec": chunk_of(b"x" * 40, 1) + middle * 5_000},
        "part of another": _with_index(middle, one),
        "part without end": _with_index(chunk_of(b"x" * 40, 1), one),
        "short": _with_index(chunk_of(b"abc"), one),
        "nan": _with_index(record(tiny_photo(), labels=(float("nan"),)), record(tiny_photo(1), 2, (float("inf"), 1.0))),
        "folder of side files": {**good, "lost.bin": b"", "labels.csv": b"a,b\n", "x.txt": b"?"},
    }  # fmt: skip


def make(rng: Random) -> Case:
    """Records of any kind, with an index that is right, wrong or missing."""
    records = []
    for number in range(rng.randrange(1, 6)):
        picture = rng.choice(
            (tiny_photo(number), tiny_photo(number), b"", noise(rng, 20), struct.pack("<I", _MAGIC) * 9)
        )
        if rng.random() < 0.5:
            records.append(record(picture))
            continue
        flag = rng.choice((0, 1, 2, 5, 1000, 2**31, 2**32 - 1))
        labels = tuple(rng.choice(_FLOATS) for _ in range(rng.choice((1, 1, 2, 5))))
        numbers = (rng.choice((0, 7, 2**64 - 1)), rng.choice((0, 2**63)))
        length = rng.choice((None, None, 0, 23, 24, 2**29 - 1, len(picture)))
        records.append(
            record(
                picture, flag, labels, numbers, rng.choice((0, 0, 1, 2, 3, 5)), length, rng.choice((_MAGIC, _MAGIC, 0))
            )
        )
    case = _with_index(*records)
    if rng.random() < 0.3:
        case["train.rec"] = mutate(rng, case["train.rec"])
    what = rng.random()
    if what < 0.2:
        del case["train.idx"]
    elif what < 0.4:
        case["train.idx"] = mutate(rng, case["train.idx"])
    elif what < 0.6:
        words = (b"0", b"1", b"-1", b"5", b"99999999999999999999", b"x", b"1.5", b"0x10", b"+1", b"")
        lines = (
            rng.choice((b"\t", b" ", b",", b"")).join(rng.choice(words) for _ in range(2))
            for _ in range(rng.randrange(9))
        )
        case["train.idx"] = rng.choice((b"\n", b"\r\n")).join(lines)
    if rng.random() < 0.2:
        case[rng.choice(("property", "train.lst", "lfw.bin", "other.rec", "labels.csv"))] = notes.text(rng)
    return case


def run(folder: Path, outcomes: Outcomes) -> None:
    """Build from the folder of the records."""
    build(folder, outcomes, folder / INPUT)


KIND = Kind("recordio", seeds, make, run)
