"""The page of a diff stands alone, shows both sides of a change, and lets no text become markup."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceloom.pipelines.release.diff import SampleSet, diff, release_set
from faceloom.pipelines.release.diff_page import diff_page, write_diff_page
from faceloom.pipelines.store.paths import shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from tests.pipelines.release.sets import One, write_set

BASE = [One(number, f"P{number}") for number in range(6)]
AFTER = [
    replace(BASE[0], look=1), replace(BASE[1], mask="B"), replace(BASE[2], split="test"), replace(BASE[3], origin="o"),
    BASE[4], One(99, "New"),
]  # fmt: skip


def sides(folder: Path, before: list[One], after: list[One]) -> tuple[SampleSet, SampleSet]:
    storage = Storage(str(folder))
    one, other = (release_set(storage, write_set(storage, ones)) for ones in (before, after))
    return one, other


class Page(HTMLParser):
    """Collects the elements and the text of a page."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.captions: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.elements and self.elements[-1][0] == "figcaption" and data.strip():
            self.captions.append(data)


def test_changes_are_shown_with_both_sides(tmp_path: Path) -> None:
    pair = sides(tmp_path, BASE, AFTER)
    page = Page(diff_page(*pair, diff(*pair)))
    pictures = [attrs for tag, attrs in page.elements if tag == "img"]
    alts = [attrs["alt"] for attrs in pictures]
    assert [alt for alt in alts if alt and BASE[0].key in alt] == [f"{s}: {BASE[0].key}" for s in ("Before", "After")]
    assert [alt for alt in alts if alt and BASE[5].key in alt] == [f"Before: {BASE[5].key}"]
    assert [alt for alt in alts if alt and AFTER[5].key in alt] == [f"After: {AFTER[5].key}"]
    assert not any(BASE[4].key in (alt or "") for alt in alts), "unchanged samples are not shown"
    both = [
        cv2.imdecode(np.frombuffer(base64.b64decode(str(attrs["src"]).partition(",")[2]), np.uint8), cv2.IMREAD_COLOR)
        for attrs in pictures
        if BASE[0].key in str(attrs["alt"])
    ]
    assert np.abs(np.asarray(both[0], int) - np.asarray(both[1], int)).mean() > 10
    assert page.captions == [str(alt).partition(":")[0].lower() for alt in alts], "each picture has a caption"
    for words in ("Split train → test", "Mask A → B", "re-rendered", "lineage only"):
        assert words in page.text


def test_it_stands_alone(tmp_path: Path) -> None:
    pair = sides(tmp_path, BASE, AFTER)
    page = diff_page(*pair, diff(*pair))
    urls = {
        str(value) for tag, attrs in Page(page).elements for name, value in attrs.items() if name in ("src", "href")
    }
    assert urls and all(url == "data:," or url.startswith("data:image/webp;base64,") for url in urls)
    assert b"<script" not in page and not re.search(rb"https?://|url\(", page)
    assert b"default-src 'none'" in page
    assert page == diff_page(*pair, diff(*pair)), "the same seed, the same page"


def test_a_seed_chooses_the_samples(tmp_path: Path) -> None:
    pair = sides(tmp_path, [One(1, "Ada")], [One(number, "Ada") for number in range(1, 30)])
    found = diff(*pair)
    pages = [diff_page(*pair, found, per_kind=3, seed=seed) for seed in range(2)]
    assert [page.count(b"<img") for page in pages] == [3, 3] and pages[0] != pages[1]
    assert b"Added: 3 of 28" in pages[0]


def test_names_are_no_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    pair = sides(tmp_path, [One(1, "Ada")], [One(1, "Ada"), One(2, evil, mask='"><b>')])
    page = diff_page(*pair, diff(*pair))
    assert b"<script" not in page and b"<b>" not in page and evil in Page(page).text


def test_long_names_are_cut_and_letters_that_turn_the_text_are_escaped(tmp_path: Path) -> None:
    pair = sides(tmp_path, [One(1, "Ada")], [One(1, "Ada"), One(2, "n" * 4000), One(3, "Eve\u202egpj.exe")])
    text = Page(diff_page(*pair, diff(*pair))).text
    assert "n" * 300 in text and "n" * 301 not in text
    assert "\u202e" not in text and "Eve\\u202egpj.exe" in text


def test_counts_are_set_apart_by_commas(tmp_path: Path) -> None:
    pair = sides(tmp_path, BASE, AFTER)
    found = replace(
        diff(*pair), by_split={"moved": {"test": 12345, "val": 6789}}, by_identity={"P1": {"moved": 1500, "added": 2}}
    )
    text = Page(diff_page(*pair, found)).text
    assert "test 12,345, val 6,789" in text and "1,500 moved to another split, 2 added" in text


def test_a_damaged_sample_is_named(tmp_path: Path) -> None:
    pair = sides(tmp_path, BASE, AFTER)
    file = tmp_path / shard_tar(pair[0].shards[0].name)
    file.write_bytes(file.read_bytes().replace(b"\x89PNG", b"\x89PNg"))
    with pytest.raises(StorageError, match="is damaged"):
        diff_page(*pair, diff(*pair))


def test_a_page_replaces_a_page_and_nothing_else(tmp_path: Path) -> None:
    pair = sides(tmp_path, BASE, AFTER)
    page = diff_page(*pair, diff(*pair))
    write_diff_page(tmp_path / "diff.html", page)
    write_diff_page(tmp_path / "diff.html", page + b" ")
    assert (tmp_path / "diff.html").read_bytes() == page + b" "
    (tmp_path / "mine.html").write_text("<!doctype html>\nprecious")
    (tmp_path / "folder.html").mkdir()
    for name, words in (("mine.html", "no diff"), ("folder.html", "no diff"), ("absent/diff.html", "does not exist")):
        with pytest.raises(StorageError, match=words):
            write_diff_page(tmp_path / name, page)
    assert (tmp_path / "mine.html").read_text() == "<!doctype html>\nprecious"
