"""One error base for faceloom. Errors are data: what failed, where, with which value, and what to do."""

from __future__ import annotations


class FaceloomError(Exception):
    """Base of every error that faceloom raises on purpose.

    Attributes:
        what: what failed, one clause.
        where: the photo, sample, file or recipe path concerned; empty if none.
        value: the offending value, as text; empty if none.
        remedy: what the user can do; empty if nothing is known.
    """

    def __init__(self, what: str, *, where: str = "", value: object = "", remedy: str = "") -> None:
        self.what, self.where, self.value, self.remedy = what, where, str(value), remedy
        super().__init__(what)

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        value = f" (got {self.value})" if self.value else ""
        gap = "" if self.remedy.startswith("\n") else ". "
        remedy = f"{gap}{self.remedy}" if self.remedy else ""
        return f"{head}{value}{remedy}"

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders by pickle; keyword-only arguments need help there.
        return _rebuild, (type(self), self.what, self.where, self.value, self.remedy)


def _rebuild(kind: type[FaceloomError], what: str, where: str, value: str, remedy: str) -> FaceloomError:
    return kind(what, where=where, value=value, remedy=remedy)


class RecipeError(FaceloomError):
    """The recipe is wrong; `where` is its path, such as `$.masks[1].shape`."""


class SourceError(FaceloomError):
    """A photo source cannot be listed or has vanished."""


class StorageError(FaceloomError):
    """The output cannot be written or read: disk full, no permission, damaged file."""


class ModelFileError(FaceloomError):
    """A model file is missing or is not what it should be."""


class CheckpointError(FaceloomError):
    """A trained network's folder is missing, foreign, damaged, or made for something else."""


class TrainingError(FaceloomError):
    """Training cannot start with what it was given, or cannot go on."""


class PhotoError(FaceloomError):
    """One photo, face or sample cannot be used; becomes a row of the reject table.

    Attributes:
        code: a short fixed word such as `truncated`, `no_face`, `too_many_pixels`.
    """

    def __init__(self, code: str, what: str, *, where: str = "", value: object = "", remedy: str = "") -> None:
        super().__init__(what, where=where, value=value, remedy=remedy)
        self.code = code

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_photo, (self.code, self.what, self.where, self.value, self.remedy)


def _rebuild_photo(code: str, what: str, where: str, value: str, remedy: str) -> PhotoError:
    return PhotoError(code, what, where=where, value=value, remedy=remedy)
