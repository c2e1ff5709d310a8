"""Patterns of paths: folders that describe a photo, `{identity}/{light}/{angle}.jpg`, and tar files, `{00..41}.tar`."""

from __future__ import annotations

import itertools
import re

RECOGNISED = ("identity", "split", "licence", "consent")
"""Names that fill a field of the photo; any other name becomes an attribute."""

MOST_LETTERS = 20_000_000
"""Of all paths together that a pattern with braces may name: a range of 200,000 shards with paths of 100 letters."""
_MOST_NAMES = 100
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"([0-9]{1,18})\.\.([0-9]{1,18})")
_WILD = ("(?P<", "[^/]+?")
_PIECE = re.compile(r"\{(\w+)\}|(\*)|([^{}*]+)|(.)", re.DOTALL)


def compile_pattern(text: str) -> re.Pattern[str]:
    """The expression that a whole uri must match, with a named group for each name of the pattern.

    `{name}` and `*` match one or more characters other than `/`, as few as possible. A repeated name matches the same
    text again, as in `{identity}/{identity}_*.jpg`.

    Raises:
        ValueError: a brace that is not closed, a name that starts with a digit, more than 100 names, or a repeated name
            in a folder with more than two wildcards, or in two folders with two each.
    """
    names = [name for name, *_ in _PIECE.findall(text) if name]
    seen: set[str] = set()
    segments: list[list[str]] = [[]]  # expressions between slashes; those of wildcards start with one of _WILD
    backtracking: set[int] = set()
    for name, star, plain, other in _PIECE.findall(text):
        if other:
            raise ValueError(f"a pattern is a path with names in braces; '{other}' stands alone")
        if name and not name.isidentifier():
            raise ValueError(f"a name in a pattern starts with a letter, not '{name}'")
        if name in seen:
            segments[-1].append(f"(?P={name})")
        elif name:
            seen.add(name)
            segments[-1].append(f"(?P<{name}>[^/]+?)")
            if names.count(name) > 1:
                backtracking.add(len(segments) - 1)
        elif star:
            segments[-1].append("[^/]+?")
        else:
            first, *more = plain.split("/")
            segments[-1].append(re.escape(first))
            segments += [[re.escape(part)] for part in more]
    if len(seen) > _MOST_NAMES:
        raise ValueError(f"a pattern has at most {_MOST_NAMES} names, not {len(seen)}")
    # Each wildcard but one of a folder multiplies what must be tried by the length of its name.
    wild = [sum(part.startswith(_WILD) for part in segments[place]) for place in backtracking]
    if sum(max(0, count - 1) for count in wild) > 1:
        again = next(name for name in seen if names.count(name) > 1)
        what = f"'{{{again}}}' is repeated, and the folders with repeated names have too many wildcards"
        raise ValueError(f"{what}; write it once, then `*`")
    whole = ["".join(parts if place in backtracking else _at_once(parts)) for place, parts in enumerate(segments)]
    return re.compile("/".join(whole))


def _at_once(parts: list[str]) -> list[str]:
    """Bind each wildcard but the last of a segment to the text after it.

    The first place of that text leaves the most for the rest, so trying the others could find nothing else, and would
    take minutes for a name such as `______.jpg`.
    """
    wild = [place for place, part in enumerate(parts) if part.startswith(_WILD)]
    bound = [f"(?>{''.join(parts[begin:end])})" for begin, end in itertools.pairwise(wild)]
    return [*parts[: wild[0]], *bound, *parts[wild[-1] :]] if wild else parts


def expand_braces(pattern: str) -> list[str]:
    """Expand the braces of a pattern: `{a,b}`, and `{000..041}` with the same zero padding.

    Raises:
        ValueError: the texts together have more than `MOST_LETTERS` letters; found before they are made.
    """
    most = MOST_LETTERS // max(1, len(pattern))
    done: list[str] = []
    waiting = [pattern]
    while waiting:
        text = waiting.pop()
        found = _BRACES.search(text)
        if found is None:
            done.append(text)
            continue
        choices = _choices(found[1], most - len(done) - len(waiting))
        head, tail = text[: found.start()], text[found.end() :]
        waiting += [head + choice + tail for choice in reversed(choices)]
    return done


def _choices(inside: str, most: int) -> list[str]:
    if span := _RANGE.fullmatch(inside):
        first, last = int(span[1]), int(span[2])
        count = last - first + 1
    else:
        count = inside.count(",") + 1
    if count > most:
        raise ValueError(f"the braces '{{{inside[:40]}}}' name too many files; use a wildcard such as '*.tar'")
    if span is None:
        return inside.split(",")
    width = max(map(len, span.groups())) if any(end.startswith("0") for end in span.groups()) else 0
    return [f"{number:0{width}d}" for number in range(first, last + 1)]
