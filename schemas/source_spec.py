"""What a recipe says about a source of photos."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from faceloom.schemas.base import Model

SourceKind = Literal["auto", "people", "flat", "table", "shards"]
_Text = Annotated[str, Field(min_length=1)]


class TableColumns(Model):
    """Which column of a table holds what. A column that is not named here becomes an attribute."""

    uri: _Text = "uri"
    identity: _Text = "identity"
    split: _Text = "split"
    landmarks: _Text = "landmarks"
    attributes: _Text = "attributes"
    licence: _Text = "licence"
    consent: _Text = "consent"


class SourceSpec(Model):
    """Where photos come from.

    Attributes:
        kind: `people` (a folder whose sub-folders are people), `flat` (a folder, nobody named), `table` (CSV or
            Parquet), `shards` (WebDataset tar files), or `auto` to go by what lies there.
        path: the folder, the table, a tar file, or a pattern of tar files such as `set/shard-{0000..0041}.tar`.
        name: what the source is called in every table; the last part of the path if not given.
        licence: terms of use of every photo whose source states none itself.
        consent: what the subjects agreed to, likewise.
        root: where the paths in a table start; the table's own folder if not given.
        columns: names of a table's columns, where they differ from ours.
        include: patterns of the uris to take; empty takes all. `*` also matches `/`.
        exclude: patterns of the uris to leave out, stronger than `include`.
    """

    kind: SourceKind = "auto"
    path: _Text
    name: str | None = None
    licence: str | None = None
    consent: str | None = None
    root: str | None = None
    columns: TableColumns = TableColumns()
    include: tuple[_Text, ...] = ()
    exclude: tuple[_Text, ...] = ()

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str | None) -> str | None:
        if name is not None and (not name or "/" in name or not name.isprintable()):
            raise ValueError("a source's name has at least one character, all printable, and no '/'")
        return name

    @property
    def source_name(self) -> str:
        """`name`, or the last part of the path; a pattern of tar files takes the name of its folder."""
        if self.name is not None:
            return self.name
        path = Path(os.path.normpath(Path(self.path).expanduser().absolute()))
        while any(mark in path.name for mark in "{*?[") and not path.exists():
            path = path.parent
        return path.name or "photos"


def is_pattern(path: str) -> bool:
    """True if a path names several tar files by a brace range or a wildcard."""
    return path.endswith(".tar") and any(mark in path for mark in "{*?[")
