from __future__ import annotations

from pathlib import Path

import pytest

from faceloom.schemas.urls import url_of


@pytest.mark.parametrize("url", ["s3://bucket", "gs://bucket/a b/ü.jpg", "az://c/d"])
def test_urls_come_back_also_from_a_path(url: str) -> None:
    assert url_of(url) == url_of(Path(url)) == url


@pytest.mark.parametrize("path", ["", "out", "/a/b", "./s3:/a", "a:b", "C:/photos", "s3://", "s3:", "x/s3://a"])
def test_paths_are_none(path: str) -> None:
    assert url_of(path) is None
