"""Which columns of a table are read, and what becomes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from faceloom.pipelines.sources.values import MOST_ATTRIBUTES
from faceloom.schemas.errors import SourceError
from faceloom.schemas.plain_values import shown
from faceloom.schemas.source_spec import TableColumns

if TYPE_CHECKING:
    import pyarrow as pa

TEXTS = ("uri", "identity", "split", "licence", "consent")
"""Roles whose cells are text."""
ROLES = (*TEXTS, "landmarks", "attributes")


class ChosenColumns(NamedTuple):
    """Columns of a table.

    Attributes:
        roles: the column of each role that the table has one for.
        others: columns that become attributes.
        notices: about columns that do not become attributes.
    """

    roles: Mapping[str, str]
    others: tuple[str, ...]
    notices: tuple[str, ...]

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
        SourceError: two columns have the same name, a named column is missing or has an unfit type, or the recipe names
            more than `MOST_ATTRIBUTES` columns that become attributes.
    """
    from faceloom.pipelines.sources.table_cells import is_scalar

    names = list(schema.names)
    # Spreadsheets write columns without a name.
    if twice := sorted(name for name, count in Counter(names).items() if name and count > 1):
        remedy = "Rename one of them, or leave it out of the table"
        raise SourceError("two columns have the same name", where=where, value=_shown(twice), remedy=remedy)
    given = {role: getattr(columns, role) for role in ROLES}
    needed = {
        given["uri"],
        *(given[role] for role in ROLES if role in columns.model_fields_set),
        *(columns.others or ()),
    }
    if missing := needed - set(names):
        remedy = "Name the table's own columns under the source's `columns`"
        what = f"the table has no column {_shown(sorted(missing))}"
        raise SourceError(what, where=where, value=_shown(names) or "no columns", remedy=remedy)
    kinds = {field.name: field.type for field in schema}
    for role in TEXTS:
        if given[role] in kinds and not is_scalar(kinds[given[role]]):
            what = f"the column {given[role]} is the photo's {role}, and holds no text"
            raise SourceError(what, where=where, value=str(kinds[given[role]])[:60], remedy="Write it as text")
    if columns.others is None:
        free = [name for name in names if name and name not in given.values()]
    else:
        free = list(dict.fromkeys(columns.others))
    unfit = [f"{name} ({str(kinds[name])[:40]})" for name in free if not is_scalar(kinds[name])]
    if unfit and columns.others is not None:
        remedy = "Only text, numbers, true or false, dates and times can; leave the others out of `columns`"
        raise SourceError("these columns cannot become attributes", where=where, value=_shown(unfit), remedy=remedy)
    others = [name for name in free if is_scalar(kinds[name])]
    most = MOST_ATTRIBUTES
    if len(others) > most and columns.others is not None:
        what = f"the recipe names {len(others):,} columns for attributes; a photo has at most {most:,}"
        raise SourceError(what, where=where, remedy="Name fewer under the source's `columns`")
    notices = []
    if unfit:
        notices.append(f"columns that are no text, number, date or time do not become attributes: {_shown(unfit)}")
    if len(others) > most:
        notices.append(
            f"a photo has at most {most:,} attributes, so the table's first {most:,} columns become attributes; "
            f"choose others with `columns`. Left out: {_shown(others[most:])}"
        )
    roles = {role: name for role, name in given.items() if name in kinds}
    return ChosenColumns(roles, tuple(others[:most]), tuple(notices))


def _shown(names: list[str]) -> str:
    """The first names, on one line."""
    text = ", ".join(name if name.isprintable() and len(name) <= 60 else shown(name) for name in names[:10])
    return f"{text} and {len(names) - 10} more" if len(names) > 10 else text
