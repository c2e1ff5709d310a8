"""The data card: Markdown for people, with a head in YAML for the hub of HuggingFace."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from faceloom.pipelines.cards.templates import fill
from faceloom.pipelines.cards.terms import CARE, LIMITS, NOT_STATED, REFUSED, USES
from faceloom.pipelines.store.paths import shard_tar
from faceloom.schemas.errors import FaceloomError
from faceloom.schemas.reject_codes import REJECT_CODES
from faceloom.schemas.release import GroupMisses

_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
_LICENCES = {
    "cc0": "cc0-1.0", "cc0 1.0": "cc0-1.0", "cc by 4.0": "cc-by-4.0", "cc by sa 4.0": "cc-by-sa-4.0",
    "cc by nc 4.0": "cc-by-nc-4.0", "cc by nc sa 4.0": "cc-by-nc-sa-4.0", "cc by nc nd 4.0": "cc-by-nc-nd-4.0",
    "mit": "mit", "apache 2.0": "apache-2.0",
}  # fmt: skip
"""Names of licences on the hub; all others are `other` there."""
_MEMBERS = {
    "face": "the aligned face without a mask", "masked": "the same face with a mask",
    "mask": "255 where the mask covers half of the pixel or more, else 0",
    "alpha": "share of the pixel that the mask covers, times 255",
    "landmarks": "68 points in pixels of the face, x and y, float32; NaN without trusted ones",
    "guide": "255 in the parts of the face that the guide names, else 0",
    "upper": "the face above a row", "lower": "the face below that row",
    "lower_landmarks": "68 points in pixels of the lower part, float32; NaN without trusted ones",
    "lr": "the face made small", "lr_masked": "the masked face made small", "lr_mask": "the mask made small",
    "lr_upsampled": "the small face enlarged again", "lr_masked_upsampled": "the small masked face enlarged again",
    "features": "output of a network for the face, float32",
    "json": "identity, split, source, licence, and every operation with its parameters and seed",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What a card states of a source.

    Attributes:
        photos: in the samples; None if they were not counted.
        licences, consents: samples by what the source states; empty text where it states nothing.
    """

    name: str
    samples: int
    people: int
    licences: Mapping[str, int]
    consents: Mapping[str, int]
    photos: int | None = None


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a data card states.

    Attributes:
        title, version, description: of the set; no version for a build.
        shards: names of the shards by split.
        splits: samples and people by split.
        people: number of people in all splits.
        photos: number of files that the sources listed.
        by_mask: number of samples by mask; `none` without one.
        members: names of the files of a sample.
        rejects: number by stage and code.
        misses: photos in which the detector found no face, by groups.
        notes: further known limits, one paragraph each.
        models: terms of the models that samples depend on.
        made: how it was made, one paragraph each.
        checks: what was checked before publication, and what was found.
    """

    title: str
    description: str
    shards: Mapping[str, Sequence[str]]
    splits: Mapping[str, tuple[int, int]]
    people: int
    photos: int
    by_mask: Mapping[str, int]
    sources: Sequence[SourceFacts]
    members: Sequence[str]
    rejects: Mapping[str, Mapping[str, int]]
    made: Sequence[str]
    version: str = ""
    misses: Sequence[GroupMisses] = ()
    notes: Sequence[str] = ()
    models: Sequence[str] = ()
    checks: Sequence[tuple[str, str]] = field(default_factory=tuple)

    @property
    def samples(self) -> int:
        """Number of samples."""
        return sum(samples for samples, _ in self.splits.values())


def card_text(facts: CardFacts) -> str:
    """Return the data card of a build or release."""
    kinds = {member.partition(".")[0] for member in facts.members}
    no_face = facts.rejects.get("analyse", {}).get("no_face", 0)
    return fill(
        "faceloom.pipelines.cards",
        "card.md.j2",
        facts=facts,
        licence=hub_licence([licence for source in facts.sources for licence in source.licences]),
        size=next((name for most, name in _SIZES if facts.samples < most), "n>10M"),
        tasks=_tasks(kinds),
        data_files=_data_files(facts.shards),
        members=[(member, _MEMBERS.get(member.partition(".")[0], "")) for member in sorted(facts.members)],
        no_face=no_face,
        looked_at=facts.photos - sum(facts.rejects.get("scan", {}).values()),
        meanings={code: known.meaning for code, known in REJECT_CODES.items()},
        not_stated=NOT_STATED,
        care=CARE,
        limits=LIMITS,
        uses=USES,
        refused=REFUSED,
    )


def refuse_empty_sections(text: str, where: str) -> None:
    """Refuse a card with a section that states nothing.

    Raises:
        FaceloomError: a section is empty; names it.
    """
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        if not body.strip():
            remedy = "State it in the recipe or in the source, build again, and publish that build"
            raise FaceloomError("a section of the data card is empty", where=where, value=title, remedy=remedy)


def hub_licence(licences: Sequence[str]) -> str:
    """The licence of a set as HuggingFace names it: `unknown` if none is stated, `other` for several or a rare one."""
    stated = {" ".join(re.split(r"[\s_-]+", licence.strip().lower())) for licence in licences}
    if stated <= {""}:
        return "unknown"
    return _LICENCES.get(stated.pop(), "other") if len(stated) == 1 else "other"


def _tasks(kinds: set[str]) -> list[str]:
    tasks = {"image-feature-extraction": "face", "image-segmentation": "mask", "image-to-image": "masked"}
    return [task for task, member in tasks.items() if member in kinds]


def _data_files(shards: Mapping[str, Sequence[str]]) -> list[tuple[str, list[str]]]:
    """Paths of shards by split, whose names HuggingFace restricts to letters, digits and underscores."""
    named: dict[str, list[str]] = {}
    for split, names in sorted(shards.items()):
        name = re.sub(r"\W", "_", split)
        while name in named:
            name += "_"
        named[name] = [shard_tar(shard) for shard in names]
    return list(named.items())
