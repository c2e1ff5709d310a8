"""Every reject code comes from one table, which the documents repeat."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from faceloom.schemas.errors import PhotoError, error_from_json
from faceloom.schemas.photos import Reject
from faceloom.schemas.reject_codes import REJECT_CODES, check_code, code_table, default_message

ROOT = Path(__file__).parents[2]


def test_the_table_in_the_documents_is_this_one() -> None:
    hint = "stale; run: python -m faceloom.schemas.reject_codes, and replace the table"
    assert code_table() in (ROOT / "docs" / "output.md").read_text(encoding="utf-8"), hint


@pytest.mark.parametrize("code", REJECT_CODES)
def test_a_code_has_a_meaning_and_is_used(code: str) -> None:
    assert re.fullmatch("[a-z_]+", code)
    assert default_message(code) and "\n" not in REJECT_CODES[code].meaning
    rooms = (path for room in ("transforms", "pipelines") for path in (ROOT / room).rglob("*.py"))
    assert any(f'"{code}"' in path.read_text(encoding="utf-8") for path in rooms)


def test_no_two_codes_mean_the_same() -> None:
    assert len({code.meaning for code in REJECT_CODES.values()}) == len(REJECT_CODES)


def test_every_code_that_is_raised_is_in_the_table() -> None:
    rooms = (path for room in ("transforms", "pipelines") for path in (ROOT / room).rglob("*.py"))
    raised = {code for path in rooms for code in re.findall(r'PhotoError\(\s*"(\w+)"', path.read_text("utf-8"))}
    assert len(raised) > 20 and raised <= set(REJECT_CODES)


@pytest.mark.parametrize("code", ["failed", "", "No_Face", "no_face "])
def test_other_codes_cannot_be_used(code: str) -> None:
    with pytest.raises(ValueError):
        check_code(code)
    with pytest.raises(ValueError):
        PhotoError(code, "x")
    with pytest.raises(ValueError):
        Reject("render", "s", "a.jpg", code, "x")
    with pytest.raises(ValueError):
        error_from_json(f'{{"kind": "PhotoError", "code": "{code}", "what": "x"}}')
