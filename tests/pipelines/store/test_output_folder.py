"""Which output folders may be used, and what makes one ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceloom.pipelines.store.output_folder import check_output, locked_output
from faceloom.pipelines.store.paths import MARKER
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import RecipeError, StorageError
from faceloom.schemas.recipe import Recipe, parse_recipe


def recipe(photos: Path) -> Recipe:
    return parse_recipe({"name": "x", "sources": [{"path": str(photos)}]})


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


def test_a_new_and_an_empty_folder_may_be_used(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    check_output(recipe(photos), str(tmp_path / "new"))
    check_output(recipe(photos), str(tmp_path / "empty"))
    assert not (tmp_path / "new").exists(), "a check writes nothing"


def test_a_claimed_folder_is_ours_from_then_on(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with locked_output(Storage(str(out))):
        (out / "shards").mkdir()
        (out / "shards" / "a.tar").write_bytes(b"x")
    assert (out / MARKER).is_file()
    check_output(recipe(photos), str(out))
    with locked_output(Storage(str(out))):
        pass


def test_what_a_crash_left_before_the_marker_does_not_lock_us_out(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / ".lock").touch()
    (out / f"{MARKER}.partial-1-2").write_bytes(b"{")
    check_output(recipe(photos), str(out))
    with locked_output(Storage(str(out))):
        assert sorted(path.name for path in out.iterdir()) == [".lock", MARKER]


@pytest.mark.parametrize("name", ["thesis.txt", "work", "shards", ".git"])
def test_a_folder_of_somebody_else_is_refused_and_kept(photos: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "home"
    out.mkdir()
    (out / name).mkdir()
    with pytest.raises(StorageError, match="faceloom did not write") as caught:
        check_output(recipe(photos), str(out))
    assert name in caught.value.value and "new or empty folder" in caught.value.remedy
    with pytest.raises(StorageError, match="faceloom did not write"), locked_output(Storage(str(out))):
        pass
    assert not (out / MARKER).exists()


@pytest.mark.parametrize("out", ["file", "file/out"])
def test_a_file_is_no_folder(photos: Path, tmp_path: Path, out: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StorageError, match="a folder is needed"):
        check_output(recipe(photos), str(tmp_path / out))


@pytest.mark.parametrize("out", [".", "out", "person/out", "../photos/out"])
def test_results_never_lie_among_the_photos(photos: Path, out: str) -> None:
    with pytest.raises(RecipeError, match="inside this source") as caught:
        check_output(recipe(photos), str(photos / out))
    assert caught.value.where == "$.sources[0].path"


def test_a_link_into_the_photos_is_seen_through(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(photos)
    with pytest.raises(RecipeError, match="inside this source"):
        check_output(recipe(photos), str(tmp_path / "link" / "out"))


def test_a_table_beside_its_output_is_fine(tmp_path: Path) -> None:
    table = tmp_path / "photos.csv"
    table.write_text("uri\n")
    check_output(recipe(table), str(tmp_path / "out"))


def test_one_at_a_time(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path / "out"))
    with locked_output(storage), pytest.raises(StorageError, match="another process"), locked_output(storage):
        pass
