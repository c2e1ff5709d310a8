"""The cause of a failing TorchScript file is one short line."""

from __future__ import annotations

import pytest

from faceloom.models.torchscript import cause_of


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("Traceback\n  some code\nRuntimeError: shape '[2]' is invalid", "RuntimeError: shape '[2]' is invalid"),
        ("failed finding central directory. The file may be damaged. Try again", "failed finding central directory"),
        ("the cause\n\n", "the cause"),
        ("x" * 900, "x" * 200),
        ("", "RuntimeError"),
    ],
)
def test_the_cause_is_the_first_sentence_of_the_last_line(text: str, cause: str) -> None:
    assert cause_of(RuntimeError(text)) == cause
