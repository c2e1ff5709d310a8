"""Templates show the texts of strangers as they are, whatever these hold."""

from __future__ import annotations

import json

import pytest
from jinja2 import UndefinedError

from faceloom.pipelines.cards import templates
from faceloom.pipelines.cards.templates import (
    MOST_LETTERS,
    breakable,
    cell,
    fill,
    prose,
    quoted,
    read_template,
    visible,
)

PACKAGE = "faceloom.pipelines.cards"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("Zoë Ünal", "Zoë Ünal"),
        ("two\n lines\t", "two lines"),
        ("Ada\u202egpj.exe", "Ada\\u202egpj.exe"),
        ("\x1b[31m", "\\x1b[31m"),
        ("half \ud800", "half \\ud800"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_cannot_be_seen_is_escaped(text: str, seen: str) -> None:
    assert visible(text) == seen


def test_a_long_text_is_cut_short_where_a_limit_is_given() -> None:
    assert len(visible("x" * 5000)) == MOST_LETTERS + 1 and visible("x" * 5000).endswith("…")
    assert len(visible("x" * 5000, None)) == 5000


def test_markdown_shows_markup_as_text() -> None:
    assert cell("<b>&a | [x](y) `c` *d*</b>") == r"&lt;b&gt;&amp;a \| \[x\](y) \`c\` \*d\*&lt;/b&gt;"
    assert cell("_Ada_ Grace_Hopper_1") == r"\_Ada\_ Grace_Hopper_1"
    assert prose("one\ntwo\n\n three") == "one two\n\nthree"
    assert prose("## Licences\n\nnone") == "\\#\\# Licences\n\nnone"


def test_a_yaml_scalar_holds_quotes_and_colons() -> None:
    assert json.loads(quoted('a: "b" #c')) == 'a: "b" #c'


def test_a_missing_variable_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "read_template", lambda *_: "{{ there }} {{ missing }}")
    with pytest.raises(UndefinedError, match="missing"):
        fill(PACKAGE, "x.md.j2", there=1)


def test_pages_escape_every_value_and_cards_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "read_template", lambda *_: '<p title="{{ a }}">{{ a }}</p>')
    assert (
        fill(PACKAGE, "y.html.j2", a='"><script>') == '<p title="&#34;&gt;&lt;script&gt;">&#34;&gt;&lt;script&gt;</p>'
    )
    assert fill(PACKAGE, "y.md.j2", a="<i>") == '<p title="<i>"><i></p>'


def test_templates_are_installed_with_the_package() -> None:
    assert read_template(PACKAGE, "card.md.j2").startswith("{%- macro counts")


def test_long_names_may_wrap_after_signs_and_stay_text() -> None:
    assert breakable("surgical-nose_out") == "surgical-<wbr>nose_<wbr>out"
    assert breakable("</a_b>") == "&lt;/<wbr>a_<wbr>b&gt;" and breakable("1.0.0&_#x") == "1.0.0&amp;_#x"
    assert breakable("x" * 400) == "x" * 300 + "…"
