"""Which output folders may be used, and what makes one ours."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from faceloom.pipelines.store.output_folder import check_output, is_marked, locked_output
from faceloom.pipelines.store.paths import BUILD_RECORD, DATA_CARD, FOLDERS, LAST_RUN, MARKER
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import RecipeError, SourceError, StorageError
from faceloom.schemas.recipe import Recipe, parse_recipe

MARK = b'{"what": "an output folder of faceloom", "format": 1}\n'


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


@pytest.mark.parametrize("error", [None, SourceError("no photos"), KeyboardInterrupt()])
def test_a_run_that_writes_nothing_leaves_nothing(tmp_path: Path, error: BaseException | None) -> None:
    """Neither the folders that it made, nor a marker that claims a folder of the user."""
    (tmp_path / "empty").mkdir()
    for out in (tmp_path / "new" / "deep" / "out", tmp_path / "empty"):
        storage = Storage(str(out))
        with contextlib.suppress(SourceError, KeyboardInterrupt), locked_output(storage):
            if error:
                raise error
        assert [path.name for path in tmp_path.iterdir()] == ["empty"] and not [*(tmp_path / "empty").iterdir()]
    (tmp_path / "new").mkdir()
    with locked_output(Storage(str(tmp_path / "new" / "out"))):
        pass
    assert (tmp_path / "new").is_dir(), "a folder that was there stays"


def test_an_old_marker_does_not_claim_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / MARKER).write_bytes(MARK)
    with locked_output(Storage(str(tmp_path))):
        pass
    assert not [*tmp_path.iterdir()]


def test_what_a_run_wrote_stays_with_its_marker(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path / "out"))
    with contextlib.suppress(SourceError), locked_output(storage):
        with storage.write("faces/x/a.parquet") as stream:
            stream.write(b"dear")
        raise SourceError("stopped")
    assert storage.exists(MARKER) and storage.exists("faces/x/a.parquet")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "not JSON"), (b"[]", "another content"), (b"{}", "another content"), (b"[" * 4000, "levels deep"),
        (b" " * 5000, "at most"), (b'{"what": "a web app", "format": 1}', "another content"), (b"\xff", "UTF-8"),
        (MARK.replace(b"1", b"2"), "does not know"), (MARK.replace(b"1", b"[1]"), "does not know"),
    ],
)  # fmt: skip
def test_a_marker_of_another_program_or_version_claims_nothing(
    photos: Path, tmp_path: Path, content: bytes, why: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / MARKER).write_bytes(content)
    (out / "work").mkdir()
    (out / "work" / "a.txt").write_text("precious")
    uses: list[Callable[[], object]] = [
        lambda: check_output(recipe(photos), str(out)), lambda: locked_output(Storage(str(out))).__enter__()
    ]  # fmt: skip
    for use in uses:
        with pytest.raises(StorageError, match=why) as caught:
            use()
        assert caught.value.where.endswith(MARKER) and "\n" not in str(caught.value)
    assert sorted(path.name for path in out.iterdir()) == [MARKER, "work"]


@pytest.mark.parametrize("how", ["link", "pipe", "folder"])
def test_a_marker_that_is_no_plain_file_claims_nothing(photos: Path, tmp_path: Path, how: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "marker").write_bytes(MARK)
    if how == "link":
        (out / MARKER).symlink_to(tmp_path / "marker")
    elif how == "pipe":
        os.mkfifo(out / MARKER)
    else:
        (out / MARKER).mkdir()
    with pytest.raises(StorageError, match=r"a link inside|it is no file"):
        check_output(recipe(photos), str(out))


@pytest.mark.parametrize("name", [*FOLDERS, BUILD_RECORD, DATA_CARD, LAST_RUN, ".lock"])
def test_a_link_in_place_of_a_result_is_found_before_any_work(photos: Path, tmp_path: Path, name: str) -> None:
    out, victim = tmp_path / "out", tmp_path / "victim"
    with locked_output(Storage(str(out))), Storage(str(out)).write("faces/a.parquet") as stream:
        stream.write(b"x")
    shutil.rmtree(out / "faces")
    victim.write_text("precious") if "." in name else victim.mkdir()
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).unlink(missing_ok=True)
    (out / name).symlink_to(victim)
    with pytest.raises(StorageError, match="a link inside an output folder"):
        check_output(recipe(photos), str(out))
    with pytest.raises(StorageError, match="a link inside an output folder"), locked_output(Storage(str(out))):
        pass
    assert victim.is_dir() or victim.read_text() == "precious"


def test_links_of_the_user_beside_the_results_do_no_harm(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with locked_output(Storage(str(out))), Storage(str(out)).write("faces/a.parquet") as stream:
        stream.write(b"x")
    (out / "photos").symlink_to(photos)
    check_output(recipe(tmp_path / "other"), str(out))
    with locked_output(Storage(str(out))):
        pass


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


def test_a_folder_that_is_kept_is_claimed_before_anything_is_written(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path / "out"))
    with locked_output(storage, keep=True):
        pass
    assert is_marked(storage)
