"""The git checkout that this code runs from, if it is not installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

_SECONDS = 10
_ROOT = Path(__file__).resolve().parents[2]


def checkout() -> tuple[str, bool]:
    """Commit of the checkout, and whether files that git tracks differ from it; empty and false without a checkout."""
    commit = _git("rev-parse", "HEAD") or ""
    return commit, bool(commit and _git("status", "--porcelain", "--untracked-files=no"))


def _git(*words: str) -> str | None:
    if not (_ROOT / ".git").exists() or not (_ROOT / "pyproject.toml").exists():
        return None
    command = ["git", "-C", str(_ROOT), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip()
