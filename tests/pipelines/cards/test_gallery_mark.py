"""Galleries are recognised, so that no file of a user is replaced or deleted for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceloom.pipelines.cards.gallery_mark import MARK, forget_gallery, is_gallery
from faceloom.pipelines.store.paths import GALLERY
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from tests.pipelines.building import Bench


def test_only_a_page_with_the_mark_is_a_gallery(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(f"<!DOCTYPE html>{MARK}")
    (tmp_path / "other.html").write_text("<!DOCTYPE html><title>mine</title>")
    (tmp_path / "link.html").symlink_to(tmp_path / "page.html")
    assert is_gallery(tmp_path / "page.html")
    assert not any(is_gallery(tmp_path / name) for name in ("other.html", "link.html", "none.html", "."))


def test_the_file_of_a_user_is_not_deleted(tmp_path: Path) -> None:
    for text, stays in (("mine", True), (MARK, False)):
        (tmp_path / GALLERY).write_text(text)
        forget_gallery(Storage(str(tmp_path)))
        assert (tmp_path / GALLERY).exists() is stays


def test_the_next_build_deletes_a_page_that_may_be_out_of_date(built: Bench) -> None:
    (built.folder / "out" / GALLERY).write_text(MARK)
    built.run()
    assert not (built.folder / "out" / GALLERY).exists()


def test_a_link_in_place_of_the_page_is_refused_before_any_work(built: Bench, tmp_path: Path) -> None:
    (built.folder / "out" / GALLERY).symlink_to(tmp_path)
    with pytest.raises(StorageError, match="a link inside an output folder"):
        built.run()
