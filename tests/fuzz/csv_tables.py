"""CSV tables: quotes, encodings, ragged rows, odd paths and odd cells."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from tests.fuzz import notes
from tests.fuzz.base import INPUT, Case, Kind, build, lay_photos, points
from tests.fuzz.mutate import mutate
from tests.fuzz.rules import Outcomes

_HEADERS = (
    "uri",
    "identity",
    "split",
    "landmarks",
    "attributes",
    "licence",
    "consent",
    "x",
    "",
    " uri",
    "URI",
    "a\nb",
    '"',
)
_PATHS = (
    *(
        "0.jpg",
        "1.jpg",
        "2.jpg",
        "./0.jpg",
        "a/../0.jpg",
        "../0.jpg",
        "../../outside",
        "/dev/zero",
        "/proc/self/mem",
        "~/0.jpg",
    ),
    *(
        "0.jpg ",
        "",
        " ",
        "0\\1.jpg",
        "C:\\0.jpg",
        "\\\\host\\0.jpg",
        "https://example.invalid/0.jpg",
        "file:///0.jpg",
        ".",
    ),
    *(
        "\0",
        "0.jpg\0",
        "x" * 300,
        "x/" * 3_000,
        "\x1b[31m0.jpg",
        "é.jpg",
        "\u202e0.jpg",
        "photos.csv",
        "nan",
        "0.jpg?",
        "{0..9}.jpg",
    ),
)
_CELLS = (
    *(
        "Ada",
        "",
        " ",
        "nan",
        "NULL",
        "1",
        "1.0",
        "007",
        "1e400",
        "-0",
        "true",
        "9" * 400,
        "x" * 70_000,
        "a\nb",
        'a"b',
        "\0",
    ),
    *(
        '{"a": 1}',
        "{",
        "[1]",
        '{"a": NaN}',
        '{"\\ud800": 1}',
        "[" * 30_000,
        '{"a":' * 30_000,
        "9" * 5_000,
        "=1+1",
        "\ufeff",
    ),
)


def _line(cells: list[str], comma: str = ",") -> str:
    return comma.join(
        '"' + cell.replace('"', '""') + '"' if any(c in cell for c in ',;\t"\n') else cell for cell in cells
    )


def _good() -> str:
    rows = [["uri", "identity", "landmarks"], *([f"{n}.jpg", f"p{n}", json.dumps(points())] for n in range(3))]
    return "\n".join(map(_line, rows)) + "\n"


def seeds() -> dict[str, Case]:
    """Files as spreadsheets write them, and files that no reader bears."""
    good = _good()
    made = {
        "valid": good.encode(),
        "byte order mark": good.encode("utf-8-sig"),
        "utf-16": good.encode("utf-16"),
        "latin-1": good.replace("p1", "Zoë").encode("latin-1"),
        "carriage returns": good.replace("\n", "\r").encode(),
        "empty": b"",
        "mark alone": b"\xef\xbb\xbf",
        "header alone": b"uri,identity",
        "empty lines": b"\n" * 5_000,
        "open quote": b'uri,identity\n0.jpg,"' + b"x" * 100_000,
        "quotes": b'uri\n"0.jpg"x"\n',
        "zeros": bytes(5_000),
        "zero in a cell": b"uri,x\n0.jpg,a\0b\n",
        "long header": b",".join(b"c%d" % n for n in range(20_000)) + b",uri\n" + b"," * 20_000 + b"0.jpg\n",
        "very long header": b",".join(b"c%d" % n for n in range(150_000)) + b",uri\n",
        "header of commas": b"uri" + b"," * 5_000_000 + b"\n",
        "a name twice in a long header": b",".join(b"c%d" % n for n in range(80_000)) + b",uri,uri\n",
        "unnamed columns": b"uri,identity,,\n0.jpg,a,,\n",
        "wide cell": b"uri,x\n0.jpg," + b"x" * 3_000_000 + b"\n",
        "uri twice": b"uri,uri\n0.jpg,1.jpg\n",
        "many rows": b"uri\n" + b"0.jpg\n" * 30_000,
        "deep json": b'uri,landmarks\n0.jpg,"' + b"[" * 100_000 + b'"\n',
        "digits": b"uri,landmarks\n0.jpg," + b"9" * 5_000 + b"\n",
        "names of ours": b"uri,faceloom-error:gAROLg==\n0.jpg,1\n",
    }
    paths = "uri,x\n" + "".join(_line([path, "1"]) + "\n" for path in _PATHS)
    cells = {
        f"cell {n}": _line(["uri", "x", "attributes", "identity"]) + "\n" + _line(["0.jpg", cell, cell, cell]) + "\n"
        for n, cell in enumerate(_CELLS)
    }
    texts = {**{name: text.encode() for name, text in cells.items()}, "paths": paths.encode()}
    return {name: {"table.csv": data} for name, data in {**made, **texts}.items()}


def make(rng: Random) -> Case:
    """Rows of odd cells below a header, then damaged or not."""
    if rng.random() < 0.2:
        return {"table.csv": mutate(rng, _good().encode())}
    header = ["uri", *(rng.choice(_HEADERS) for _ in range(rng.randrange(4)))]
    rows = [[_cell(rng, name) for name in header] for _ in range(rng.randrange(1, 5))]
    for row in rows:
        if rng.random() < 0.1:
            row.append("more")
    comma = rng.choice((",", ",", ";", "\t"))
    data = (
        rng.choice(("\n", "\n", "\r\n"))
        .join(_line(row, comma) for row in [header, *rows])
        .encode("utf-8", "surrogatepass")
    )
    return {"table.csv": mutate(rng, data) if rng.random() < 0.4 else data}


def _cell(rng: Random, name: str) -> str:
    if name == "uri":
        return rng.choice(_PATHS[:3]) if rng.random() < 0.5 else rng.choice(_PATHS)
    if name == "landmarks" and rng.random() < 0.7:
        return (
            notes.json_bytes(rng, points()).decode("utf-8", "replace") if rng.random() < 0.6 else json.dumps(points())
        )
    if name == "attributes" and rng.random() < 0.7:
        return notes.json_bytes(rng, {"a": 1, "b": ["x"]}).decode("utf-8", "replace")
    return rng.choice(_CELLS)


def run(folder: Path, outcomes: Outcomes) -> None:
    """Build from a table of three photos."""
    lay_photos(folder / INPUT)
    build(folder, outcomes, folder / INPUT / "table.csv")


KIND = Kind("csv", seeds, make, run)
