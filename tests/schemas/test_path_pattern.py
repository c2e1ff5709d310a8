from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.schemas.path_pattern import MOST_LETTERS, compile_pattern, expand_braces

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


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        ("a", ["a"]),
        ("{a,b}c", ["ac", "bc"]),
        ("x{08..11}", ["x08", "x09", "x10", "x11"]),
        ("x{8..11}", ["x8", "x9", "x10", "x11"]),
        ("{a,b}{1..2}", ["a1", "a2", "b1", "b2"]),
        ("{3..1}", []),
        ("{}", [""]),
        ("open{", ["open{"]),
    ],
)
def test_braces(pattern: str, texts: list[str]) -> None:
    assert expand_braces(pattern) == texts


@pytest.mark.parametrize(
    "pattern",
    [
        "{0..9999999999}.tar",
        "{0..999999999999999999}.tar",
        "{a,b}" * 60 + ".tar",
        "{0..999}" * 6,
        "{{0..999},{0..999}}" * 3,
        "{{1,2}..99999999999}.tar",
        "x" * 4_000 + "{0..99999}.tar",
        "{" + "," * 30_000_000 + "}",
    ],
    ids=lambda text: text[:30],
)
def test_too_many_files_are_refused_before_they_are_named(pattern: str) -> None:
    begin = time.process_time()
    with pytest.raises(ValueError, match="name too many files"):
        expand_braces(pattern)
    assert time.process_time() - begin < 5


def test_many_files_are_named() -> None:
    assert len(expand_braces("set/shard-{000000..231349}.tar")) == 231_350
    assert expand_braces("{}" * 2_000) == [""]
    assert expand_braces("{" * 2_000) == ["{" * 2_000]


@settings(deadline=None)
@given(st.text("{},.*0123ab/", max_size=40))
def test_any_pattern_is_texts_or_a_value_error(pattern: str) -> None:
    try:
        texts = expand_braces(pattern)
    except ValueError as error:
        assert "too many" in str(error)
    else:
        assert sum(map(len, texts)) <= MOST_LETTERS
        assert ("{" in pattern and "}" in pattern) or texts == [pattern]


@given(st.text(max_size=60) | st.text("{}*/_ab0", max_size=60))
def test_any_pattern_of_names_is_an_expression_or_a_value_error(pattern: str) -> None:
    try:
        compile_pattern(pattern)
    except ValueError as error:
        assert str(error)


def test_too_many_names() -> None:
    with pytest.raises(ValueError, match="at most 100 names, not 101"):
        compile_pattern("/".join(f"{{n{number}}}" for number in range(101)))


@pytest.mark.parametrize(
    "pattern",
    [
        "{identity}_{light}_{angle}_{n}/{identity}.jpg",
        "{a}{b}{c}{d}{a}{b}{c}{d}x.jpg",
        "{a}_{b}/{c}_{d}/{e}_{f}/{a}{c}{e}.jpg",
        "{a}*/{b}*/{a}{b}.jpg",
    ],
)
def test_repeated_names_among_many_wildcards_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"is repeated, .* too many wildcards; write it once, then `\*`"):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "{a}_{b}_{c}_{d}.jpg",
        "{a}{b}{c}{d}{e}{f}{g}{h}.jpg",
        "*_*_*_*_*_*.jpg",
        "{x}/{a}-{x}-{b}-{c}-{d}.jpg",
        "{a}_{b}/{a}.jpg",
        "{a}{a}{b}/{a}{c}_{d}.jpg",
        "{a}/{b}/{c}{d}/{a}{b}{c}.jpg",
    ],
)
@pytest.mark.parametrize("letter", ["_", "-", "x"])
def test_no_name_of_a_file_takes_long(pattern: str, letter: str) -> None:
    begin = time.process_time()
    parts = [letter * 250] * 4
    for uri in (
        letter * 250 + ".png",
        f"{letter}/" + letter * 250 + ".png",
        *("/".join(parts[:n]) for n in range(1, 5)),
    ):
        assert compile_pattern(pattern).fullmatch(uri) is None
    assert time.process_time() - begin < 1


def _as_few_as_possible(pattern: str) -> re.Pattern[str]:
    """The expression that tries everything."""
    expression = ""
    for piece in re.findall(r"\{.\}|.", pattern):
        name = piece[1:-1]
        if piece == "*":
            expression += "[^/]+?"
        elif not name:
            expression += re.escape(piece)
        else:
            expression += f"(?P={name})" if f"(?P<{name}>" in expression else f"(?P<{name}>[^/]+?)"
    return re.compile(expression)


PIECES = st.lists(st.sampled_from(["{a}", "{b}", "{c}", "*", "_", "x", "/", "_x"]), max_size=8).map("".join)


@settings(max_examples=500, deadline=None)
@given(PIECES, st.lists(st.text("_xy/", max_size=9), min_size=5, max_size=20))
def test_names_are_as_short_as_possible(pattern: str, uris: list[str]) -> None:
    try:
        compiled = compile_pattern(pattern)
    except ValueError:
        return  # too many wildcards
    for uri in uris:
        found, expected = compiled.fullmatch(uri), _as_few_as_possible(pattern).fullmatch(uri)
        assert (found and found.groupdict()) == (expected and expected.groupdict())
