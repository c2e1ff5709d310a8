"""JSON and npy as strangers write them: text that a parser accepts, almost accepts, or should refuse early."""

from __future__ import annotations

import json
import struct
from random import Random
from typing import Any

from tests.fuzz.mutate import mutate, nested, noise, tweak

_DTYPES = (
    *("'<f4'", "'<f8'", "'>f8'", "'<f2'", "'|b1'", "'|O'", "'<c16'", "'<i8'", "'<U10'", "'|S5'", "'|V8'", "'<M8[ns]'"),
    *(
        "'<m8[s]'",
        "[('a', '<f4'), ('b', '<f8')]",
        "'nonsense'",
        "None",
        "7",
        "'|S0'",
        "'<f16'",
        "('<f8', (68, 2))",
        "''",
    ),
)
_SHAPES = (
    *("(68, 2)", "(2, 68)", "(68,)", "(136,)", "(1000000000000, 2)", "(99999999999999999999, 2)", "(-1, 2)", "(0, 2)"),
    *("(True, 2)", "(68.0, 2)", "('68', 2)", "68", "()", "(1, 68, 2)", "[68, 2]", "(68, 2, 1000000)", "(65536, 65536)"),
    *(
        "(9223372036854775807,)",
        "(None, 2)",
        "(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 136)",
    ),
)
_HEADERS = (
    b"",
    b"{{{\n",
    b"{}\n",
    b"()\n",
    b"1\n",
    b"[" * 200 + b"\n",
    b"{'descr': '<f8'}\n",
    b"\xff" * 50,
    b"open('x')\n",
)


def npy(rng: Random, length: int = 1088) -> bytes:
    """A header of numpy's format that states some type and shape, and bytes that need not fit them."""
    header = (
        f"{{'descr': {rng.choice(_DTYPES)}, 'fortran_order': {rng.choice(('False', 'True', '0', 'None'))}, "
        f"'shape': {rng.choice(_SHAPES)}, }}{' ' * rng.choice((0, 10, 900))}\n"
    ).encode()
    if rng.random() < 0.15:
        header = rng.choice(_HEADERS)
    body = rng.choice((b"", b"\0" * length, struct.pack("<d", 1e300) * (length // 8), b"\xff" * length, b"\0" * 70_000))
    if rng.random() < 0.5:
        stated = struct.pack("<H", rng.choice((len(header) & 0xFFFF,) * 4 + (0, 65535)))
        return b"\x93NUMPY" + bytes([rng.choice((1, 1, 1, 0, 2, 9))]) + b"\0" + stated + header + body
    return b"\x93NUMPY\2\0" + struct.pack("<I", rng.choice((len(header),) * 4 + (2**32 - 1,))) + header + body


def json_bytes(rng: Random, document: Any) -> bytes:
    """A document as JSON, changed as a value and sometimes as text."""
    data = dump(tweak(rng, document))
    if rng.random() < 0.25:
        data = rng.choice(BAD_JSON)
    return mutate(rng, data) if rng.random() < 0.25 else data


def dump(document: Any) -> bytes:
    """JSON as Python writes it, with NaN and lone surrogates."""
    return json.dumps(document).encode("utf-8", "surrogatepass")


BAD_JSON = (
    *(b"", b" ", b"null", b"[]", b"1", b'"x"', b"{", b"{}", b"\xff\xfe{\0}\0", b"\xef\xbb\xbf{}", b'{"a": 1, "a": 2}'),
    *(
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b"1" * 5_000,
        b"-1e99999",
        b"NaN",
        b"[1e400]",
    ),
    *(b'{"identity": NaN}', b'{"landmarks": [[NaN, 1]]}', b'{"identity": "\\ud800"}', b'{"split": ["a"]}', b"{'a': 1}"),
    *(
        b'{"attributes": {"": {"a": [1, {"b": null}]}, "x": 1e999}}',
        b'{"attributes": [1]}',
        b'{"a": "\0"}',
        b"\x93NUMPY",
    ),
    *(
        b'{"identity": ' + b"9" * 5_000 + b"}",
        b'{"landmarks": [' + b"[1, 2]," * 100_000 + b"[1, 2]]}",
        dump(nested(99, True)),
    ),
)
"""Text that is no JSON, or that few readers bear."""


def text(rng: Random) -> bytes:
    """A short text in some encoding."""
    return rng.choice(
        (b"Ada", b"", b"\0", b"a\nb", b"\xff\xfe", "Zoë".encode("latin-1"), b"x" * 70_000, noise(rng, 30))
    )
