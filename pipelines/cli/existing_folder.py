"""Check arguments that name a folder: a path, or the URL of a folder in an object store."""

from __future__ import annotations

import os
import re
from pathlib import Path

import typer


def existing_folder(given: Path) -> Path:
    """Check that a folder exists; a URL is checked when it is opened. The callback of an argument.

    Raises:
        BadParameter: there is no such folder, or the URL names no bucket.
    """
    from faceloom.schemas.urls import url_of

    if not url_of(named_folder(given)) and not os.path.exists(given):  # noqa: PTH110 - Path.exists raises on a name that is too long
        raise typer.BadParameter(f"Directory '{given}' does not exist.")
    return given


def named_folder(given: Path) -> Path:
    """Check that a URL names a bucket. The callback of an option for a folder that need not exist.

    Raises:
        BadParameter: it names none.
    """
    scheme = re.fullmatch(r"([a-z][a-z0-9+.-]+):/*", str(given))  # pathlib leaves `s3:` of `s3://`
    if scheme and not os.path.lexists(given):
        raise typer.BadParameter(f"'{scheme[1]}://' names no bucket. Give {scheme[1]}://BUCKET/FOLDER.")
    return given


def named_folder_if_given(given: Path | None) -> Path | None:
    """As `named_folder`, for an option that may be left out."""
    return given and named_folder(given)


def existing_folders(given: list[Path] | None) -> list[Path] | None:
    """As `existing_folder`, for an option that may be repeated."""
    return given and [existing_folder(one) for one in given]
