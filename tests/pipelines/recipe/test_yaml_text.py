"""YAML that is read, and YAML that is refused, within a second."""

from __future__ import annotations

import pytest

from faceloom.pipelines.recipe.yaml_text import MOST_BYTES, parse_yaml
from faceloom.schemas.errors import RecipeError
from faceloom.schemas.plain_values import MOST_DEPTH


def test_plain_values() -> None:
    text = b"a: [1, 0.5, true, ~]\nb: {c: text}\nd: '1'\ne: 1e-3\n"
    assert parse_yaml(text) == {"a": [1, 0.5, True, None], "b": {"c": "text"}, "d": "1", "e": 0.001}
    assert parse_yaml(b"") is None
    assert parse_yaml(b'{"a": [1, {"b": "\xc3\xa9"}]}') == {"a": [1, {"b": "é"}]}


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "1:30"])
def test_words_that_yaml_once_took_for_something_else_are_text(word: str) -> None:
    assert parse_yaml(f"a: {word}".encode()) == {"a": word}


def test_aliases_and_merges_are_replaced() -> None:
    assert parse_yaml(b"a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}") == {
        "a": {"b": 1},
        "c": {"b": 1},
        "d": {"b": 1, "e": 2},
    }


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"a: [", "line 1: not valid YAML: expected"),
        (b"a: 1\nb: c: d", "line 2: not valid YAML: mapping values"),
        (b"a: !!python/object:os.system x", r"\$.a: the tag 'python/object:os.system' is not read .got line 1"),
        (b"a: [1, !!binary aaaa]", r"\$.a.1.: the tag 'binary' is not read"),
        (b"a: !!set {b}", r"\$.a: the tag 'set' is not read"),
        (b"a: !mine b", r"\$.a: the tag '!mine' is not read"),
        (b"a: !!bool maybe", r"\$.a: expected true or false .got 'maybe'"),
        (b"a: !!int x", r"\$.a: expected a whole number .got 'x'"),
        (b"a: !!float x", r"\$.a: expected a number .got 'x'"),
        (b"a: !!map x", r"\$.a: expected a mapping .got 'x'"),
        (b"a: 2024-13-45", r"\$.a: a date is not a value here .got '2024-13-45'.*put it in quotes"),
        (b"a: 2024-12-24", "a date is not a value here"),
        (b"a: 0x" + b"f" * 6000, r"\$.a: the number is too long"),
        (b"? 0x" + b"f" * 6000 + b"\n: 1", r"\$.0xf+…: the number is too long"),
        (b"%YAML 1.1\n---\na: 1" + b":1" * 5000, "the number is too long"),
        (b"[" + b"1," * 30_000 + b"]", "too many values"),
        (b"a: 1\nb: \x01", "line 2: not valid YAML: it holds a control character"),
        ("a: é".encode("utf-16"), "line 1: not valid YAML: the byte 0xff is not UTF-8"),
        (b"a:\n\t- 1", "line 2: not valid YAML: found character '.t' that cannot start any token"),
        (b"a: 1\n---\nb: 2", "another document"),
        (b"a: \x01", "not valid YAML"),
        (b"a: \xff", "not valid YAML"),
        (b"a: *nowhere", "undefined alias"),
        (b"? {a: b}\n: c", "a key must be plain text"),
        (b"a: &x [*x]", "an alias stands inside what it repeats"),
        (b"a: " + b"[" * (MOST_DEPTH + 1), "nests too deep"),
        (b"a: " + b"[" * 10_000, "nests too deep"),
        (b"#" * (MOST_BYTES + 1), "too long"),
    ],
)
def test_what_is_refused(data: bytes, text: str) -> None:
    with pytest.raises(RecipeError, match=text):
        parse_yaml(data)


def test_a_small_document_that_unfolds_to_billions_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(RecipeError, match="aliases make the YAML too large"):
        parse_yaml("\n".join(lines).encode())


@pytest.mark.parametrize(
    ("text", "where", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", "$.a", "line 3"),
        ("a: {b: 1, b: 1}", "$.a.b", "line 1"),
        ("a:\n- {b: 1}\n- c: 1\n  c: 2\n", "$.a[1].c", "line 4"),
    ],
)
def test_a_key_that_is_given_twice_is_refused_with_its_path_and_line(text: str, where: str, line: str) -> None:
    with pytest.raises(RecipeError, match="this key is given twice") as caught:
        parse_yaml(text.encode())
    assert caught.value.where == where and line in caught.value.remedy


def test_aliases_of_aliases_nest_no_deeper_than_lists() -> None:
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 2 * MOST_DEPTH))]
    with pytest.raises(RecipeError, match="aliases nest too deep"):
        parse_yaml("\n".join(lines).encode())


def test_a_byte_order_mark_and_windows_line_ends_are_read() -> None:
    assert parse_yaml(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n") == {"a": 1, "b": 2}
