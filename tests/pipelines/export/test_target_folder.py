"""A folder takes the export of one build, and never lies where the build or its photos are."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from faceloom.pipelines.build import prepare, run_build
from faceloom.pipelines.export import target_folder
from faceloom.pipelines.export.target_folder import EXPORT, check_target, mark_target
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import BuildRecord, read_record
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, StorageError
from faceloom.schemas.recipe import parse_recipe
from tests.object_stores import s3_server


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, synthetic: SimpleNamespace) -> Path:
    path: Path = synthetic.lay_photos(tmp_path_factory.mktemp("photos"), range(4), people=2)
    return path


def build(out: Path, source: dict[str, str]) -> tuple[Storage, BuildRecord]:
    plain = {"name": "try", "sources": [source], "faces": {"min_size": 10}}
    context = prepare(parse_recipe(plain), str(out))
    run_build(context, workers=1, resume=True, watcher=Watcher())
    return context.storage, read_record(context.storage)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, table: Path) -> tuple[Storage, BuildRecord]:
    return build(tmp_path_factory.mktemp("out"), {"path": str(table)})


def listed(built: tuple[Storage, BuildRecord]) -> tuple[Storage, BuildRecord]:
    """The same build as if its source were the folder of the photos."""
    storage, record = built
    recipe = {"name": "try", "sources": [{"kind": "flat", "path": "photos"}]}
    return storage, record.model_copy(update={"recipe": recipe})


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_is_claimed_once_and_stays_open_to_the_same_plan(
    built: tuple[Storage, BuildRecord], tmp_path: Path
) -> None:
    storage, record = built
    target = Storage(str(tmp_path / "new" / "files"))
    check_target(target, storage, record)
    assert not Path(target.root).exists()
    mark_target(target, record)
    before = (tmp_path / "new" / "files" / EXPORT).stat()
    assert json.loads(target.read_bytes(EXPORT)) == {"plan": record.plan, "layout": "folder"}
    check_target(target, storage, record)
    mark_target(target, record)
    after = (tmp_path / "new" / "files" / EXPORT).stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)


def test_another_plan_is_refused_and_nothing_is_touched(built: tuple[Storage, BuildRecord], tmp_path: Path) -> None:
    storage, record = built
    mark_target(Storage(str(tmp_path)), record)
    (tmp_path / "notes.txt").write_text("mine")
    before = files(tmp_path)
    other = record.model_copy(update={"plan": "f" * 64})
    with pytest.raises(FaceloomError, match=f"another build.*Choose another folder.*rm -r {tmp_path}"):
        check_target(Storage(str(tmp_path)), storage, other)
    assert files(tmp_path) == before


@pytest.mark.parametrize("mark", ["folder", None])
def test_another_layout_is_refused(built: tuple[Storage, BuildRecord], tmp_path: Path, mark: str | None) -> None:
    target, (storage, record) = Storage(str(tmp_path)), built
    (tmp_path / EXPORT).write_text(json.dumps({"plan": record.plan, **({"layout": mark} if mark else {})}))
    with pytest.raises(FaceloomError, match=r"another layout, (folder|of an older version) \(got recordio\).*rm -r"):
        check_target(target, storage, record, "recordio")


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff", b'{"plan": null}'])
def test_a_claim_that_cannot_be_read_counts_as_another_build(
    built: tuple[Storage, BuildRecord], tmp_path: Path, data: bytes
) -> None:
    (tmp_path / EXPORT).write_bytes(data)
    with pytest.raises(FaceloomError, match="another build"):
        check_target(Storage(str(tmp_path)), *built)


def test_files_of_others_are_refused_unless_an_export_was_there_first(
    built: tuple[Storage, BuildRecord], tmp_path: Path
) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "notes.txt").write_text("mine")
    with pytest.raises(StorageError, match=r"no export wrote \(got train\).*new or an empty folder"):
        check_target(Storage(str(tmp_path)), *built)
    mark_target(Storage(str(tmp_path)), built[1])
    check_target(Storage(str(tmp_path)), *built)


def test_the_target_itself_may_be_a_link(built: tuple[Storage, BuildRecord], tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "files").symlink_to(tmp_path / "disk")
    check_target(Storage(str(tmp_path / "files")), *built)
    mark_target(Storage(str(tmp_path / "files")), built[1])
    check_target(Storage(str(tmp_path / "files")), *built)


@pytest.mark.parametrize("below", [".", "shards", "new/folder", "../{name}/shards"])
def test_the_output_folder_is_refused(built: tuple[Storage, BuildRecord], below: str) -> None:
    root = Path(built[0].root)
    with pytest.raises(FaceloomError, match="output folder of the build"):
        check_target(Storage(str(root / below.format(name=root.name))), *built)


def test_a_link_into_the_output_folder_is_seen_through(built: tuple[Storage, BuildRecord], tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(built[0].root)
    with pytest.raises(FaceloomError, match="output folder of the build"):
        check_target(Storage(str(tmp_path / "link" / "files")), *built)


def test_a_folder_beside_the_output_is_allowed(built: tuple[Storage, BuildRecord]) -> None:
    check_target(Storage(str(Path(built[0].root).parent / "files")), *built)


@pytest.mark.parametrize("below", [".", "person 1", "new/folder"])
def test_the_photos_are_kept_apart(built: tuple[Storage, BuildRecord], table: Path, below: str) -> None:
    with pytest.raises(FaceloomError, match=r"among the photos.*next build would read exported files"):
        check_target(Storage(str(table.parent / below)), *listed(built))


def test_a_table_names_its_photos_so_a_target_may_lie_among_them(
    built: tuple[Storage, BuildRecord], table: Path
) -> None:
    check_target(Storage(str(table.parent / "files")), *built)


@pytest.mark.parametrize("sources", [5, "photos", [7], [{"path": 5}], {"path": "photos"}])
def test_a_record_with_damaged_sources_is_refused(
    built: tuple[Storage, BuildRecord], tmp_path: Path, sources: object
) -> None:
    record = built[1].model_copy(update={"recipe": {"name": "try", "sources": sources}})
    with pytest.raises(StorageError, match=r"damaged build record .*\$\.sources"):
        check_target(Storage(str(tmp_path / "files")), built[0], record)


def test_a_table_with_the_root_of_the_machine_leaves_every_target(
    table: Path, tmp_path: Path, synthetic: SimpleNamespace
) -> None:
    (tmp_path / "lists").mkdir()
    rows = [(str(table.parent / f"{n:03d}.png"), f"p{n}", synthetic.landmarks((48 + n % 3, 46), 32)) for n in range(2)]
    source = {"kind": "table", "path": str(synthetic.write_table(tmp_path / "lists", rows)), "root": "/"}
    check_target(Storage(str(tmp_path / "files")), *build(tmp_path / "out", source))


@pytest.mark.parametrize("uri", ["/dev/zero", "../../dev/zero", "a\0b", "fifo"])
def test_paths_of_a_strange_index_are_not_followed(
    built: tuple[Storage, BuildRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    os.mkfifo(tmp_path / "fifo")
    columns = {"source": ["photos"], "uri": [uri], "photo_sha256": ["0" * 64]}
    monkeypatch.setattr(target_folder, "read_index_columns", lambda *_: columns)
    check_target(Storage(str(tmp_path / "files")), *listed(built))


def test_other_photos_of_the_same_name_are_no_hindrance(built: tuple[Storage, BuildRecord], tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number:03d}.png").write_bytes(b"another photo")
    check_target(Storage(str(tmp_path / "files")), *listed(built))


def test_a_target_that_is_a_file_is_a_clear_error(built: tuple[Storage, BuildRecord], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for name in ("file", "file/below"):
        with pytest.raises(StorageError, match="a folder is needed"):
            check_target(Storage(str(tmp_path / name)), *built)
    assert (tmp_path / "file").read_text() == "mine"


def test_photos_in_a_store_are_kept_apart(built: tuple[Storage, BuildRecord], table: Path) -> None:
    with s3_server() as bucket:
        photos = Storage(f"{bucket}/set/photos")
        for file in table.parent.glob("*.png"):
            photos.write_if_changed(file.name, file.read_bytes())
        for below in ("", "/person 1", "/new/folder"):
            with pytest.raises(FaceloomError, match=r"among the photos \(got s3://faces/set/photos\)"):
                check_target(Storage(f"{photos.root}{below}"), *listed(built))
        check_target(Storage(f"{bucket}/set/files"), *listed(built))
