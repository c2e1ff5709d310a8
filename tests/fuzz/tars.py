"""Tar shards: odd headers, odd extension records, and odd notes beside the photos."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

from tests.fuzz import notes
from tests.fuzz.base import INPUT, Case, Kind, build, face_photo, points, tiny_photo
from tests.fuzz.mutate import mutate, noise
from tests.fuzz.rules import Outcomes

_END = bytes(1024)
_PAX = (b"path", b"size", b"linkpath", b"mtime", b"GNU.sparse.major", b"GNU.sparse.map", b"comment", b"hdrcharset", b"")


def member(
    name: bytes,
    data: bytes,
    kind: bytes = b"0",
    size: bytes | None = None,
    total: bytes | None = None,
    prefix: bytes = b"",
) -> bytes:
    """A member of a tar file; size field and sum may be given as they stand in the file."""
    stated = b"%011o\0" % len(data) if size is None else size[:12].ljust(12, b"\0")
    head = name[:100].ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + stated + b"00000000000\0"
    tail = kind + bytes(100) + b"ustar\00000" + bytes(80) + prefix[:155].ljust(155, b"\0") + bytes(12)
    if total is None:
        total = b"%06o\0 " % (sum(head) + sum(tail) + 8 * 32)
    return head + total[:8].ljust(8, b"\0") + tail + data + bytes(-len(data) % 512)


def pax(*records: tuple[bytes, bytes], length: int | None = None) -> bytes:
    """An extension header with records; `length` replaces the stated length of each."""
    lines = b""
    for key, value in records:
        rest = b" %s=%s\n" % (key, value)
        own = len(rest) + len(str(len(rest) + 3))
        lines += b"%d%s" % (own if length is None else length, rest)
    return member(b"pax", lines, b"x")


@cache
def _good() -> bytes:
    json = notes.dump({"identity": "Ada", "landmarks": points(), "attributes": {"age": 3}, "split": "train"})
    return member(b"good.jpg", tiny_photo()) + member(b"good.json", json)


def _beside(kind: str, data: bytes, size: bytes | None = None) -> Case:
    return {
        "set.tar": _good() + member(b"bad.jpg", tiny_photo(1)) + member(b"bad." + kind.encode(), data, size=size) + _END
    }


def seeds() -> dict[str, Case]:
    """Notes that no reader bears, and headers that lie."""
    photo = member(b"a.jpg", tiny_photo(2))
    header = b"\x93NUMPY\1\0\x46\0{'descr': '<f8', 'fortran_order': False, 'shape': (%s, 2)}".ljust(80) + b"\n"
    made = {
        "valid": {"set.tar": _good() + member(b"face.jpg", face_photo()) + _END},
        "empty": {"set.tar": b""},
        "only an end": {"set.tar": _END},
        "bad zip": _beside("npy", b"PK\3\4xx"),
        "pickle": _beside("npy", b"\x80\4cos\nsystem\n(Vtouch PWNED\ntR."),
        "npy of objects": _beside(
            "landmarks.npy",
            b"\x93NUMPY\1\0\x40\0{'descr': '|O', 'fortran_order': False, 'shape': (1,)}".ljust(73) + b"\n",
        ),
        "npy of 10^12": _beside("landmarks.npy", header % b"1000000000000"),
        "deep json": _beside("json", b"[" * 100_000),
        "deep braces": _beside("json", b'{"a":' * 100_000),
        "long digits": _beside("json", b'{"identity": ' + b"9" * 5_000 + b"}"),
        "surrogate": _beside("json", b'{"identity": "\\ud800", "attributes": {"\\udfff": "\\udc00"}}'),
        "deep attributes": _beside("json", b'{"attributes": {"a": ' + b"[" * 60 + b"]" * 60 + b"}}"),
        "negative size": {"set.tar": _good() + member(b"a.jpg", b"x", size=b"-0000000001\0") + _END},
        "base 256": {"set.tar": _good() + member(b"a.jpg", b"x", size=b"\x80" + b"\xff" * 11) + _END},
        "minus in base 256": {"set.tar": _good() + member(b"a.jpg", b"x", size=b"\xff" * 12) + _END},
        "pax size": {"set.tar": _good() + pax((b"size", b"9" * 30)) + photo + _END},
        "pax size of letters": {"set.tar": _good() + pax((b"size", "٣".encode())) + photo + _END},
        "pax superscript": {"set.tar": _good() + pax((b"size", "²".encode())) + photo + _END},
        "pax length": {"set.tar": _good() + pax((b"path", b"b.jpg"), length=10**30) + photo + _END},
        "pax digits": {"set.tar": _good() + member(b"pax", b"9" * 6_000 + b" path=x\n", b"x") + photo + _END},
        "long name": {"set.tar": _good() + member(b"l", b"n" * 70_000 + b".jpg\0", b"L") + photo + _END},
        "outside": {"set.tar": _good() + pax((b"path", b"../../outside.jpg")) + photo + _END},
        "absolute": {"set.tar": member(b"/dev/zero.jpg", tiny_photo()) + _END},
        "link as photo": {"set.tar": member(b"a.jpg", b"", b"2") + member(b"b.jpg", b"", b"1") + _END},
        "pipe and device": {"set.tar": member(b"a.jpg", b"", b"6") + member(b"b.jpg", b"", b"3") + _END},
        "names in bytes": {
            "set.tar": member(b"\xff\xfe.jpg", tiny_photo()) + member(b"\x1b[2J.jpg", tiny_photo(1)) + _END
        },
        "twice": {"set.tar": _good() * 2 + _END},
        "gzip": {"set.tar": b"\x1f\x8b\x08" + bytes(600)},
        "many": {"set.tar": b"".join(member(b"%d.txt" % n, b"x") for n in range(2_000)) + _END},
        "labels as text": _beside("cls", b"\x1b]0;x\7"),
        "no newline": _beside("txt", b"x" * 200_000),
    }
    return {**made, **{f"bad json {n}": _beside("json", data) for n, data in enumerate(notes.BAD_JSON)}}


def make(rng: Random) -> Case:
    """A shard of good and odd members; half of them are damaged as bytes too."""
    parts = [_good()] if rng.random() < 0.7 else []
    for number in range(rng.randrange(1, 4)):
        key = rng.choice(
            (b"a", b"b", b"dir/c", b"", b"..", b"\xff", b"x" * 99, b"a.b", b"\xc3\xa9", b".hidden", b"._a")
        )
        picture = tiny_photo(number, rng.choice((".jpg", ".png")))
        name = key + rng.choice((b".jpg", b".PNG", b".face.jpg", b".jpg.jpg", b".webp", b"", b"."))
        parts += [_odd(rng, name, picture)]
        for _ in range(rng.randrange(3)):
            parts += [_note(rng, key)]
    rng.shuffle(parts)
    data = b"".join(parts) + rng.choice((_END, _END, _END, b"", bytes(512), bytes(100)))
    return {"set.tar": mutate(rng, data, [_good()]) if rng.random() < 0.4 else data}


def _note(rng: Random, key: bytes) -> bytes:
    kind = rng.choice((b"json", b"json", b"npy", b"landmarks.npy", b"landmarks.npy", b"cls", b"txt", b"features.npy"))
    if kind == b"json":
        good = {
            "identity": "Ada",
            "landmarks": points(),
            "attributes": {"a": 1, "b": "x"},
            "split": "val",
            "licence": "CC0",
        }
        data = notes.json_bytes(rng, good)
    else:
        data = notes.npy(rng) if kind.endswith(b"npy") else notes.text(rng)
    return _odd(rng, key + b"." + kind, data)


def _odd(rng: Random, name: bytes, data: bytes) -> bytes:
    if rng.random() < 0.6:
        return member(name, data)
    before = b""
    if rng.random() < 0.4:
        value = rng.choice(
            (b"0", b"-1", b"1", b"99999999999999999999", name + b"2", b"\xff", b"", b"1.5", noise(rng, 9))
        )
        before = pax((rng.choice(_PAX), value), length=rng.choice((None, None, None, 0, 1, 5, 10**20)))
    if rng.random() < 0.15:
        before += member(b"l", name + b"3.jpg\0", rng.choice((b"L", b"K", b"g")))
    kind = rng.choice(b"0000\x0017123456SAVxgLKz")
    size = rng.choice((None, None, None, b"77777777777\0", b"0", b"", b"8", b" 12 ", b"\x80" + noise(rng, 11), b"-1"))
    total = rng.choice((None, None, None, None, b"", b"-1", b"000000\0 "))
    return before + member(name, data, bytes([kind]), size, total, rng.choice((b"", b"", b"p/q", b"..", b"/")))


def run(folder: Path, outcomes: Outcomes) -> None:
    """Build from a shard."""
    build(folder, outcomes, folder / INPUT / "set.tar")


KIND = Kind("tars", seeds, make, run)
