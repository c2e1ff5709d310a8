"""Which folder of a photo's path names the person."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from faceloom.pipelines.sources.person_names import is_split

_SET = 5
"""A folder with this many folders of photos for each photo of its own is a set of people, and no person."""
_MANY_IN_A_SET = 3
"""Folders of photos in each of some equally deep folders, from which on these may be sets of people."""
_REMEDY = "If this is wrong, write `identity: folder 1`, `folder 2`, `parent` or a pattern in the source"


class Named(NamedTuple):
    """What the path of a photo states: the person, and the split if a folder above the person's is named like one."""

    identity: str | None
    split: str | None


Rule = Callable[[str], Named]
"""Reads the uri of a photo."""


@lru_cache(maxsize=8)
def stated_rule(identity: str) -> Rule:
    """The rule that a recipe states: `folder 1`, `parent`, or a regular expression with a group.

    A uri with fewer folders, or one that the expression is not found in, has no identity.
    """
    if identity == "parent":
        return lambda uri: _in_folders(uri.split("/")[:-1], -1)
    if place := re.fullmatch(r"folder ([1-9])", identity):
        return lambda uri: _in_folders(uri.split("/")[:-1], int(place[1]) - 1)
    expression = re.compile(identity)
    group: str | int = "identity" if "identity" in expression.groupindex else 1

    def search(uri: str) -> Named:
        found = expression.search(uri)
        return Named(found[group] if found else None, None)

    return search


def _in_folders(folders: Sequence[str], place: int) -> Named:
    if not -len(folders) <= place < len(folders):
        return Named(None, None)
    above = folders[:place]
    return Named(folders[place], next((name.lower() for name in above if is_split(name)), None))


class PersonFolders:
    """Finds the folders that name people, from the number of photos directly in each folder.

    Folders of splits, and a single folder around all others, are no people. Where all photos lie equally deep below
    these, the first folder is the person. Where they do not, it is the first one that holds photos itself, unless
    it is a set of people with few photos beside them.

    Attributes:
        notices: what the user should know about the levels of the folders.
    """

    def __init__(self, photos: Mapping[str, int]) -> None:
        """Args:
        photos: number of photos directly in each folder, by its path below the source; `""` is the source itself.
        """
        self._photos = photos
        folders = [tuple(path.split("/")) for path in photos if path]
        self._below = Counter("/".join(parts[:end]) for parts in folders for end in range(1, len(parts)))
        self._skipped, notices = self._outer(folders)
        self._levels = Counter[int]()
        for path, count in photos.items():
            self._levels[path.count("/") + 1 if path else 0] += count
        depths = {len(parts) for parts in folders if len(parts) > self._skipped}
        self._mixed = len(depths) > 1
        if len(self._levels) > 1:
            notices.append(self._mixed_notice())
        else:
            notices += _sets_notice([parts[self._skipped :] for parts in folders])
        self.notices = tuple(notices)
        self._last: tuple[str, Named] = ("", Named(None, None))

    def __call__(self, uri: str) -> Named:
        """The person of a photo, as a `Rule`."""
        folder = uri.rpartition("/")[0]
        if folder != self._last[0]:  # photos come folder by folder
            self._last = folder, self._person_of(folder.split("/"))
        return self._last[1]

    def _person_of(self, folders: Sequence[str]) -> Named:
        if folders == [""]:
            return Named(None, None)
        if len(folders) <= self._skipped:
            return _in_folders([*folders, ""], len(folders))._replace(identity=None)
        place = self._skipped
        if self._mixed:
            paths = ["/".join(folders[: end + 1]) for end in range(place, len(folders))]
            place += next((step for step, path in enumerate(paths) if self._is_person(path)), len(paths) - 1)
        return _in_folders(folders, place)

    def _is_person(self, path: str) -> bool:
        own = self._photos.get(path, 0)
        return own > 0 and _SET * own > self._below[path] and not (self._below[path] and is_split(path.split("/")[-1]))

    def _outer(self, folders: Sequence[tuple[str, ...]]) -> tuple[int, list[str]]:
        """How many levels are above the people, and what the user should know about them."""
        notices: list[str] = []
        level = 0
        while names := sorted({parts[level] for parts in folders if len(parts) > level}):
            inner = any(len(parts) > level + 1 for parts in folders)
            here = _shown(names)
            if all(map(is_split, names)):
                who = "the folders in them name the people" if inner else "no folder names a person"
                notices.append(f"the folders {here} are splits, so {who}. {_REMEDY}")
            elif len(names) == 1 and len(folders) > 1 and min(map(len, folders)) > level + 1:
                notices.append(f"all people lie in the folder {here}, which is taken for no person. {_REMEDY}")
            else:
                break
            level += 1
        return level, notices

    def _mixed_notice(self) -> str:
        where = ("beside the folders", "one folder deep", "two folders deep", "three folders deep")
        counts = [
            f"{count:,} {where[level] if level < len(where) else f'in {level} folders'}"
            for level, count in sorted(self._levels.items())
        ]
        who = "the first folder that holds photos names the person" if self._mixed else "those beside have no identity"
        return f"photos lie at different levels ({', '.join(counts)}); {who}. {_REMEDY}"


def _sets_notice(folders: Sequence[tuple[str, ...]]) -> list[str]:
    """Warn where equally deep folders look like a few sets of many people.

    Folders of one person, such as sessions, are few or have the same names for everyone.
    """
    names = sorted({parts[0] for parts in folders if parts})
    inner = [parts[1:] for parts in folders if len(parts) > 1]
    if not inner or len(inner) < _MANY_IN_A_SET * len(names) or len(set(inner)) < len(inner):
        return []
    what = f"the folders {_shown(names)} hold {len(inner):,} folders of photos, and count as the people"
    return [f"{what}. If the folders in them are the people, write `identity: parent` in the source"]


def _shown(names: Sequence[str]) -> str:
    text = ", ".join(ascii(name[:60])[1:-1] if not name.isprintable() else name[:60] for name in names[:5])
    return f"{text} and {len(names) - 5} more" if len(names) > 5 else text
