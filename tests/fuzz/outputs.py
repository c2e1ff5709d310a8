"""Output folders of others: tampered indexes, records, tables and shards, read by everything that reads them."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.fuzz import notes
from tests.fuzz.base import EXPORT, INPUT, OUT, Case, Kind, build, finished_build, lay_photos
from tests.fuzz.mutate import EXTREMES, mutate, tweak
from tests.fuzz.rules import Fault, Outcomes

_PLAIN = ("build.json", "logs/last_run.json", "faceloom.json")
_PRECIOUS, _LINK = "precious", "link.txt"
"""A folder of someone else's files, and a file that names what shall be a link to it."""
_TEXTS = ("", "\0", "a\0b", "../../outside", "/", "x" * 70_000, "\x1b[31m", "train", "é", "..", "a/b", "nan")
_COUNTS = (0, -1, 1, 511, 512, 2**31, 2**62, 2**63 - 1, -(2**63), 10**6)


@cache
def _index() -> str:
    return next(name for name in finished_build() if name.startswith("index/"))


@cache
def _shard() -> str:
    return next(name for name in finished_build() if name.startswith("shards/"))


def _case(changes: dict[str, bytes | None]) -> Case:
    """The build with some files exchanged, or removed if they are None."""
    files = {**finished_build(), **changes}
    return {f"out/{name}": data for name, data in files.items() if data is not None}


def _table(change: Callable[[pa.Table], pa.Table], name: str | None = None) -> Case:
    name = name or _index()
    table = change(pq.read_table(io.BytesIO(finished_build()[name])))
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return _case({name: buffer.getvalue()})


def _cells(column: str, new: Any, name: str | None = None) -> Case:
    """A table in which all cells of a column are another value, of the column's type if it fits."""

    def change(table: pa.Table) -> pa.Table:
        at = table.column_names.index(column)
        return table.set_column(at, table.field(at), _array([new] * len(table), table.field(at).type))

    return _table(change, name)


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return pa.array([None] * len(values), kind)


def _record(change: Callable[[dict[str, Any]], object]) -> Case:
    record = json.loads(finished_build()["build.json"])
    change(record)
    return _case({"build.json": notes.dump(record)})


def _shard_record(changes: dict[str, Any]) -> Case:
    return _record(lambda record: record["shards"][0].update(changes))


def _text(table: pa.Table) -> pa.Array:
    return pa.array([""] * len(table))


def _members(**changes: Any) -> Case:
    """An index in which each member of each sample has other values."""
    table = pq.read_table(io.BytesIO(finished_build()[_index()]))
    cells = [[{**member, **changes} for member in row] for row in table["members"].to_pylist()]
    at = table.column_names.index("members")
    return _table(lambda old: old.set_column(at, old.field(at), _array(cells, old.field(at).type)))


def _metadata(**changes: bytes) -> Case:
    named = {key.encode(): value for key, value in changes.items()}
    return _table(lambda table: table.replace_schema_metadata({**(table.schema.metadata or {}), **named}))


def seeds() -> dict[str, Case]:
    """What an attacker writes into an index or a record, and what bad disks do to shards."""
    shard, index = finished_build()[_shard()], finished_build()[_index()]
    made = {"valid": _case({})}
    for column in ("key", "identity", "split", "mask", "source", "uri", "operations", "part", "renderer", "licence"):
        made |= {f"{column} {str(text)[:9]!r}": _cells(column, text) for text in (*_TEXTS, None)}
    for column in ("offset", "length", "face"):
        made |= {f"{column} {count}": _cells(column, count) for count in (*_COUNTS, None)}
    for count in _COUNTS:
        made |= {f"member {key} {count}": _members(**{key: count}) for key in ("offset", "size")}
    made |= {
        f"member name {str(text)[:9]!r}": _members(name=text) for text in (*_TEXTS, None, "face.jpg", "landmarks.npy")
    }
    news: tuple[Any, ...] = ("../../outside", "a\0b", "", -1, 2**62, 10**30, None, [], "x" * 5_000)
    for field in ("name", "split", "samples", "bytes"):
        made |= {f"shard {field} {str(new)[:9]!r}": _shard_record({field: new}) for new in news}
    code = "faceloom-error:Y29zCnN5c3RlbQooVnRvdWNoIFBXTkVECnRSLg==."
    made |= {
        "shard twice": _record(lambda record: record["shards"].extend(record["shards"])),
        "no shards": _record(lambda record: record.update(shards=[])),
        "a million neighbours": _record(lambda record: record.update(neighbours=["../../outside"] * 10_000)),
        "other splits": _record(lambda record: record.update(by_split={"../../x": 1, "": 2})),
        "code as a column": _table(lambda table: table.append_column(code, _text(table))),
        "column of others": _table(lambda table: table.append_column("x", _text(table))),
        "columns twice": _table(lambda table: table.append_column("key", _text(table))),
        "without key": _table(lambda table: table.drop_columns(["key"])),
        "without members": _table(lambda table: table.drop_columns(["members"])),
        "no rows": _table(lambda table: table.slice(0, 0)),
        "rows twice": _table(lambda table: pa.concat_tables([table, table])),
        "members as text": _table(lambda table: table.drop_columns(["members"]).append_column("members", _text(table))),
        "parts of text": _metadata(parts=b'"x"'),
        "parts deep": _metadata(parts=b"[" * 100_000),
        "parts with rejects": _metadata(parts=b'{"a": [{"stage": "render", "x": 1}]}'),
        "bytes of text": _metadata(bytes=b"x"),
        "bytes of digits": _metadata(bytes=b"9" * 6_000),
        "shard gone": _case({_shard(): None}),
        "index gone": _case({_index(): None}),
        "shard empty": _case({_shard(): b""}),
        "shard cut": _case({_shard(): shard[: len(shard) // 2]}),
        "shard longer": _case({_shard(): shard + b"x"}),
        "shard of zeros": _case({_shard(): bytes(len(shard))}),
        "flipped pixel": _case({_shard(): shard[:1500] + bytes([shard[1500] ^ 4]) + shard[1501:]}),
        "flipped header": _case({_shard(): shard[:130] + bytes([shard[130] ^ 1]) + shard[131:]}),
        "flipped name": _case({_shard(): bytes([shard[0] ^ 1]) + shard[1:]}),
        "index cut": _case({_index(): index[:-40]}),
        "last run": _case({"logs/last_run.json": b"{"}),
        "last run of lists": _case({"logs/last_run.json": b'{"wall_seconds": [], "workers": "x"}'}),
        "marker": _case({"faceloom.json": b"[]"}),
        "marker of another": _case({"faceloom.json": b'{"what": "an output folder of faceloom", "format": 99}'}),
        "no marker": _case({"faceloom.json": None}),
        "failures": _case({"work/a.failed.json": b'{"x": ["y"]}', "build.json": None}),
        "failures deep": _case({"work/a.failed.json": b"[" * 100_000}),
        "work of others": _case({"build.json": None, _index(): None, "work/x.parquet": index, "work/x.tar": shard}),
    }  # fmt: skip
    made |= {f"record {n}": _case({"build.json": data}) for n, data in enumerate(notes.BAD_JSON)}
    folders = ("shards", "index", "rejects", "faces", "neighbours", "work", "logs")
    files = (*_PLAIN, "README.md", ".lock", "work/x.tar", "neighbours/x.parquet", "shards/x.tar.partial-1")
    return {**made, **{f"link {name}": _linked(name) for name in (*folders, *files)}}


def _linked(name: str) -> Case:
    """A build in which a file or folder is a link to what belongs to someone else."""
    precious = {f"{_PRECIOUS}/{other}": b"precious" for other in ("a.txt", "x.tar", "x.parquet", "b.partial-9")}
    return {**_case({}), **precious, _LINK: name.encode()}


def make(rng: Random) -> Case:
    """One or two files of a build with values exchanged or bytes damaged."""
    changes: dict[str, bytes | None] = {}
    for _ in range(rng.choice((1, 1, 2))):
        name = (
            rng.choice(list(finished_build()))
            if rng.random() < 0.3
            else rng.choice((_index(), _index(), _shard(), "build.json"))
        )
        data = finished_build()[name]
        if name in _PLAIN and rng.random() < 0.8:
            changes[name] = notes.dump(tweak(rng, json.loads(data)))
        elif name.endswith(".parquet") and rng.random() < 0.7:
            changes[name] = changed(rng, data)
        else:
            changes[name] = mutate(rng, data, list(finished_build().values()))
    if rng.random() < 0.1:
        changes["build.json"] = None  # the next build looks at everything else
    return _case(changes)


def changed(rng: Random, data: bytes) -> bytes:
    """A Parquet file with a column or its metadata exchanged."""
    table = pq.read_table(io.BytesIO(data))
    column = rng.choice(table.column_names)
    at = table.column_names.index(column)
    field, what = table.field(at), rng.randrange(6)
    if what == 0:
        table = table.drop_columns([column])
    elif what == 1:
        table = table.rename_columns(
            [rng.choice(("key", "x", "", "uri")) if name == column else name for name in table.column_names]
        )
    elif what == 2:
        cells = pa.array([rng.choice(("x", "", None)) for _ in range(len(table))], pa.string())
        table = table.set_column(at, column, cells)
    elif what == 3:
        metadata = {rng.choice((b"parts", b"bytes", b"x")): notes.json_bytes(rng, {"a": [{"stage": "render"}]})}
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), **metadata})
    else:
        rows = [tweak(rng, row) if rng.random() < 0.7 else row for row in table[column].to_pylist()]
        if not pa.types.is_nested(field.type):
            rows = [
                rng.choice((*_COUNTS, *_TEXTS, *EXTREMES[:20])) if rng.random() < 0.5 else row
                for row in table[column].to_pylist()
            ]
        table = table.set_column(at, field, _array(rows, field.type))
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def _make_link(folder: Path) -> None:
    """Put the link where the input wants it, in place of what is there."""
    link = folder / OUT / (folder / INPUT / _LINK).read_text()
    target = folder / INPUT / _PRECIOUS
    link.parent.mkdir(exist_ok=True)
    if link.is_dir():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)
    link.symlink_to(target if "." not in link.name else target / "a.txt")


def _check_precious(folder: Path) -> None:
    """Check that nothing was changed behind the link."""
    files = [file for file in (folder / INPUT / _PRECIOUS).rglob("*") if file.is_file()]
    if len(files) != 4 or {file.read_bytes() for file in files} != {b"precious"}:
        raise Fault(f"changed files behind a link\n{sorted(file.name for file in files)}")


def run(folder: Path, outcomes: Outcomes) -> None:
    """Show, export, draw, open and clean a tampered build, then build again on top of it."""
    from faceloom.pipelines import api
    from faceloom.pipelines.export.contact_sheet import write_contact_sheet
    from faceloom.pipelines.preview import all_rejects, look
    from faceloom.pipelines.store.clean import clean
    from faceloom.pipelines.store.storage import Storage

    out = folder / OUT
    (folder / INPUT / "out").rename(out)
    linked = (folder / INPUT / _LINK).exists()
    if linked:
        _make_link(folder)
    storage = Storage(str(out))
    outcomes.attempt("show", lambda: look(storage))
    outcomes.attempt("rejects", lambda: all_rejects(storage))
    outcomes.attempt("sheet", lambda: write_contact_sheet(out, folder / "sheet.png", count=4))
    outcomes.attempt("export", lambda: api.export(out, folder / EXPORT / "plain"))
    outcomes.attempt("records", lambda: api.export(out, folder / EXPORT / "records", layout="recordio"))
    for split in json.loads(finished_build()["build.json"])["by_split"]:
        outcomes.attempt("read", partial(_read, out, split, decode=True))
        found = outcomes.attempt("read bytes", partial(_read, out, split, decode=False))
        with outcomes.noting_faults():
            _check_pixels(found or [])
    outcomes.attempt("clean", lambda: clean(storage))
    build(folder, outcomes, lay_photos(folder / INPUT), step="build again")
    outcomes.attempt("clean again", lambda: clean(storage))
    if linked:
        with outcomes.noting_faults():
            _check_precious(folder)


def _read(out: Path, split: str, *, decode: bool) -> list[dict[str, Any]]:
    from faceloom.pipelines.read.split_reader import open_split

    return list(open_split(out, split, decode=decode))


def _check_pixels(samples: list[dict[str, Any]]) -> None:
    """Check that no reader hands out a picture that the build did not write, or a sample twice."""
    keys = [sample.get("__key__") for sample in samples]
    if len(set(keys)) < len(keys):
        raise Fault(f"read bytes: handed out a sample twice\n{keys}")
    for sample in samples:
        for name, data in sample.items():
            if not name.startswith("__") and bytes(data) not in _written():
                raise Fault(f"read bytes: handed out a damaged member\n{sample.get('__key__')} {name}")


@cache
def _written() -> frozenset[bytes]:
    """The content of each member of the finished build."""
    found = set()
    for name, data in finished_build().items():
        at = 0
        while name.startswith("shards/") and at + 512 <= len(data) and data[at]:
            length = int(data[at + 124 : at + 135], 8)
            found.add(data[at + 512 : at + 512 + length])
            at += 512 + -(-length // 512) * 512
    return frozenset(found)


KIND = Kind("outputs", seeds, make, run)
