"""Errors are data, read well, and survive the way back from another process."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.schemas import errors
from faceloom.schemas.errors import (
    CheckpointError,
    FaceloomError,
    GateError,
    ModelFileError,
    PhotoError,
    RecipeError,
    ReleaseError,
    SourceError,
    StorageError,
    TableError,
    TrainingError,
    UrlError,
    WorkerError,
    error_from_json,
    error_to_json,
)
from faceloom.schemas.reject_codes import REJECT_CODES

KINDS = [
    FaceloomError,
    RecipeError,
    SourceError,
    TableError,
    StorageError,
    UrlError,
    ReleaseError,
    GateError,
    ModelFileError,
    CheckpointError,
    TrainingError,
]
KINDS += [WorkerError]
text = st.text(max_size=30)


def test_every_error_of_ours_has_one_base() -> None:
    found = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert set(found) == {*KINDS, PhotoError}
    assert all(issubclass(kind, FaceloomError) for kind in found)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "it broke"),
        ({"where": "a/b.jpg"}, "a/b.jpg: it broke"),
        ({"value": 3}, "it broke (got 3)"),
        ({"remedy": "Mend it"}, "it broke. Mend it"),
        ({"where": "$.x", "value": "y", "remedy": "Use z"}, "$.x: it broke (got y). Use z"),
        ({"remedy": "\n$.y: also this"}, "it broke. $.y: also this"),
        ({"value": 0}, "it broke (got 0)"),
        ({"value": ""}, "it broke"),
        ({"where": "a\u2028b\u2029c\u202ed\u061c"}, "a\\u2028b\\u2029c\\u202ed\\u061c: it broke"),
        ({"value": "two\n  lines", "where": "a\nb \x1b[31m"}, "a\\x0ab \\x1b[31m: it broke (got two lines)"),
        ({"value": "y" * 301}, f"it broke (got {'y' * 300}…)"),
    ],
)
def test_the_message_says_where_what_value_and_remedy(fields: dict[str, str], said: str) -> None:
    assert str(FaceloomError("it broke", **fields)) == said
    assert str(PhotoError("truncated", "it broke", **fields)) == said


def test_the_code_is_no_part_of_the_message() -> None:
    error = PhotoError("no_face", "no face was found", where="x.jpg")
    assert error.code == "no_face"
    assert str(error) == "x.jpg: no face was found"


@given(st.sampled_from(KINDS), text, text, text, text)
def test_pickling_keeps_kind_and_fields(
    kind: type[FaceloomError], what: str, where: str, value: str, remedy: str
) -> None:
    error = kind(what, where=where, value=value, remedy=remedy)
    for back in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(back) is kind
        assert (back.what, back.where, back.value, back.remedy) == (what, where, value, remedy)
        assert str(back) == str(error)


@given(st.sampled_from(sorted(REJECT_CODES)), text, text, text, text)
def test_pickling_keeps_the_code(code: str, what: str, where: str, value: str, remedy: str) -> None:
    error = PhotoError(code, what, where=where, value=value, remedy=remedy)
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is PhotoError
    assert (back.code, back.what, back.where, back.value, back.remedy) == (code, what, where, value, remedy)


def test_values_of_any_type_become_text_so_that_nothing_unpicklable_travels() -> None:
    error = StorageError("it broke", value=lambda: None)
    assert "lambda" in pickle.loads(pickle.dumps(error)).value


@given(st.sampled_from(KINDS), text, text, text, text)
def test_json_keeps_kind_and_fields(kind: type[FaceloomError], what: str, where: str, value: str, remedy: str) -> None:
    error = kind(what, where=where, value=value, remedy=remedy)
    back = error_from_json(error_to_json(error))
    assert type(back) is kind and vars(back) == {**vars(error), **({"trace": ""} if kind is WorkerError else {})}


@given(st.sampled_from(sorted(REJECT_CODES)), text, text)
def test_json_keeps_the_code(code: str, what: str, where: str) -> None:
    error = PhotoError(code, what, where=where)
    assert vars(error_from_json(error_to_json(error))) == vars(error)


def test_an_error_that_is_not_ours_keeps_its_text_and_traceback() -> None:
    try:
        raise KeyError("key")
    except KeyError as error:
        back = error_from_json(error_to_json(error))
    assert isinstance(back, WorkerError)
    assert back.what == "KeyError: 'key'" and "Traceback" in back.trace


class PretendError(FaceloomError):
    """A class that is not on the list."""


def test_a_class_that_is_not_on_the_list_is_never_made() -> None:
    assert type(error_from_json(error_to_json(PretendError("x")))) is WorkerError


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "1", '{"kind": "OSError", "what": "x"}', '{"kind": "PhotoError", "code": 1}']
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        error_from_json(text)


def test_errors_need_nothing_but_the_standard_library() -> None:
    code = "import sys; import faceloom.schemas.errors; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "pydantic", "cv2", "apache_beam"} & set(loaded)
