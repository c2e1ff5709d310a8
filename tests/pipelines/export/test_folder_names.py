"""Names of folders: safe on every system, and never shared by two people."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.export.folder_names import folder_name


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


@given(st.text(max_size=40))
def test_a_safe_name_cannot_be_mistaken_for_one_made_safe(name: str) -> None:
    made = folder_name(name)
    if made != name:
        assert folder_name(made) != made
