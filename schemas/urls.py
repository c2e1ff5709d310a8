"""Tell URLs of object stores from paths."""

from __future__ import annotations

import os
import re

_URL = re.compile(r"([a-z][a-z0-9+.-]+):/+(?=[^/])")


def url_of(place: str | os.PathLike[str]) -> str | None:
    """A place as a URL, such as `s3://bucket/folder`; None for a path. `pathlib` leaves one of its two slashes.

    >>> url_of("s3:/bucket/folder")
    's3://bucket/folder'
    """
    text = os.fspath(place)
    found = _URL.match(text)
    return f"{found[1]}://{text[found.end() :]}" if found else None


def place_text(place: str | os.PathLike[str]) -> str:
    """A place as people write it: its URL, or its path.

    >>> place_text("s3:/bucket/folder"), place_text("my/folder")
    ('s3://bucket/folder', 'my/folder')
    """
    return url_of(place) or os.fspath(place)
