"""Patterns of paths whose folders describe a photo, such as `{identity}/{light}/{angle}.jpg`."""

from __future__ import annotations

import re

RECOGNISED = ("identity", "split", "licence", "consent")
"""Names that fill a field of the photo; any other name becomes an attribute."""

_PIECE = re.compile(r"\{(\w+)\}|(\*)|([^{}*]+)|(.)", re.DOTALL)


def compile_pattern(text: str) -> re.Pattern[str]:
    """The expression that a whole uri must match, with a named group for each name of the pattern.

    `{name}` and `*` match one or more characters other than `/`, as few as possible. A repeated name matches the same
    text again, as in `{identity}/{identity}_*.jpg`.

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
