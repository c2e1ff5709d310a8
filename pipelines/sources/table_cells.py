"""Cells of a Parquet table as Python values, whatever a stranger wrote into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from faceloom.pipelines.sources.values import LONGEST_TEXT

if TYPE_CHECKING:
    import pyarrow as pa

_UNHELD = (ValueError, OverflowError, LookupError, TypeError, NotImplementedError)  # Arrow's errors are among them
_MOST_BYTES = 1_000_000  # of one list or object; 68 landmarks take 1,088


class Unreadable:
    """Stands for a cell that Python cannot hold, such as text that is not UTF-8."""

    def __repr__(self) -> str:
        return "a value that cannot be read"


UNREADABLE: Final = Unreadable()


def is_scalar(kind: pa.DataType) -> bool:
    """Whether cells of this type are text, numbers, true or false, dates or times."""
    import pyarrow.types as pat

    if pat.is_dictionary(kind):
        return is_scalar(kind.value_type)
    tests = (
        *(pat.is_string, pat.is_large_string, pat.is_string_view, pat.is_integer, pat.is_floating, pat.is_boolean),
        *(pat.is_decimal, pat.is_date, pat.is_time, pat.is_timestamp, pat.is_null),
    )
    return any(test(kind) for test in tests)


def as_scalars(column: pa.Array, *, longest: int | None = LONGEST_TEXT) -> pa.Array:
    """Text, numbers or bools of the same cells; dates and times become text as in ISO 8601, in UTC if they have a zone.

    Args:
        column: of a type for which `is_scalar` is true.
        longest: longer texts become null, and so do dates and times out of range; None keeps all texts.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as pat

    kind = column.type
    if pat.is_dictionary(kind):
        short = as_scalars(column.dictionary, longest=longest)
        return pa.DictionaryArray.from_arrays(column.indices, short).dictionary_decode()
    if pat.is_timestamp(kind):
        # Through whole numbers, because the zone may be one that this machine does not know.
        text = column.cast(pa.int64()).cast(pa.timestamp(kind.unit)).cast(pa.string())
        column = pc.replace_substring(text, " ", "T", max_replacements=1)
        column = pc.binary_join_element_wise(column, "Z", "") if kind.tz else column
    elif pat.is_date(kind) or pat.is_time(kind) or pat.is_decimal(kind):
        column = column.cast(pa.string())
    elif pat.is_string_view(kind):
        column = column.cast(pa.large_string())
    elif not (pat.is_string(kind) or pat.is_large_string(kind)):
        return column
    if pat.is_temporal(kind):  # Arrow writes "<value out of range: …>"
        column = pc.if_else(pc.starts_with(column, "<"), None, column)
    if longest is not None:
        column = pc.if_else(pc.greater(pc.utf8_length(column), longest), None, column)
    return column


def cells_of(column: pa.ChunkedArray) -> list[object]:
    """The cells of a column; `UNREADABLE` for each that Python cannot hold, or that is longer than a megabyte."""
    import pyarrow.types as pat

    nested, kind = pat.is_nested(column.type), _without_nanoseconds(column.type)
    if not nested:
        try:
            cells: list[object] = column.cast(kind).to_pylist()
        except _UNHELD:
            pass
        else:
            return cells
    return [_cell(column.slice(place, 1), kind, nested) for place in range(len(column))]


def _without_nanoseconds(kind: pa.DataType) -> pa.DataType:
    """The type with microseconds for nanoseconds: pyarrow gives these as objects of pandas where that is installed."""
    import pyarrow as pa
    import pyarrow.types as pat

    if pat.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if pat.is_duration(kind) and kind.unit == "ns":
        return pa.duration("us")
    if pat.is_list(kind):
        return pa.list_(_without_nanoseconds(kind.value_type))
    if pat.is_struct(kind):
        return pa.struct([(field.name, _without_nanoseconds(field.type)) for field in kind])
    return kind


def _cell(column: pa.ChunkedArray, kind: pa.DataType, nested: bool) -> object:
    if nested and column.nbytes > _MOST_BYTES:
        return UNREADABLE
    try:
        value: object = column.cast(kind)[0].as_py()
    except _UNHELD:
        return UNREADABLE
    return value
