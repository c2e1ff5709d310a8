"""Which columns of a table are read, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from faceloom.pipelines.sources.values import MOST_ATTRIBUTES
from faceloom.schemas.errors import SourceError
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
        notices: about columns that could not become attributes.
    """

    roles: Mapping[str, str]
    others: tuple[str, ...]
    notices: tuple[str, ...]


def choose_columns(schema: pa.Schema, columns: TableColumns, where: str) -> ChosenColumns:
    """The columns to read.

    Args:
        schema: of the table.
        columns: what the recipe names.
        where: path of the table, for messages.

    Raises:
        SourceError: two columns have the same name, a named column is missing or has an unfit type, or more than
            `MOST_ATTRIBUTES` columns would become attributes.
    """
    from faceloom.pipelines.sources.table_cells import is_scalar

    names = list(schema.names)
    if twice := sorted({name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else ()):
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
    free = [name for name in names if name and name not in given.values()] if columns.others is None else columns.others
    unfit = [f"{name} ({str(kinds[name])[:40]})" for name in free if not is_scalar(kinds[name])]
    if unfit and columns.others is not None:
        remedy = "Only text, numbers, true or false, dates and times can; leave the others out of `columns`"
        raise SourceError("these columns cannot become attributes", where=where, value=_shown(unfit), remedy=remedy)
    others = tuple(name for name in free if is_scalar(kinds[name]))
    if len(others) > MOST_ATTRIBUTES:
        what = f"the table has {len(others):,} columns for attributes; a photo has at most {MOST_ATTRIBUTES:,}"
        raise SourceError(what, where=where, remedy="Choose some with `columns: {others: [NAME, …]}`")
    notices = (f"columns that are no text, number, date or time do not become attributes: {_shown(unfit)}",)
    return ChosenColumns(
        {role: name for role, name in given.items() if name in kinds}, others, notices if unfit else ()
    )


def _shown(names: list[str]) -> str:
    """The first names, on one line."""
    text = ", ".join(ascii(name)[1:-1][:60] if not name.isprintable() else name[:60] for name in names[:10])
    return f"{text} and {len(names) - 10} more" if len(names) > 10 else text
