"""Sources of photos in a recipe."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from faceloom.schemas.base import Model, PathText, PatternText, check_names
from faceloom.schemas.guide import LABEL_ORDERS, MOST_NAMES, PARTS
from faceloom.schemas.path_pattern import compile_pattern, expand_braces
from faceloom.schemas.urls import url_of

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
    "pairs",
]
LabelOrder = Literal["celebamask_hq", "face_parsing"]
LabelNames = Annotated[tuple[str, ...], Field(max_length=MOST_NAMES)]
"""Meaning of the values 1, 2, … of a label map."""
_Text = Annotated[str, Field(min_length=1)]
_STORES = ("s3://", "gs://", "az://")


def _local_path(path: str) -> str:
    """Refuse what cannot be a path of this machine, before anything looks for it."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", path):
        raise ValueError("an address, not a path; download the photos and give their folder")
    try:
        Path(path).expanduser()
    except RuntimeError:
        raise ValueError(f"no home folder is known for '{path.split('/')[0][:60]}'") from None
    return path


def _path_or_store(path: str) -> str:
    url = url_of(path)
    return url if url and url.startswith(_STORES) else _local_path(path)


def _names_of_files(path: str) -> str:
    return path if is_pattern(path) else check_names(path)


_Path = Annotated[PathText, AfterValidator(_path_or_store)]
_PathOrPattern = Annotated[PatternText, AfterValidator(_names_of_files), AfterValidator(_path_or_store)]


class TableColumns(Model):
    """Names of the columns of a table. Other columns become attributes of the photo."""

    uri: _Text = Field(default="uri", description="path of the photo; the only column that a table must have")
    identity: _Text | None = Field(
        default="identity", description="name of the person; `null` if no column names people"
    )
    split: _Text | None = Field(default="split", description="the source's own split; `null` to ignore the column")
    landmarks: _Text = Field(
        default="landmarks",
        description="68 pairs x, y in pixels of the upright photo, or five: eyes, nose tip, mouth corners, from left "
        "to right in the picture; JSON in a CSV",
    )
    box: _Text = Field(
        default="box", description="face box: left, top, right, bottom in pixels of the upright photo; JSON in a CSV"
    )
    left: _Text = Field(default="left", description="left edge of the face box; used if all four edges are there")
    top: _Text = Field(default="top", description="top edge of the face box")
    right: _Text = Field(default="right", description="right edge of the face box")
    bottom: _Text = Field(default="bottom", description="bottom edge of the face box")
    attributes: _Text = Field(default="attributes", description="further attributes as an object; JSON in a CSV")
    licence: _Text = Field(default="licence", description="terms of use")
    consent: _Text = Field(default="consent", description="what the subject agreed to")
    others: tuple[_Text, ...] | None = Field(
        default=None,
        description="further columns that become attributes; default: all that hold text, numbers, dates or times",
    )


def _others_alone(columns: Any) -> Any:
    return {"others": columns} if isinstance(columns, list | tuple) else columns


def _path_or_bare(schema: dict[str, Any]) -> None:
    """Of `path` and `bare` a source has one."""
    schema["required"].remove("path")
    schema["oneOf"] = [{"required": ["path"]}, {"required": ["bare"]}]


class SourceSpec(Model):
    """A source of photos."""

    model_config = ConfigDict(json_schema_extra=_path_or_bare)

    kind: SourceKind = Field(
        default="auto",
        description="`people`: a folder with a folder for each person; `flat`: a folder without names; `table`: CSV or "
        "Parquet; `shards`: WebDataset tar files; `recordio`: MXNet .rec files; `celebamask_hq` and `tinyface`: these "
        "datasets as they come; `label_maps`: pictures with label maps in another folder; `path_pattern`: folders with "
        "meaning; `pairs`: bare photos with masked ones in another folder; `auto`: detect the kind",
    )
    path: _PathOrPattern = Field(
        description="needed, except with `kind: pairs`, which has `bare`: the folder, the table, a tar or .rec file, "
        "or a pattern of tar files such as `set/shard-{0000..0041}.tar`; or its URL in an object store, such as `s3://bucket/photos`"
    )
    name: str | None = Field(
        default=None,
        max_length=200,
        description="name of the source in every table; default: the last part of the path",
    )
    identity: str | None = Field(
        default=None,
        max_length=500,
        description="`people` and `pairs`: what names the person in a path: `folder 1`, `folder 2`, `parent` (the "
        "folder that holds the photo), or a regular expression with a group, such as `([^/]+)_[0-9]+[.]jpg$`; default: "
        "the first folder below those of splits or, where photos lie at different levels, the first folder that holds "
        "photos",
    )
    licence: str | None = Field(default=None, description="terms of use of photos whose source states none")
    consent: str | None = Field(
        default=None, description="what the subjects agreed to, for photos whose source states nothing"
    )
    root: _Path | None = Field(
        default=None,
        description="folder that the paths of a table are relative to, or its URL; default: the table's folder",
    )
    columns: Annotated[
        TableColumns, BeforeValidator(_others_alone, json_schema_input_type=TableColumns | list[_Text])
    ] = Field(
        default_factory=TableColumns,
        description="column names of a table that differ from ours, or a list of those that become attributes; of "
        "tar files `identity` and `others` name fields of the json",
    )
    include: tuple[_Text, ...] = Field(
        default=(), description="patterns of the uris to use; default: all. `*` also matches `/`"
    )
    exclude: tuple[_Text, ...] = Field(
        default=(), description="patterns of the uris to leave out; takes precedence over `include`"
    )
    pattern: PatternText | None = Field(
        default=None,
        description="`path_pattern` only: the meaning of the parts of a path, such as `{identity}/{light}/{angle}.jpg`",
    )
    labels: _Path | None = Field(
        default=None, description="`label_maps` only: folder of label maps, named like the pictures, or its URL"
    )
    label_order: LabelOrder | LabelNames = Field(
        default="celebamask_hq",
        description="`label_maps` only: meaning of the values 1, 2, … of a label map: `celebamask_hq`, `face_parsing`, "
        "or a list of names; unknown names are ignored",
    )

    bare: _Path | None = Field(
        default=None,
        description="`pairs` only, in place of `path`: folder of photos of faces without a mask, with a folder for "
        "each person, or its URL",
    )
    masked: _Path | None = Field(
        default=None,
        description="`pairs` only: folder of photos of the same faces with a mask, named like the bare ones, or its "
        "URL",
    )
    maps: _Path | None = Field(
        default=None,
        description="`pairs` only: folder of drawn maps, white where the mask is, named like the bare photos, or its "
        "URL; default: maps come from the difference of the two photos",
    )
    suffix: str = Field(
        default="",
        max_length=100,
        description="`pairs` only: what the name of a masked photo has behind that of its bare one, such as "
        "`-with-mask`",
    )

    @model_validator(mode="before")
    @classmethod
    def _bare_is_the_path(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("bare") is not None and "path" not in data:
            return {**data, "path": data["bare"]}
        return data

    @field_validator("path")
    @classmethod
    def _sound_shards(cls, path: str) -> str:
        if is_pattern(path):
            names = set("/".join(expand_braces(path)).split("/"))
            check_names("/".join(name for name in names if not any(mark in name for mark in "*?[")))
            if any("**" in name and name != "**" for name in names):
                raise ValueError("in a pattern, '**' is a whole part of the path, as in 'set/**/*.tar'")
        return path

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str | None) -> str | None:
        if name is not None and (not name or "/" in name or not name.isprintable()):
            raise ValueError("a source's name has at least one character, all printable, and no '/'")
        return name

    @field_validator("identity")
    @classmethod
    def _sound_identity(cls, identity: str | None) -> str | None:
        if identity is None or identity == "parent" or re.fullmatch(r"folder [1-9]", identity):
            return identity
        try:
            groups = re.compile(identity).groups
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"neither `folder 1`, `parent` nor a regular expression ({error})") from None
        if not groups:
            raise ValueError("write `folder 1`, `folder 2`, `parent`, or a regular expression with a group in brackets")
        return identity

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
        if (self.bare is not None, self.masked is not None) != ((self.kind == "pairs"),) * 2 or self.path != (
            self.bare or self.path
        ):
            raise ValueError("`kind: pairs` needs the keys `bare` and `masked` in place of `path`")
        if (self.maps is not None or self.suffix) and self.kind != "pairs":
            raise ValueError("`kind: pairs` and keys `maps` and `suffix` belong together")
        if "/" in self.suffix:
            raise ValueError("`suffix` ends the name of a file, and holds no '/'")
        if self.identity is not None and self.kind not in ("auto", "people", "pairs"):
            raise ValueError("`kind: people` and a key `identity` belong together")
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
        # Path.exists raises on a name that is too long.
        while any(mark in path.name for mark in "{*?[") and not os.path.exists(path):  # noqa: PTH110
            path = path.parent
        return path.name or "photos"


def is_pattern(path: str) -> bool:
    """True if a path names several tar files by a brace range or a wildcard."""
    return path.endswith(".tar") and any(mark in path for mark in "{*?[")
