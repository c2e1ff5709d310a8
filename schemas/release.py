"""The manifest of a release: what it holds, how it was made, and what was checked. Holds no time and no path."""

from __future__ import annotations

import re
from collections import Counter
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from faceloom.schemas.column_types import FileName, Offset
from faceloom.schemas.errors import FaceloomError

RELEASE_FORMAT: Literal[1] = 1
"""Increased when manifests of older formats can no longer be read."""

NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,99}$"
VERSION_PATTERN = r"^(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})$"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""Name of a set, or of a channel."""
Version = Annotated[str, StringConstraints(pattern=VERSION_PATTERN)]
"""Three whole numbers, such as `1.0.0`."""
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
ReleaseId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,100}/[0-9.]{5,20}\+[0-9a-f]{64}$")]
"""`NAME/VERSION+DIGEST`, with the sha256 of the manifest."""
_Text = Annotated[str, Field(max_length=10_000)]
_Number = Annotated[int, Field(ge=0, le=2**53 - 1)]
_Figure = Annotated[float, Field(allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Code(_Part):
    """The code that made the samples.

    Attributes:
        faceloom: version of the package.
        commit: of its git checkout; empty if it is installed.
        dirty: whether the checkout had changes that are not committed.
        analyser, renderer: see `schemas.versions`.
    """

    faceloom: _Text
    commit: _Text = ""
    dirty: bool = False
    analyser: _Text
    renderer: _Text


class ModelUse(_Part):
    """A trained model that samples depend on: the landmark model, a detector, a face parser, a mask network, a feature
    network.

    Attributes:
        role: `landmarks`, `detector`, `masked` (a detector of masks), `parser`, `mask` or `features`.
        name: of its file or run.
        sha256: of its weights.
        licence: as far as it is known; empty if it is not.
    """

    role: Literal["landmarks", "detector", "masked", "parser", "mask", "features"]
    name: _Text
    sha256: Sha256
    licence: _Text = ""


class SourceUse(_Part):
    """A source of photos: its counts in this release, and its terms.

    Attributes:
        samples, photos, people: numbers in this release.
        licences, consents: samples by what the source states; empty text where it states nothing.
    """

    name: _Text
    kind: _Text
    samples: _Number
    photos: _Number
    people: _Number
    licences: dict[str, _Number]
    consents: dict[str, _Number]


class SplitUse(_Part):
    """The counts of one split."""

    samples: _Number
    people: _Number
    shards: _Number


class ReleaseShard(_Part):
    """A shard in the pool, `shards/NAME.tar`, and its index, `index/NAME.parquet`.

    Attributes:
        name: split, prefix bits, and the first digits of a digest of both files.
        samples: number of samples.
        bytes, sha256: of the tar file.
        index_bytes, index_sha256: of the index.
    """

    name: FileName
    split: FileName
    samples: _Number
    bytes: Offset
    sha256: Sha256
    index_bytes: Offset
    index_sha256: Sha256


class GroupMisses(_Part):
    """Photos of one group in which the detector found no face.

    Attributes:
        attribute, value: that the source states of these photos.
        photos: number of photos with that value.
        missed: how many of them have no face that the detector found.
    """

    attribute: _Text
    value: _Text
    photos: _Number
    missed: _Number


class GateResult(_Part):
    """The result of one gate.

    Attributes:
        gate: its name, such as `identities`.
        passed: whether the release may be published.
        found: one line about what was checked and found.
        figures: the numbers behind it, by name.
    """

    gate: Name
    passed: bool
    found: _Text
    figures: dict[str, _Figure] = {}


class Release(_Part):
    """A release. Its digest is the sha256 of its manifest as canonical JSON (RFC 8785).

    Attributes:
        parent: the release that this one follows; empty for the first.
        libraries: versions of the libraries that decide pixels, by name.
        recipe: the keys that the recipe set; see `BuildRecord.recipe`.
        plan: sha256 of the plan of the build. Samples that were erased since are still in the plan.
        seed: of the recipe, as hexadecimal text.
        members: sorted names of the files of a sample; every sample has them all.
        planned, photos, faces: numbers of the build.
        written: number of samples in this release.
        erased: number of samples that were erased since the build.
        by_mask: number of samples by mask; `none` without one.
        rejects: of the build, by stage and code.
        misses: of the detector, by groups of photos; empty if it missed none, or if the sources state no attributes.
        warnings: of the build.
    """

    format: Literal[1] = RELEASE_FORMAT
    name: Name
    version: Version
    parent: ReleaseId | Literal[""] = ""
    description: _Text = ""
    code: Code
    libraries: dict[str, _Text]
    recipe: dict[str, Any]
    plan: Sha256
    seed: Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{1,16}$")]
    models: tuple[ModelUse, ...] = ()
    sources: tuple[SourceUse, ...]
    splits: dict[str, SplitUse]
    members: tuple[FileName, ...]
    photos: _Number
    faces: _Number
    planned: _Number
    written: _Number
    erased: _Number = 0
    by_mask: dict[str, _Number]
    rejects: dict[str, dict[str, _Number]]
    misses: tuple[GroupMisses, ...] = ()
    warnings: tuple[_Text, ...] = ()
    shards: tuple[ReleaseShard, ...]
    gates: tuple[GateResult, ...] = ()

    @model_validator(mode="after")
    def _counts_agree(self) -> Release:
        by_split: Counter[str] = Counter()
        for shard in self.shards:
            by_split[shard.split] += shard.samples
        if len({shard.name for shard in self.shards}) < len(self.shards):
            raise ValueError("it lists a shard twice")
        if dict(by_split) != {name: split.samples for name, split in self.splits.items()}:
            raise ValueError("the samples of its shards are not those of its splits")
        if by_split.total() != self.written or sum(self.by_mask.values()) != self.written:
            raise ValueError(f"its shards hold {by_split.total():,} samples, but it lists {self.written:,}")
        if self.planned != self.written + self.erased + sum(self.rejects.get("render", {}).values()):
            raise ValueError("planned differs from written, rejected and erased samples")
        return self


class Reference(NamedTuple):
    """A release as a user names it: `NAME@VERSION`, `NAME@latest` or `NAME@CHANNEL`.

    Attributes:
        wanted: a version, `latest`, or the name of a channel.
    """

    name: str
    wanted: str

    @property
    def is_version(self) -> bool:
        """Whether it names a version rather than a channel."""
        return re.fullmatch(VERSION_PATTERN, self.wanted) is not None


def parse_reference(text: str) -> Reference:
    """Parse `NAME@VERSION`, `NAME@latest` or `NAME@CHANNEL`; `NAME` alone is `NAME@latest`.

    >>> parse_reference("masked-faces@1.0.0")
    Reference(name='masked-faces', wanted='1.0.0')

    Raises:
        FaceloomError: it is none of these. Names hold no dot and no slash, so no path can be made of them.
    """
    name, at, wanted = text.partition("@")
    wanted = wanted if at else "latest"
    fits = re.fullmatch(VERSION_PATTERN, wanted) or re.fullmatch(NAME_PATTERN, wanted)
    if not re.fullmatch(NAME_PATTERN, name) or not fits:
        remedy = "Write NAME@VERSION, NAME@latest or NAME@CHANNEL, such as masked-faces@1.0.0"
        raise FaceloomError("this names no release", value=ascii(text)[:80], remedy=remedy)
    return Reference(name, wanted)
