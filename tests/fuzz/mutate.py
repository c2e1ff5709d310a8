"""Change valid files a little: what damage, other programs and attackers do to bytes and to plain values."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from random import Random
from typing import Any

_NUMBERS = (0, 1, 2, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
EXTREMES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 0.5, -0.0, 1e-320, 1e308, -1e308, 2**31, 2**53 + 1, 2**62, 2**63, -(2**63), 10**30),
    *(
        float("nan"),
        float("inf"),
        float("-inf"),
        "",
        " ",
        "nan",
        "null",
        "0",
        "true",
        "\0",
        "a\0b",
        "\ud800",
        "\x1b[31m",
    ),
    *(
        "x" * 300,
        "x" * 70_000,
        "..",
        "../../outside",
        "/",
        "/dev/zero",
        "~nobody/x",
        "a/b",
        "a\nb",
        "2024-13-45",
        "é" * 90,
    ),
    *([], {}, [[]], [None], {"": None}, [0] * 3, [1, 2], [[1, 2]] * 68, {"a": {"b": [1]}}, "{0..9999999999}.tar"),
)
"""Values that no schema expects, and that each kind of document can hold."""


def mutate(rng: Random, data: bytes, others: Sequence[bytes] = ()) -> bytes:
    """Some bytes of a file changed, lost, added or moved; `others` are files to take pieces from."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        data = _once(rng, data, others)
    return data


def _once(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    what = rng.randrange(11)
    at, length = place(rng, len(data)), rng.choice((1, 2, 4, 16, 100, 512, 4096))
    if what == 0:
        return _flip(data, at, 1 << rng.randrange(8))
    if what == 1:
        return put(data, at, bytes([rng.choice((0, 1, 127, 128, 254, 255))]))
    if what == 2:
        return data[:at]
    if what == 3:
        return data[:at] + noise(rng, length) + data[at:]
    if what == 4:
        return data[:at] + data[at + length :]
    if what == 5:
        return data[: at + length] + data[at : at + length] * rng.choice((1, 1, 3, 50)) + data[at + length :]
    if what == 6:
        to = place(rng, len(data))
        low, high = min(at, to), max(at, to)
        return data[:low] + data[high : high + length] + data[low:high] + data[high + length :]
    if what == 7:
        return put(data, at, number_bytes(rng))
    if what == 8:
        return data + noise(rng, length)
    if what == 9:
        return put(data, at, noise(rng, length))
    other = rng.choice(others) if others else data
    begin = place(rng, len(other))
    return data[:at] + other[begin : begin + length] + data[at + length :]


def place(rng: Random, length: int) -> int:
    """A place in a file; headers are short and matter most, so half of the places lie near the beginning."""
    most = max(1, length)
    return rng.choice((rng.randrange(min(64, most)), rng.randrange(min(1024, most)), rng.randrange(most), most - 1))


def put(data: bytes, at: int, piece: bytes) -> bytes:
    """The data with a piece written over it."""
    return data[:at] + piece + data[at + len(piece) :]


def _flip(data: bytes, at: int, bit: int) -> bytes:
    return put(data, at, bytes([data[at] ^ bit])) if at < len(data) else data


def noise(rng: Random, length: int) -> bytes:
    """Bytes without meaning; of a small part of all values, so that few draws suffice."""
    return bytes(rng.choice(b"\0\1\x20\x7f\x80\xff,\"'{[:\n<0aZ") for _ in range(min(length, 24))) * -(-length // 24)


def number_bytes(rng: Random) -> bytes:
    """A whole number that often is a limit, in 2, 4 or 8 bytes of either order."""
    size = rng.choice((2, 4, 8))
    number = rng.choice(_NUMBERS) & (1 << 8 * size) - 1
    return struct.pack(rng.choice("<>") + {2: "H", 4: "I", 8: "Q"}[size], number)


def tweak(rng: Random, document: Any) -> Any:
    """A copy of a plain document in which some values are replaced, lost, added, renamed, repeated or exchanged."""
    document = _copy(document)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        nodes = [node for node in _containers(document) if node]
        if not nodes:
            return value(rng)
        node = rng.choice(nodes)
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = rng.choice(keys)
        what = rng.randrange(7)
        if what <= 1:
            node[key] = value(rng)
        elif what == 2:
            del node[key]
        elif what == 3 and isinstance(node, dict):
            node[rng.choice(("", "x", "\0", "__class__", str(key).upper(), f"{key} ", "\ud800"))] = value(rng)
        elif what == 3 and isinstance(node, list):
            node.insert(key, value(rng))
        elif what == 4 and isinstance(node, list):
            node *= rng.choice((2, 50))
        elif what == 5:
            other = rng.choice(nodes)
            node[key] = _copy(rng.choice(list(other.values()) if isinstance(other, dict) else other))
        else:
            node[key] = _near(rng, node[key])
    return document


def value(rng: Random) -> Any:
    """Any plain value, mostly an extreme one."""
    return _copy(rng.choice(EXTREMES)) if rng.random() < 0.95 else nested(rng.choice((20, 99, 400)), rng.random() < 0.5)


def nested(depth: int, lists: bool) -> Any:
    """Lists or mappings inside each other."""
    inner: Any = 1
    for _ in range(depth):
        inner = [inner] if lists else {"a": inner}
    return inner


def _near(rng: Random, old: Any) -> Any:
    """A value much like another one."""
    if isinstance(old, bool) or old is None:
        return not old
    if isinstance(old, int | float):
        return rng.choice((-old, old + 1, old - 1, old * 1000, old / 3, str(old), [old]))
    if isinstance(old, str):
        return rng.choice((old.upper(), old[:-1], old + "0", old * 3, [old], f"{old}\0", f" {old}", f"../{old}"))
    return [old] if isinstance(old, dict) else dict(enumerate(map(str, old)))


def _copy(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: _copy(inner) for key, inner in document.items()}
    return [_copy(inner) for inner in document] if isinstance(document, list | tuple) else document


def _containers(document: Any) -> list[Any]:
    found, waiting = [], [document]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict | list):
            found.append(node)
            waiting += node.values() if isinstance(node, dict) else node
    return found
