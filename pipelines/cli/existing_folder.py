"""Check arguments that name a folder: a path, or the URL of a folder in an object store."""

from __future__ import annotations

import os
from pathlib import Path

import typer


def existing_folder(given: Path) -> Path:
    """Check that a folder exists; a URL is checked when it is opened. The callback of an argument.

    Raises:
        BadParameter: there is no such folder.
    """
    from faceloom.schemas.urls import url_of

    if not url_of(given) and not os.path.exists(given):  # noqa: PTH110 - Path.exists raises on a name that is too long
        raise typer.BadParameter(f"Directory '{given}' does not exist.")
    return given


def existing_folders(given: list[Path] | None) -> list[Path] | None:
    """As `existing_folder`, for an option that may be repeated."""
    return given and [existing_folder(one) for one in given]
