from __future__ import annotations

from pathlib import Path

import pytest

from faceloom.pipelines.store.object_client import check_url
from faceloom.schemas.errors import UrlError
from faceloom.schemas.urls import url_of


@pytest.mark.parametrize("url", ["s3://bucket", "gs://bucket/a b/ü.jpg", "az://c/d"])
def test_urls_come_back_also_from_a_path(url: str) -> None:
    assert url_of(url) == url_of(Path(url)) == url


@pytest.mark.parametrize("path", ["", "out", "/a/b", "./s3:/a", "a:b", "C:/photos", "x/s3://a", "s3", "s3x:a"])
def test_paths_are_none(path: str) -> None:
    assert url_of(path) is None


@pytest.mark.parametrize("text", ["s3://", "s3:", "gs:/", "s3:bucket/a", "s3:///a", "S3:a"])
def test_a_mistyped_url_is_no_path(text: str) -> None:
    """A build would go into a local folder of that name."""
    found = url_of(text)
    assert found
    with pytest.raises(UrlError):
        check_url(found)


def test_the_scheme_may_be_in_capitals() -> None:
    assert url_of("S3://Bucket/A") == "s3://Bucket/A"
