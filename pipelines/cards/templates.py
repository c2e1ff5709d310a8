"""Fill in the templates of cards and pages. Texts of strangers cannot change what a template writes."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment, Template

MOST_LETTERS = 300
"""Letters of a text that a card shows."""
_JOINT = re.compile(r"([_/+-]+)(?=\w)")
_MARKUP = re.compile(r"([\\`*\[\]|~#]|(?<!\w)_|_(?!\w))")  # `_` inside of a word is no markup


def visible(text: object, most: int | None = MOST_LETTERS) -> str:
    """A text on one line. Letters that cannot be seen are escaped, such as those that turn the direction of writing.

    Args:
        text: of anyone.
        most: letters to show; the rest is cut off. None shows all.

    >>> visible("Ada\\u202e gpj.exe")
    'Ada\\\\u202e gpj.exe'
    """
    line = " ".join(str(text).split())
    line = line if most is None or len(line) <= most else f"{line[:most]}…"
    return line if line.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def breakable(text: object, most: int | None = MOST_LETTERS) -> str:
    """A text as `visible`, as HTML that may wrap after signs such as `_` and `/`, before it wraps inside of a word."""
    from markupsafe import Markup, escape

    return Markup(_JOINT.sub(r"\1<wbr>", str(escape(visible(text, most)))))


def cell(text: object, most: int | None = MOST_LETTERS) -> str:
    """A text as Markdown that shows it as it is, in a cell of a table. Arguments as `visible`."""
    escaped = visible(text, most).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(r"\\\1", escaped)


def prose(text: object) -> str:
    """A text as Markdown that shows it as it is, in paragraphs."""
    return "\n\n".join(cell(paragraph, None) for paragraph in re.split(r"\n\s*\n", str(text)))


def quoted(text: object) -> str:
    """A text as a YAML scalar in double quotes."""
    return json.dumps(visible(text), ensure_ascii=False)


def read_template(package: str, name: str) -> str:
    """Text of a file that is installed with a package."""
    return files(package).joinpath(name).read_text("utf-8")


def fill(package: str, name: str, **values: Any) -> str:
    """Fill in a template that is installed with a package.

    Args:
        package: such as `faceloom.pipelines.cards`.
        name: of the template. In one that ends in `.html.j2` all values are escaped, unless they are marked as safe.
        **values: for its variables; one that is missing is an error.
    """
    return _compiled(package, name).render(**values)


@cache
def _compiled(package: str, name: str) -> Template:
    return _environment(name.endswith(".html.j2")).from_string(read_template(package, name))


@cache
def _environment(escaped: bool) -> Environment:
    from jinja2 import Environment, StrictUndefined

    made = Environment(
        autoescape=escaped, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    made.filters |= {
        "visible": visible,
        "breakable": breakable,
        "cell": cell,
        "prose": prose,
        "quoted": quoted,
        "number": "{:,}".format,
    }
    return made
