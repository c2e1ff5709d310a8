"""Running commands in this process."""

from __future__ import annotations

from typing import Any

from typer.testing import CliRunner

from faceloom.pipelines.cli.app import app


def run(*words: object) -> Any:
    """Run a command in this process."""
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "100", "TERM": "dumb"})
