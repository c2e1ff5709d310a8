"""Tell URLs of object stores from paths."""

from __future__ import annotations

import os
import re

STORES = ("s3", "gs", "az")
"""Schemes of S3 and what speaks its protocol, of Google Cloud Storage, and of Azure Blob Storage."""
_URL = re.compile(r"([a-z][a-z0-9+.-]+):/+(?=[^/])")


def url_of(place: str | os.PathLike[str]) -> str | None:
    """A place as a URL, such as `s3://bucket/folder`; None for a path. `pathlib` leaves one of its two slashes.

    What begins as the URL of a store is never a path: a mistyped one would be built into a local folder.

    >>> url_of("s3:/bucket/folder"), url_of("S3://bucket"), url_of("s3:bucket"), url_of("s3:///folder")
    ('s3://bucket/folder', 's3://bucket', 's3:bucket', 's3:///folder')
    """
    text = os.fspath(place)
    scheme, colon, rest = text.partition(":")
    if colon and scheme.lower() in STORES:
        name = rest.lstrip("/")
        return f"{scheme.lower()}://{name}" if 1 <= len(rest) - len(name) <= 2 else f"{scheme.lower()}:{rest}"
    found = _URL.match(text)
    return f"{found[1]}://{text[found.end() :]}" if found else None


def place_text(place: str | os.PathLike[str]) -> str:
    """A place as people write it: its URL, or its path.

    >>> place_text("s3:/bucket/folder"), place_text("my/folder")
    ('s3://bucket/folder', 'my/folder')
    """
    return url_of(place) or os.fspath(place)
