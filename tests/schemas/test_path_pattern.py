from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.schemas.path_pattern import compile_pattern

KFACE = "{identity}/{accessory}/{light}/{expression}/{angle}.jpg"


@pytest.mark.parametrize(
    ("pattern", "uri", "named"),
    [
        (KFACE, "p1/S002/L3/E01/C7.jpg",
         {"identity": "p1", "accessory": "S002", "light": "L3", "expression": "E01", "angle": "C7"}),
        ("{identity}/{identity}_*.jpg", "Ada_L/Ada_L_0001.jpg", {"identity": "Ada_L"}),
        ("{identity}_{number}.*", "Ada_L_1.png", {"identity": "Ada", "number": "L_1"}),
        ("set (1)/{identity}+x.jpg", "set (1)/a.b+x.jpg", {"identity": "a.b"}),
        ("*/{n}.jpg", "anything/é.jpg", {"n": "é"}),
    ],
)  # fmt: skip
def test_what_matches(pattern: str, uri: str, named: dict[str, str]) -> None:
    match = compile_pattern(pattern).fullmatch(uri)
    assert match is not None and match.groupdict() == named


@pytest.mark.parametrize(
    ("pattern", "uri"),
    [
        (KFACE, "p1/S002/L3/E01/C7.png"),
        (KFACE, "p1/S002/L3/C7.jpg"),
        (KFACE, "p1/S002/L3/E01/more/C7.jpg"),
        (KFACE, "p1//L3/E01/C7.jpg"),
        ("{identity}/{identity}_*.jpg", "Ada/Eve_0001.jpg"),
        ("a.jpg", "abjpg"),
    ],
)
def test_what_does_not(pattern: str, uri: str) -> None:
    assert compile_pattern(pattern).fullmatch(uri) is None


@pytest.mark.parametrize("pattern", ["{identity", "identity}", "{}/a.jpg", "{a b}/x", "{1st}/x.jpg", "{{a}}"])
def test_half_a_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        compile_pattern(pattern)


name = st.text(st.characters(codec="utf-8", exclude_characters="/\n"), min_size=1, max_size=12)


@given(parts=st.lists(name, min_size=5, max_size=5))
def test_names_come_back_whatever_they_are(parts: list[str]) -> None:
    match = compile_pattern(KFACE).fullmatch("/".join(parts) + ".jpg")
    assert match is not None and list(match.groupdict().values()) == parts
