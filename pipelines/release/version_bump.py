"""How far a version must rise, by what changed since the release before."""

from __future__ import annotations

from typing import Literal, NamedTuple

from faceloom.pipelines.release.diff import Diff
from faceloom.schemas.counted import counted
from faceloom.schemas.release import GateResult

Level = Literal["patch", "minor", "major"]
_LEVELS: tuple[Level, ...] = ("patch", "minor", "major")
_FIRST_NUMBERS = 3
_WORDS = {
    "added": "samples were added", "removed": "samples were removed", "moved": "samples moved to another split",
    "rerendered": "samples have other pixels", "relabelled": "samples have other labels",
}  # fmt: skip


class Needed(NamedTuple):
    """The least level of a version that a change needs, and why."""

    level: Level
    why: str


def needed_level(found: Diff, erased: int = 0) -> Needed:
    """The least level that a diff needs.

    `major`: a member or a split is gone, or a sample moved to another split, so that code or comparisons that used the
    older release break. `minor`: samples were added, removed, re-rendered or relabelled, or members or splits added.
    `patch`: nothing but the record of origins differs, or nothing but erased samples are gone.

    Args:
        found: the diff, from the older release to the newer.
        erased: number of samples that were erased between them.
    """
    if found.members_removed:
        return Needed("major", f"the samples lack {', '.join(found.members_removed)}")
    erasure = erased > 0 and erased == found.counts["removed"]
    counts = {kind: found.counts[kind] for kind in _WORDS if not (erasure and kind == "removed")}
    if found.splits_removed:
        return Needed("major", f"the split {', '.join(found.splits_removed)} is gone")
    if counts["moved"]:
        return Needed("major", f"{counts['moved']:,} {_WORDS['moved']}")
    changes = [f"{count:,} {_WORDS[kind]}" for kind, count in counts.items() if count]
    if found.members_added:
        changes.append(f"the samples have {', '.join(found.members_added)} too")
    if found.splits_added:
        changes.append(f"the split {', '.join(found.splits_added)} is new")
    if changes:
        return Needed("minor", ", ".join(changes))
    return Needed("patch", f"erased: {counted(erased, 'sample')}" if erasure else "no file of a sample changed")


def given_level(before: str, after: str) -> Level | None:
    """The level by which a version rises from another; None if it does not rise.

    >>> given_level("1.2.3", "1.3.0")
    'minor'
    """
    old, new = ([int(number) for number in version.split(".")] for version in (before, after))
    if new <= old:
        return None
    first = next(place for place in range(_FIRST_NUMBERS) if new[place] != old[place])
    return _LEVELS[_FIRST_NUMBERS - 1 - first]


def version_gate(version: str, before: str, needed: Needed) -> GateResult:
    """The version rises at least as far as the changes need.

    Args:
        version: of the new release.
        before: version of the release that it follows.
        needed: the least level.
    """
    given = given_level(before, version)
    levels = {"needed": float(_LEVELS.index(needed.level)), "given": -1.0 if given is None else _LEVELS.index(given)}
    found = f"from {before} to {version} is a {given} step, and the changes need a {needed.level} one: {needed.why}"
    if given is None:
        found = f"{version} does not come after {before}, the release that it follows"
    passed = levels["given"] >= levels["needed"]
    if not passed:
        found += f". Use {next_version(before, needed.level)}"
    return GateResult(gate="version", passed=passed, found=found, figures=levels)


def next_version(before: str, level: Level) -> str:
    """The first version that rises by a level.

    >>> next_version("1.2.3", "minor")
    '1.3.0'
    """
    numbers = [int(number) for number in before.split(".")]
    place = _FIRST_NUMBERS - 1 - _LEVELS.index(level)
    return ".".join(
        str(number) for number in [*numbers[:place], numbers[place] + 1, *[0] * (_FIRST_NUMBERS - 1 - place)]
    )
