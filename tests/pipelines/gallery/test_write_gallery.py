"""The page as bytes: the same for the same shards, checked against the index, small beside the build."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import IO

import pytest

from faceloom.pipelines.cards.gallery_mark import is_gallery
from faceloom.pipelines.gallery.write_gallery import gallery_html
from faceloom.pipelines.preview import all_rejects
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.paths import shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError


@pytest.fixture
def storage(strange_build: Path, tmp_path: Path) -> Storage:
    shutil.copytree(strange_build, tmp_path / "out")
    return Storage(str(tmp_path / "out"))


def page(storage: Storage, most: int = 100) -> str:
    shards = read_record(storage).shards
    return gallery_html(storage, "set 1.0.0", shards, all_rejects(storage), Watcher(), most=most).decode()


def test_the_same_shards_in_another_folder_give_the_same_bytes(storage: Storage, strange_build: Path) -> None:
    assert page(storage) == page(Storage(str(strange_build)))


def test_names_no_folder_and_no_file_of_a_photo(storage: Storage) -> None:
    text = page(storage)
    assert storage.root not in text and "/tmp" not in text and ".png" not in text
    assert "degenerate_points" in text  # rejects are counted


def test_nothing_comes_from_outside(storage: Storage) -> None:
    text = page(storage)
    assert {uri.split(":")[0] for uri in re.findall(r'(?:src|href)="([^"#]+)', text)} == {"data"}
    assert "default-src 'none'; img-src data:; style-src 'sha256-" in text and "unsafe" not in text
    assert not re.search(r'\son\w+="|\sstyle="|url\(|@import|fetch\(', text.replace("onerror=&#34;", ""))


def test_a_page_shows_no_more_samples_than_wanted(storage: Storage) -> None:
    text = page(storage, most=6)
    assert text.count('<li class="card"') == 6
    assert "24 samples of 6 people.\nThis page shows 6 of them" in text


def test_only_the_samples_on_the_page_are_read(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    read, original = [], Storage.range_of

    def counted(self: Storage, stream: IO[bytes], path: str, offset: int, length: int) -> bytes:
        read.append(length)
        return original(self, stream, path, offset, length)

    monkeypatch.setattr(Storage, "range_of", counted)
    page(storage, most=4)
    tars = [storage.size(shard_tar(shard.name)) for shard in read_record(storage).shards]
    assert 0 < sum(read) < sum(tars) / 4


def test_a_flipped_bit_of_a_shown_sample_is_found(storage: Storage) -> None:
    shard = read_record(storage).shards[0]
    file = storage.local(shard_tar(shard.name))
    damaged = bytearray(file.read_bytes())
    damaged[600] ^= 1
    file.write_bytes(damaged)
    with pytest.raises(StorageError, match=rf"shards/{shard.name}\.tar: sample .* is damaged"):
        page(storage)


def test_a_build_without_samples_has_a_page(storage: Storage) -> None:
    text = gallery_html(storage, "none", (), (), Watcher()).decode()
    assert "There are no samples." in text and "Nothing was rejected." in text


def test_a_page_has_the_mark_of_a_gallery(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page(storage, most=1))
    assert is_gallery(tmp_path / "page.html")
