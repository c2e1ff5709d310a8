"""What a finished build does not use, and nothing else, is deleted."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from faceloom.pipelines.build import prepare, run_build
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.clean import clean, find_leftovers
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.recipe import parse_recipe


def build(table: Path, out: Path, shape: str) -> int:
    plain = {"name": "try", "sources": [{"path": str(table)}], "masks": [{"kind": "polygon", "shape": shape}]}
    context = prepare(parse_recipe({**plain, "faces": {"min_size": 10}}), str(out))
    return run_build(context, workers=1, resume=True, watcher=Watcher()).rendered


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, synthetic: SimpleNamespace) -> Path:
    path: Path = synthetic.lay_photos(tmp_path_factory.mktemp("photos"), range(4), people=1)
    return path


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, table: Path) -> Path:
    out = tmp_path_factory.mktemp("first")
    build(table, out, "A")
    return out


@pytest.fixture
def out(first: Path, tmp_path: Path) -> Path:
    shutil.copytree(first, tmp_path / "out")
    return tmp_path / "out"


def files(out: Path) -> set[str]:
    return {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file() and path.name != ".lock"}


def test_a_fresh_build_has_no_leftovers(out: Path) -> None:
    before = files(out)
    assert find_leftovers(Storage(str(out))).files == {}
    assert clean(Storage(str(out))).files == {}
    assert files(out) == before


def test_superseded_shards_go_and_the_build_stays(out: Path, table: Path) -> None:
    old = {path for path in files(out) if path.startswith(("shards/", "index/"))}
    build(table, out, "F")
    storage = Storage(str(out))
    found = find_leftovers(storage)
    assert set(found.superseded) == old and not found.work and not found.partial
    assert found.superseded == {path: (out / path).stat().st_size for path in old}
    assert old <= files(out)  # looking deletes nothing
    before = files(out)
    assert clean(storage) == found
    assert files(out) == before - old
    assert build(table, out, "F") == 0  # what is left is whole


def test_an_index_goes_before_its_shard(out: Path, table: Path) -> None:
    build(table, out, "F")
    paths = list(find_leftovers(Storage(str(out))).files)
    assert [path.split("/")[0] for path in paths] == ["index", "shards"]


def test_leftovers_of_a_crash_go(out: Path) -> None:
    (out / "work").mkdir(exist_ok=True)
    (out / "work" / "abc.tar").write_bytes(b"12345")
    (out / "shards" / "x.tar.partial-1-2").write_bytes(b"123")
    found = clean(Storage(str(out)))
    assert found.work == {"work/abc.tar": 5} and found.partial == {"shards/x.tar.partial-1-2": 3}
    assert not {"work/abc.tar", "shards/x.tar.partial-1-2"} & files(out)


def test_the_face_table_is_kept(out: Path) -> None:
    (out / "faces" / "of_another_analyser").mkdir()
    (out / "faces" / "of_another_analyser" / "x.parquet").write_bytes(b"dear to compute")
    clean(Storage(str(out)))
    assert "faces/of_another_analyser/x.parquet" in files(out)


def test_an_interrupted_first_build_can_be_deleted(out: Path, table: Path) -> None:
    (out / "build.json").unlink()
    (out / "work").mkdir(exist_ok=True)
    (out / "work" / "abc.tar").write_bytes(b"12345")
    storage = Storage(str(out))
    before = files(out)
    found = find_leftovers(storage)
    assert files(out) == before and not found.finished
    assert {*found.files} == {path for path in before if path.startswith(("shards/", "index/", "work/"))}
    assert clean(storage) == found
    assert files(out) == before - {*found.files}
    assert any(path.startswith("faces/") for path in files(out)), "no photo is analysed again"
    assert clean(storage).files == {}
    assert build(table, out, "A") > 0


@pytest.mark.parametrize("record", [b"", b"{}", b'{"shards": []}'])
def test_with_a_damaged_record_nothing_is_touched(out: Path, record: bytes) -> None:
    (out / "build.json").write_bytes(record)
    before = files(out)
    with pytest.raises(StorageError, match="damaged build record"):
        clean(Storage(str(out)))
    assert files(out) == before


@pytest.mark.parametrize("marker", [None, b"", b"{}", b'{"what": "something else", "format": 1}'])
def test_a_folder_without_the_marker_is_left_alone(out: Path, marker: bytes | None) -> None:
    (out / "faceloom.json").unlink()
    (out / ".lock").write_text("precious")
    if marker is not None:
        (out / "faceloom.json").write_bytes(marker)
    before = files(out)
    for use in (find_leftovers, clean):
        with pytest.raises(StorageError, match=r"of faceloom"):
            use(Storage(str(out)))
    assert files(out) == before and (out / ".lock").read_text() == "precious"


@pytest.mark.parametrize("folder", ["work", "neighbours", "shards", "index", "shards/deep"])
def test_nothing_is_deleted_through_a_link(out: Path, tmp_path: Path, folder: str) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    for name in ("a.txt", "b.tar", "c.tar.partial-1-2"):
        (victim / name).write_text("precious")
    if (out / folder).exists():
        shutil.rmtree(out / folder)
    (out / folder).symlink_to(victim)
    with pytest.raises(StorageError, match="a link inside an output folder"):
        clean(Storage(str(out)))
    assert sorted(path.name for path in victim.iterdir()) == ["a.txt", "b.tar", "c.tar.partial-1-2"]


def test_not_while_a_build_is_at_work(out: Path) -> None:
    with Storage(str(out)).exclusive(), pytest.raises(StorageError, match="another process"):
        clean(Storage(str(out)))
