"""Patterns of paths: folders that describe a photo, `{identity}/{light}/{angle}.jpg`, and tar files, `{00..41}.tar`."""

from __future__ import annotations

import re

RECOGNISED = ("identity", "split", "licence", "consent")
"""Names that fill a field of the photo; any other name becomes an attribute."""

MOST_LETTERS = 20_000_000
"""Of all paths together that a pattern with braces may name: a range of 200,000 shards with paths of 100 letters."""
_MOST_NAMES = 100
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"([0-9]{1,18})\.\.([0-9]{1,18})")
_PIECE = re.compile(r"\{(\w+)\}|(\*)|([^{}*]+)|(.)", re.DOTALL)


def compile_pattern(text: str) -> re.Pattern[str]:
    """The expression that a whole uri must match, with a named group for each name of the pattern.

    `{name}` and `*` match one or more characters other than `/`, as few as possible. A repeated name matches the same
    text again, as in `{identity}/{identity}_*.jpg`.

    Raises:
        ValueError: a brace that is not closed, a name that starts with a digit, or more than 100 names.
    """
    seen: set[str] = set()
    expression = ""
    for name, star, plain, other in _PIECE.findall(text):
        if other:
            raise ValueError(f"a pattern is a path with names in braces; '{other}' stands alone")
        if name and not name.isidentifier():
            raise ValueError(f"a name in a pattern starts with a letter, not '{name}'")
        if name in seen:
            expression += f"(?P={name})"
        elif name:
            seen.add(name)
            expression += f"(?P<{name}>[^/]+?)"
        else:
            expression += "[^/]+?" if star else re.escape(plain)
    if len(seen) > _MOST_NAMES:
        raise ValueError(f"a pattern has at most {_MOST_NAMES} names, not {len(seen)}")
    return re.compile(expression)


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
