"""The cause that PyTorch states of a TorchScript file that cannot be loaded or run."""

from __future__ import annotations

MOST_LETTERS = 200
"""Letters of a cause."""


def cause_of(error: BaseException) -> str:
    """The cause of an error of TorchScript, on one line of at most 200 letters.

    PyTorch puts pages of its code before the cause, which is the last line, and guesses about damage after its first
    sentence.

    >>> cause_of(RuntimeError("Traceback of TorchScript\\nRuntimeError: no such shape. It may be damaged."))
    'RuntimeError: no such shape'
    """
    return (str(error).strip() or type(error).__name__).splitlines()[-1].split(". ")[0][:MOST_LETTERS]
