"""Patterns of paths whose folders say what a photo shows, such as `{identity}/{light}/{angle}.jpg`."""

from __future__ import annotations

import re

RECOGNISED = ("identity", "split", "licence", "consent")
"""Names that mean what they say of a photo; any other becomes an attribute."""

_PIECE = re.compile(r"\{(\w+)\}|(\*)|([^{}*]+)|(.)", re.DOTALL)


def compile_pattern(text: str) -> re.Pattern[str]:
    """The expression that a whole uri must match, with a named group for each name of the pattern.

    `{name}` and `*` stand for one or more characters other than `/`, as few as will do. A name that comes again stands
    for the same text again, as in `{identity}/{identity}_*.jpg`.

    Raises:
        ValueError: a brace that is not closed, or a name that starts with a digit.
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
    return re.compile(expression)
