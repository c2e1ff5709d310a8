"""What a recipe says about a source of photos."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from faceloom.schemas.base import Model
from faceloom.schemas.guide import LABEL_ORDERS, PARTS
from faceloom.schemas.path_pattern import compile_pattern

SourceKind = Literal[
    "auto",
    "people",
    "flat",
    "table",
    "shards",
    "recordio",
    "celebamask_hq",
    "label_maps",
    "tinyface",
    "path_pattern",
]
LabelOrder = Literal["celebamask_hq", "face_parsing"]
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
            Parquet), `shards` (WebDataset tar files), `recordio` (MXNet's .rec files), `celebamask_hq` and `tinyface`
            (those sets as they come), `label_maps` (pictures, and label maps in another folder), `path_pattern`
            (folders that say what a photo shows), or `auto` to go by what lies there.
        path: the folder, the table, a tar or .rec file, or a pattern of tar files such as `set/shard-{0000..0041}.tar`.
        name: what the source is called in every table; the last part of the path if not given.
        licence: terms of use of every photo whose source states none itself.
        consent: what the subjects agreed to, likewise.
        root: where the paths in a table start; the table's own folder if not given.
        columns: names of a table's columns, where they differ from ours.
        include: patterns of the uris to take; empty takes all. `*` also matches `/`.
        exclude: patterns of the uris to leave out, stronger than `include`.
        pattern: `path_pattern` only: what the parts of a path mean, such as `{identity}/{light}/{angle}.jpg`.
        labels: `label_maps` only: the folder of label maps, each named as its picture.
        label_order: `label_maps` only: what the values 1, 2, … of a label map mean: `celebamask_hq`, `face_parsing`,
            or a list of names, of which those that are no part of ours are passed over.
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
    pattern: str | None = None
    labels: str | None = None
    label_order: LabelOrder | tuple[str, ...] = "celebamask_hq"

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str | None) -> str | None:
        if name is not None and (not name or "/" in name or not name.isprintable()):
            raise ValueError("a source's name has at least one character, all printable, and no '/'")
        return name

    @field_validator("pattern")
    @classmethod
    def _sound_pattern(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            compile_pattern(pattern)
        return pattern

    @field_validator("label_order")
    @classmethod
    def _known_parts(cls, order: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not isinstance(order, str) and not set(order) & set(PARTS):
            raise ValueError(f"a label order names at least one of {', '.join(PARTS)}")
        return order

    @model_validator(mode="after")
    def _keys_of_their_kind(self) -> SourceSpec:
        for key, kind in (("pattern", "path_pattern"), ("labels", "label_maps")):
            if (getattr(self, key) is not None) != (self.kind == kind):
                raise ValueError(f"`kind: {kind}` and a key `{key}` belong together")
        if self.label_order != "celebamask_hq" and self.kind != "label_maps":
            raise ValueError("`kind: label_maps` and a key `label_order` belong together")
        return self

    @property
    def label_names(self) -> tuple[str, ...]:
        """What the values 1, 2, … of a label map mean."""
        return LABEL_ORDERS[self.label_order] if isinstance(self.label_order, str) else self.label_order

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
