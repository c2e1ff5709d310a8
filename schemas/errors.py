"""The errors of faceloom. They carry fields: what failed, where, with which value, and what to do."""

from __future__ import annotations

import json
import re
import traceback

from faceloom.schemas.reject_codes import check_code

MOST_LETTERS = 300
"""Letters of a value that a message shows."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters, line separators, and marks that turn the direction of text."""


def printable(text: str) -> str:
    """Text with its control characters escaped, so that it takes one line and cannot steer a terminal.

    Line separators and marks of direction of Unicode are escaped too.

    >>> printable("red\\x1b[31m")
    'red\\\\x1b[31m'
    """
    return _CONTROL.sub(
        lambda found: f"\\x{ord(found[0]):02x}" if ord(found[0]) < 256 else f"\\u{ord(found[0]):04x}", text
    )


def _line(text: str, most: int | None = None) -> str:
    line = " ".join(text.split()) if "\n" in text else text
    return line if most is None or len(line) <= most else f"{line[:most]}…"


class FaceloomError(Exception):
    """Base of every error that faceloom raises on purpose.

    Attributes:
        what: what failed, one clause.
        where: the photo, sample, file or recipe path concerned; empty if none.
        value: the offending value, as text; empty if none.
        remedy: what the user can do; empty if unknown.
    """

    def __init__(self, what: str, *, where: str = "", value: object = "", remedy: str = "") -> None:
        self.what, self.where, self.value, self.remedy = what, where, str(value), remedy
        super().__init__(what)

    def __str__(self) -> str:
        """One line, without control characters; a long value is cut short."""
        head = f"{self.where}: {_line(self.what)}" if self.where else _line(self.what)
        value = f" (got {_line(self.value, MOST_LETTERS)})" if self.value else ""
        remedy = f". {_line(self.remedy)}" if self.remedy else ""
        return printable(f"{head}{value}{remedy}")


class RecipeError(FaceloomError):
    """The recipe is wrong; `where` is its path, such as `$.masks[1].shape`."""


class SourceError(FaceloomError):
    """A source of photos does not exist or cannot be listed."""


class TableError(SourceError):
    """A table of photos is damaged, so the argument that names it is wrong, although a scan finds it."""


class StorageError(FaceloomError):
    """The output cannot be written or read: disk full, no permission, damaged file."""


class UrlError(StorageError):
    """A wrong argument: the URL names no folder of a known kind of store, or there is no such bucket."""


class ReleaseError(FaceloomError):
    """A wrong argument: there is no such release, it exists already, or it is yanked."""


class GateError(FaceloomError):
    """A release did not pass its gates, so it is not published."""


class ModelFileError(FaceloomError):
    """A model file is missing or is not what it should be."""


class CheckpointError(FaceloomError):
    """The folder of a trained network is missing, damaged, not from faceloom, or made for other crops."""


class TrainingError(FaceloomError):
    """Training cannot start with these arguments, or cannot continue."""


class WorkerError(FaceloomError):
    """A task failed with an unexpected error, or its worker process died.

    Attributes:
        trace: traceback of the task; empty if none is known.
    """

    trace = ""


class PhotoError(FaceloomError):
    """One photo, face or sample cannot be used; becomes a row of the reject table.

    Attributes:
        code: one of `REJECT_CODES`.

    Raises:
        ValueError: there is no such code.
    """

    def __init__(self, code: str, what: str, *, where: str = "", value: object = "", remedy: str = "") -> None:
        check_code(code)
        super().__init__(what, where=where, value=value, remedy=remedy)
        self.code = code
        self.args = code, what  # copies are made from these


_FIELDS = ("what", "where", "value", "remedy")
_KINDS = {
    kind.__name__: kind
    for kind in (
        *(FaceloomError, RecipeError, SourceError, TableError, StorageError, UrlError, ReleaseError, GateError),
        *(ModelFileError, CheckpointError, TrainingError, WorkerError, PhotoError),
    )
}
"""Errors that cross processes, by name."""


def error_to_json(error: Exception) -> str:
    """An error as JSON, so that it can cross processes without pickle. One that is not ours becomes a WorkerError."""
    if type(error).__name__ not in _KINDS or not isinstance(error, FaceloomError):
        what = "".join(traceback.format_exception_only(error)).strip()
        trace = "".join(traceback.format_exception(error))
        return json.dumps({"kind": "WorkerError", "what": what, "trace": trace})
    fields = {name: getattr(error, name) for name in (*_FIELDS, "code", "trace") if hasattr(error, name)}
    return json.dumps({"kind": type(error).__name__, **fields})


def error_from_json(text: str) -> FaceloomError:
    """The error that `error_to_json` wrote.

    Raises:
        ValueError: the text is something else.
    """
    data = json.loads(text)
    kind = _KINDS.get(str(data.get("kind"))) if isinstance(data, dict) else None
    if kind is None or not all(isinstance(value, str) for value in data.values()):
        raise ValueError("not an error of faceloom")
    known = {name: data.get(name, "") for name in _FIELDS[1:]}
    if kind is PhotoError:
        return PhotoError(data.get("code", ""), data.get("what", ""), **known)
    error = kind(data.get("what", ""), **known)
    if isinstance(error, WorkerError):
        error.trace = data.get("trace", "")
    return error
