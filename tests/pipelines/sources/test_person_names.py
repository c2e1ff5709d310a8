"""Names of people: one form of each, and none for words that stand for no person."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.sources.person_names import NO_NAMES, PersonNames, as_person, is_split


@given(st.text(max_size=30))
def test_forms_of_one_name_are_one_person(text: str) -> None:
    forms = {as_person(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")}
    assert len(forms) == 1
    (name,) = forms
    assert name is None or (as_person(name) == name == unicodedata.normalize("NFC", name).strip())


@given(st.sampled_from(sorted(NO_NAMES)), st.sampled_from([str.upper, str.title, str.lower]))
def test_words_for_no_one_in_any_case(word: str, change: type[str]) -> None:
    assert as_person(f" {change(word)}\t") is None


@pytest.mark.parametrize("name", ["Nan Goldin", "Nana", "-2", "0", "1", "Nunn", "??", "Null Island", "Na"])
def test_other_names_stay(name: str) -> None:
    assert as_person(name) == name


def test_what_is_dropped_is_counted() -> None:
    names = PersonNames()
    assert [names.of(text) for text in ("Ann", "nan", "nan", "-1", "", None)] == ["Ann"] + [None] * 5
    (notice,) = names.notices()
    assert notice.endswith("-1 (1), nan (2)")
    assert not PersonNames().notices()


def test_names_of_splits() -> None:
    assert all(map(is_split, ("train", "Val", " TEST ", "Training_Set", "test-set")))
    assert not any(map(is_split, ("Traina", "Valerie", "n000001", "")))
