"""Names of folders: safe on every system, and never shared by two people."""

from __future__ import annotations

import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.export.folder_names import alike_names, folder_name


@pytest.mark.parametrize("name", ["Tony_Blair", "n000012", "José García", "Jean-Luc P. Roe", "李小龙", "Connie", "lpt"])
def test_plain_names_stay(name: str) -> None:
    assert folder_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../etc", "/", "a/b", "a\\b", ".hidden", "x ", "x.", "a\nb", "\0", "-rf", "a:b", "\ud800"),
        *("CON", "nul", "Aux", "com1", "LPT9.txt", "prn.a.b"),
    ],
)
def test_odd_names_are_made_safe(name: str) -> None:
    made = folder_name(name)
    assert made != name and len(made) >= 13
    assert not set(made) & set("/\\\0\n:") and made[0] not in ".-" and made[-1] not in " ."
    assert made.partition(".")[0].lower() not in ("con", "nul", "aux", "com1", "lpt9", "prn")


@given(st.text(max_size=300), st.text(max_size=300))
def test_two_people_never_share_a_folder(one: str, other: str) -> None:
    assert (folder_name(one) == folder_name(other)) == (one == other)
    assert 0 < len(os.fsencode(folder_name(one))) < 255 and os.sep not in folder_name(one)


@given(st.lists(st.text("aAbBéÉßsS\u0301/ ", min_size=1, max_size=4), max_size=20, unique=True))
def test_no_two_people_share_a_folder_where_case_and_form_do_not_count(people: list[str]) -> None:
    alike = alike_names(people)
    made = [folder_name(name, alike) for name in people]
    for fold in (str.lower, str.upper, str.casefold, lambda name: unicodedata.normalize("NFD", name).lower()):
        assert len({fold(name) for name in made}) == len(people)
    assert all(folder_name(name, alike) == folder_name(name) for name in people if name not in alike)


def test_names_that_are_not_alike_stay() -> None:
    assert alike_names(["Ann", "Bob", "Anna"]) == frozenset()
    assert alike_names(["Ann", "Bob", "ANN", "Jose\u0301", "Jos\u00e9"]) == {"Ann", "ANN"}


@given(st.text(max_size=40))
def test_a_safe_name_cannot_be_mistaken_for_one_made_safe(name: str) -> None:
    made = folder_name(name)
    if made != name:
        assert folder_name(made) != made
