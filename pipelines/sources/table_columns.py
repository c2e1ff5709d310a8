"""Which columns of a table are read, and what becomes of them."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from faceloom.pipelines.sources.values import MOST_ATTRIBUTES
from faceloom.schemas.errors import SourceError
from faceloom.schemas.plain_values import shown
from faceloom.schemas.source_spec import TableColumns

if TYPE_CHECKING:
    import pyarrow as pa

TEXTS = ("uri", "identity", "split", "licence", "consent")
"""Roles whose cells are text."""
EDGES = ("left", "top", "right", "bottom")
"""Roles that make a face box, if the table has all four."""
ROLES = (*TEXTS, "landmarks", "attributes", "box", *EDGES)
_MAY_BE_PEOPLE = ("person", "subject", "label", "class", "id")
"""Columns that hold the person's name in many tables and something else in others, without their `_id` or `_name`."""


class ChosenColumns(NamedTuple):
    """Columns of a table.

    Attributes:
        roles: the column of each role that the table has one for.
        others: columns that become attributes.
        notices: about columns that do not become attributes.
        labels: the name of the attribute of each of `others`.
    """

    roles: Mapping[str, str]
    others: tuple[str, ...]
    notices: tuple[str, ...]
    labels: Mapping[str, str]

    @property
    def names(self) -> list[str]:
        """The columns to load, each once: a column may have several roles."""
        return list(dict.fromkeys((*self.roles.values(), *self.others)))


def choose_columns(schema: pa.Schema, columns: TableColumns, where: str) -> ChosenColumns:
    """The columns to read.

    Args:
        schema: of the table.
        columns: what the recipe names.
        where: path of the table, for messages.

    Raises:
        SourceError: two columns have the same name, a named column is missing or has an unfit type, it is unclear which
            column names the people, or the recipe names more than `MOST_ATTRIBUTES` columns that become attributes.
    """
    from faceloom.pipelines.sources.table_cells import is_scalar

    names = list(schema.names)
    # Spreadsheets write columns without a name.
    if twice := sorted(name for name, count in Counter(names).items() if name and count > 1):
        remedy = "Rename one of them, or leave it out of the table"
        raise SourceError("two columns have the same name", where=where, value=_shown(twice), remedy=remedy)
    stated = columns.model_fields_set
    find = _Finder(names, where)
    given = {role: find(name) for role in ROLES if (name := getattr(columns, role)) is not None}
    others = None if columns.others is None else tuple(map(find, columns.others))
    needed = {given["uri"], *(given[role] for role in given if role in stated), *(others or ())}
    if missing := needed - set(names):
        remedy = "Name the table's own columns under the source's `columns`"
        what = f"the table has no column {_shown(sorted(missing))}"
        raise SourceError(what, where=where, value=_shown(names) or "no columns", remedy=remedy)
    if (missing := {given[edge] for edge in EDGES} - set(names)) or (given["box"] in names and not stated & set(EDGES)):
        if missing and stated & set(EDGES):
            what, remedy = "a face box needs all four edges", "Name the columns left, top, right and bottom"
            raise SourceError(what, where=where, value=_shown(sorted(missing)), remedy=remedy)
        given = {role: name for role, name in given.items() if role not in EDGES}
    kinds = {field.name: field.type for field in schema}
    for role in TEXTS:
        if given.get(role) in kinds and not is_scalar(kinds[given[role]]):
            what = f"the column {given[role]} is the photo's {role}, and holds no text"
            raise SourceError(what, where=where, value=str(kinds[given[role]])[:60], remedy="Write it as text")
    if others is None and "identity" not in stated and given["identity"] not in names:
        _refuse_unclear_people(names, where)
    if others is None:
        free = [name for name in names if name.strip() and name not in given.values()]
    else:
        free = list(dict.fromkeys(others))
    unfit = [f"{name} ({str(kinds[name])[:40]})" for name in free if not is_scalar(kinds[name])]
    if unfit and others is not None:
        remedy = "Only text, numbers, true or false, dates and times can; leave the others out of `columns`"
        raise SourceError("these columns cannot become attributes", where=where, value=_shown(unfit), remedy=remedy)
    fit = [name for name in free if is_scalar(kinds[name])]
    most = MOST_ATTRIBUTES
    if len(fit) > most and others is not None:
        what = f"the recipe names {len(fit):,} columns for attributes; a photo has at most {most:,}"
        raise SourceError(what, where=where, remedy="Name fewer under the source's `columns`")
    notices = []
    if unfit:
        notices.append(f"columns that are no text, number, date or time do not become attributes: {_shown(unfit)}")
    if len(fit) > most:
        notices.append(
            f"a photo has at most {most:,} attributes, so the table's first {most:,} columns become attributes; "
            f"choose others with `columns`. Left out: {_shown(fit[most:])}"
        )
    roles = {role: name for role, name in given.items() if name in kinds}
    labels = {name: name.strip() for name in fit[:most]}
    if len(set(labels.values())) < len(labels):  # they differ in blanks only
        labels = {name: name for name in labels}
    return ChosenColumns(roles, tuple(fit[:most]), tuple(notices), labels)


class _Finder:
    """Finds columns by name: the very name, else one that differs in case and outer blanks only."""

    def __init__(self, names: Sequence[str], where: str) -> None:
        self._exact, self._where = set(names), where
        self._alike: dict[str, list[str]] = {}
        for name in names:
            self._alike.setdefault(_plain(name), []).append(name)

    def __call__(self, wanted: str) -> str:
        """The table's column of that name; the name itself if there is none."""
        if wanted in self._exact:
            return wanted
        found = self._alike.get(_plain(wanted), [])
        if len(found) > 1:
            remedy = "Rename one of them, or name one under the source's `columns`"
            raise SourceError(f"two columns are called {wanted}", where=self._where, value=_shown(found), remedy=remedy)
        return found[0] if found else wanted


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().casefold()


def _refuse_unclear_people(names: Sequence[str], where: str) -> None:
    """Ask which column names the people, if none does and one may."""
    alike = {_plain(name).replace(" ", "_"): name for name in names}
    endings = ("", "_id", "_name", "id", "name")
    words = [*_MAY_BE_PEOPLE, *(one + end for one in ("person", "subject", "identity", "class") for end in endings)]
    if found := next((alike[word] for word in words if word in alike), None):
        shown = _shown([found])
        remedy = (
            f"If it does, call the column `identity`, or write `columns: {{identity: {shown}}}` in the source; "
            "if not, write `columns: {identity: null}`"
        )
        what = f"the table has no column identity; does {shown} name the person?"
        raise SourceError(what, where=where, value=_shown(list(names)), remedy=remedy)


def _shown(names: list[str]) -> str:
    """The first names, on one line."""
    text = ", ".join(name if name.isprintable() and len(name) <= 60 else shown(name) for name in names[:10])
    return f"{text} and {len(names) - 10} more" if len(names) > 10 else text
