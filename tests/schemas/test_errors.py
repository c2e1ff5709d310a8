"""Errors are data, read well, and survive the way back from another process."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.schemas import errors
from faceloom.schemas.errors import (
    CheckpointError,
    FaceloomError,
    ModelFileError,
    PhotoError,
    RecipeError,
    SourceError,
    StorageError,
    TrainingError,
)

KINDS = [FaceloomError, RecipeError, SourceError, StorageError, ModelFileError, CheckpointError, TrainingError]
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
        ({"remedy": "\n$.y: also this"}, "it broke\n$.y: also this"),
        ({"value": 0}, "it broke (got 0)"),
        ({"value": ""}, "it broke"),
    ],
)
def test_the_message_says_where_what_value_and_remedy(fields: dict[str, str], said: str) -> None:
    assert str(FaceloomError("it broke", **fields)) == said
    assert str(PhotoError("broken", "it broke", **fields)) == said


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


@given(text, text, text, text, text)
def test_pickling_keeps_the_code(code: str, what: str, where: str, value: str, remedy: str) -> None:
    error = PhotoError(code, what, where=where, value=value, remedy=remedy)
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is PhotoError
    assert (back.code, back.what, back.where, back.value, back.remedy) == (code, what, where, value, remedy)


def test_values_of_any_type_become_text_so_that_nothing_unpicklable_travels() -> None:
    error = StorageError("it broke", value=lambda: None)
    assert "lambda" in pickle.loads(pickle.dumps(error)).value


def fail() -> None:
    raise PhotoError("no_face", "none was found", where="a.jpg", value=[1], remedy="Look again")


def test_raised_in_another_process_it_arrives_whole() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool, pytest.raises(PhotoError) as caught:
        pool.submit(fail).result()
    assert caught.value.code == "no_face"
    assert str(caught.value) == "a.jpg: none was found (got [1]). Look again"


def test_errors_need_nothing_but_the_standard_library() -> None:
    code = "import sys; import faceloom.schemas.errors; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "pydantic", "cv2", "apache_beam"} & set(loaded)
