from __future__ import annotations

import pytest

from faceloom.pipelines.sources.other_formats import advice_on, advice_on_source
from faceloom.pipelines.sources.walk import PICTURE_ENDINGS


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("a.jxl", "JPEG XL"),
        ("a.NEF", "raw picture"),
        ("a.svg", "convert it to PNG or JPEG"),
        ("a.tar.gz", "decompress it"),
        ("a.tgz", "decompress it"),
        ("a.zip", "unpack it"),
        ("a.mov", "frames"),
    ],
)
def test_known_files(name: str, advice: str) -> None:
    assert advice in advice_on(name)
    assert advice_on_source(name) == advice_on(name)


def test_tables_are_of_interest_as_sources_alone() -> None:
    assert advice_on("a.json") == ""
    assert "CSV or Parquet" in advice_on_source("a.json")


@pytest.mark.parametrize("ending", [*sorted(PICTURE_ENDINGS), "tar", "rec", "csv", "tsv", "parquet", "txt", ""])
def test_no_advice_on_the_rest(ending: str) -> None:
    assert advice_on_source(f"a.{ending}") == ""
