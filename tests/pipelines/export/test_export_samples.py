"""Samples as plain files: named safely, checked, and never written twice."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from faceloom.pipelines.build import prepare, run_build
from faceloom.pipelines.export.export_options import ExportOptions
from faceloom.pipelines.export.export_samples import (
    Exported,
    Format,
    check_pictures,
    check_split,
    export_samples,
    open_format,
    read_sample,
)
from faceloom.pipelines.export.folder_layouts import FolderFormat, file_paths
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.sources.registry import open_source
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.parquet_tables import read_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, StorageError
from faceloom.schemas.index import IndexRow
from faceloom.schemas.photos import Photo
from faceloom.schemas.recipe import parse_recipe
from faceloom.schemas.source_spec import SourceSpec


def build(table: Path, out: Path, **changes: object) -> Storage:
    masks = [{"kind": "polygon", "shape": "A"}]
    plain = {"name": "try", "sources": [{"path": str(table)}], "masks": masks, "split": {"per_identity": 0.5}}
    context = prepare(parse_recipe({**plain, "faces": {"min_size": 10}, **changes}), str(out))
    run_build(context, workers=1, resume=True, watcher=Watcher())
    return context.storage


def export(storage: Storage, to: Path, split: str | None = None, limit: int | None = None) -> Exported:
    layout = FolderFormat(Storage(str(to)))
    return export_samples(storage, read_record(storage), layout, split=split, limit=limit, watcher=Watcher())


def opened(storage: Storage, to: Path, layout: str, *pictures: str, morphs: bool | None = None) -> Format:
    options = ExportOptions(layout=layout, pictures=pictures, morphs=morphs)
    return open_format(storage, read_record(storage), Storage(str(to)), options)


def export_to(storage: Storage, to: Path, layout: str) -> None:
    export_samples(storage, read_record(storage), opened(storage, to, layout), watcher=Watcher())


def rows_of(storage: Storage) -> list[IndexRow]:
    return [row for path in storage.list("index") for row in read_index(storage, path)]


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, synthetic: SimpleNamespace) -> Path:
    path: Path = synthetic.lay_photos(tmp_path_factory.mktemp("photos"), range(6), people=2)
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, table: Path) -> Storage:
    return build(table, tmp_path_factory.mktemp("out"))


@pytest.fixture
def own(built: Storage, tmp_path: Path) -> Storage:
    shutil.copytree(built.root, tmp_path / "own")
    return Storage(str(tmp_path / "own"))


def test_every_member_of_every_sample_is_written(built: Storage, tmp_path: Path) -> None:
    assert export(built, tmp_path) == Exported(written=6, skipped=0)
    found = files(tmp_path)
    shards = {
        row.key: shard.name for shard in read_record(built).shards for row in rows_of(built) if row.split == shard.split
    }
    for row in rows_of(built):
        for name, content in read_sample(built, shards[row.key], row).items():
            assert found.pop(file_paths(row)[name]) == content
    assert found == {}


def test_a_second_export_writes_nothing(built: Storage, tmp_path: Path) -> None:
    export(built, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert export(built, tmp_path) == Exported(written=0, skipped=6)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize(
    ("layout", "level"),
    [("folder", 1), ("folder", 2), ("folder", 3), ("imagefolder", 3), ("recordio", 1), ("recordio", 2)],
)
def test_a_link_in_the_target_is_refused_before_anything_is_written_through_it(
    built: Storage, tmp_path: Path, layout: str, level: int
) -> None:
    target, other = tmp_path / "files", tmp_path / "other"
    export_to(built, target, layout)
    place = min(path for path in target.rglob("*") if len(path.relative_to(target).parts) == level)
    place.rename(other)
    place.symlink_to(other)
    before = files(other) if other.is_dir() else other.read_bytes()
    with pytest.raises(StorageError, match=r"a link inside .* the target of an export.*Only the folder") as caught:
        export_to(built, target, layout)
    assert caught.value.where == str(place)
    assert (files(other) if other.is_dir() else other.read_bytes()) == before


def test_what_is_missing_short_or_changed_is_written_again(built: Storage, tmp_path: Path) -> None:
    export(built, tmp_path)
    whole = files(tmp_path)
    one, two, three = sorted(tmp_path.rglob("*.npy"))[:3]
    one.unlink()
    two.write_bytes(two.read_bytes()[:-1])
    three.write_bytes(bytes(three.stat().st_size))
    assert export(built, tmp_path) == Exported(written=3, skipped=3)
    assert files(tmp_path) == whole


@pytest.mark.parametrize("layout", ["folder", "imagefolder"])
def test_people_who_differ_in_case_have_folders_that_do_not(
    tmp_path: Path, synthetic: SimpleNamespace, layout: str
) -> None:
    table = synthetic.lay_photos(tmp_path / "photos", range(3), people=3)
    renamed = table.read_text().replace("person 0", "Ann").replace("person 1", "ANN")
    table.write_text(renamed)
    storage = build(table, tmp_path / "out")
    export_to(storage, tmp_path / "to", layout)
    folders = {path.parent.name for path in (tmp_path / "to").rglob("*.jpg")}
    assert len({name.lower() for name in folders}) == 3 and "person 2" in folders


def test_a_split_and_a_limit(built: Storage, tmp_path: Path) -> None:
    counts = read_record(built).by_split
    assert export(built, tmp_path / "a", split="test") == Exported(counts["test"], 0)
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"members", "test"}
    assert export(built, tmp_path / "b", limit=4) == Exported(4, 0)
    assert export(built, tmp_path / "b", limit=100) == Exported(2, 4)


def test_an_unknown_split_is_refused_with_those_that_are(built: Storage) -> None:
    check_split(read_record(built), None)
    check_split(read_record(built), "train")
    with pytest.raises(FaceloomError, match=r"no such split \(got dev\).*test, train"):
        check_split(read_record(built), "dev")


def test_a_picture_that_no_sample_has_is_refused(built: Storage) -> None:
    record = read_record(built)
    for pictures in ((), ("face",), ("masked.jpg", "mask")):
        check_pictures(built, record, pictures)
    for picture in ("lr", "landmarks", "face.png"):
        with pytest.raises(FaceloomError, match=rf"no sample.*{picture}.*face.jpg, mask.png, masked.jpg"):
            check_pictures(built, record, ("face", picture))


@pytest.mark.parametrize(
    ("name", "picture", "left_out"),
    [
        ("folder", None, ()),
        ("recordio", None, ("face.jpg", "json", "landmarks.npy", "mask.png")),
        ("recordio", "face", ("json", "landmarks.npy", "mask.png", "masked.jpg")),
        ("imagefolder", "face", ("json", "landmarks.npy", "mask.png", "masked.jpg")),
    ],
)
def test_what_a_layout_does_not_hold_is_told(
    built: Storage, tmp_path: Path, name: str, picture: str | None, left_out: tuple[str, ...]
) -> None:
    layout = opened(built, tmp_path, name, *([picture] if picture else []))
    done = export_samples(built, read_record(built), layout, watcher=Watcher())
    records = {f"{picture or 'masked'}.jpg": 6} if name == "recordio" else {}
    assert done == Exported(written=6, skipped=0, members=left_out, pictures=records)


def test_samples_without_the_picture_are_left_out_and_counted(built: Storage, tmp_path: Path) -> None:
    class EverySecond(FolderFormat):
        turn = 0

        def takes(self, names: Collection[str]) -> Collection[str]:
            self.turn += 1
            return names if self.turn % 2 else ()

    done = export_samples(built, read_record(built), EverySecond(Storage(str(tmp_path))), watcher=Watcher())
    assert done == Exported(written=3, skipped=0, no_picture=3)
    assert len(list(tmp_path.rglob("*.json"))) == 3


@pytest.fixture(scope="module")
def morphed(tmp_path_factory: pytest.TempPathFactory, table: Path) -> Storage:
    split = {"shares": {"train": 1.0}}
    return build(table, tmp_path_factory.mktemp("morphed"), masks=[], split=split, morph={"neighbours": 1})


@pytest.mark.parametrize(("name", "usual"), [("folder", True), ("imagefolder", False), ("recordio", False)])
@pytest.mark.parametrize("asked", [None, True, False])
def test_morphs_are_in_or_out(morphed: Storage, tmp_path: Path, name: str, usual: bool, asked: bool | None) -> None:
    rows = rows_of(morphed)
    mixed = [row for row in rows if row.parents]
    assert 0 < len(mixed) < len(rows)
    layout = opened(morphed, tmp_path, name, morphs=asked)
    done = export_samples(morphed, read_record(morphed), layout, morphs=asked, watcher=Watcher())
    wanted = rows if (usual if asked is None else asked) else [row for row in rows if not row.parents]
    assert (done.written, done.morphs) == (len(wanted), len(rows) - len(wanted))
    if name == "recordio":
        lines = (tmp_path / "train" / "labels.csv").read_text().splitlines()[1:]
        assert {line.split(",")[1] for line in lines} == {row.identity for row in wanted}


def test_a_limit_counts_what_is_exported(morphed: Storage, tmp_path: Path) -> None:
    layout = opened(morphed, tmp_path, "recordio")
    done = export_samples(morphed, read_record(morphed), layout, limit=5, watcher=Watcher())
    assert done.written == 5 and done.morphs > 0


def test_records_hold_every_sample_and_come_back_as_a_source(built: Storage, tmp_path: Path) -> None:
    record = read_record(built)
    for _ in range(2):  # the second time they are written anew, and are the same
        layout = opened(built, tmp_path, "recordio")
        done = export_samples(built, record, layout, watcher=Watcher())
        assert (done.written, done.skipped) == (len(rows_of(built)), 0)
    for split, samples in record.by_split.items():
        source = open_source(SourceSpec(path=str(tmp_path / split)))
        photos = [row for row in source.scan() if isinstance(row, Photo)]
        rows = [row for row in rows_of(built) if row.split == split]
        assert len(photos) == len(rows) == samples
        masked = {member.sha256 for row in rows for member in row.members if member.name == "masked.jpg"}
        assert {hashlib.sha256(source.read(photo.uri)).hexdigest() for photo in photos} == masked
        assert {photo.identity for photo in photos} == {str(label) for label in range(len({r.identity for r in rows}))}


def test_face_png_and_alpha_keep_their_endings(table: Path, tmp_path: Path) -> None:
    storage = build(table, tmp_path / "out", output={"image": "png", "mask": "webp", "alpha": True}, per_face=2)
    export(storage, tmp_path / "files", limit=1)
    ends = sorted(name.rpartition("/")[2].split(".", 1)[1] for name in files(tmp_path / "files"))
    assert ends == ["alpha.webp", "face.png", "json", "landmarks.npy", "mask.webp", "png"]


def test_faces_without_masks(table: Path, tmp_path: Path) -> None:
    storage = build(table, tmp_path / "out", masks=[])
    assert export(storage, tmp_path / "files").written == 6
    ends = {name.split(".", 1)[1] for name in files(tmp_path / "files")}
    assert ends == {"jpg", "json", "landmarks.npy"}


def damage(storage: Storage, row: IndexRow, shard: str, at: int) -> None:
    path = Path(storage.root, "shards", f"{shard}.tar")
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("member", range(5))
def test_damage_names_sample_member_and_shard(own: Storage, tmp_path: Path, member: int) -> None:
    shard = read_record(own).shards[0]
    row = read_index(own, f"index/{shard.name}.parquet")[-1]
    damage(own, row, shard.name, row.members[member].offset + row.members[member].size // 2)
    with pytest.raises(StorageError) as caught:
        export(own, tmp_path / "files")
    for word in (row.key, row.members[member].name, f"shards/{shard.name}.tar", "`faceloom build` again"):
        assert word in str(caught.value)
    assert not any(row.key in name for name in files(tmp_path / "files"))


def test_a_shard_that_is_short_or_gone_is_named(own: Storage, tmp_path: Path) -> None:
    shard = read_record(own).shards[0]
    path = Path(own.root, "shards", f"{shard.name}.tar")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(StorageError, match=rf"shards/{shard.name}.tar: the shard has 2,000 bytes.*build.*again"):
        export(own, tmp_path / "files")
    path.unlink()
    with pytest.raises(StorageError, match=f"shards/{shard.name}.tar: the shard is missing"):
        export(own, tmp_path / "files")
    assert not (tmp_path / "files").exists()


def test_following_the_remedy_helps(own: Storage, table: Path, tmp_path: Path) -> None:
    shard = read_record(own).shards[0]
    damage(own, rows_of(own)[0], shard.name, 600)
    build(table, Path(own.root))
    assert export(own, tmp_path / "files").written == 6


def test_another_format_needs_five_methods(built: Storage) -> None:
    class Counting:
        threads = 1
        morphs = True
        pictures: Mapping[str, int] = {}

        def __init__(self) -> None:
            self.keys: list[str] = []
            self.finished = self.abandoned = False

        def takes(self, names: Collection[str]) -> Collection[str]:
            return names

        def holds(self, row: IndexRow) -> bool:
            return row.split == "test"

        def add(self, row: IndexRow, members: Mapping[str, bytes]) -> None:
            assert set(members) == {member.name for member in row.members}
            self.keys.append(row.key)

        def finish(self) -> None:
            self.finished = True

        def abandon(self) -> None:
            self.abandoned = True

    layout = Counting()
    done = export_samples(built, read_record(built), layout, watcher=Watcher())
    names = [shard.name for shard in read_record(built).shards]
    rows = [row for name in names for row in read_index(built, f"index/{name}.parquet")]
    assert layout.keys == [row.key for row in rows if row.split != "test"] and layout.finished
    assert done == Exported(len(layout.keys), 6 - len(layout.keys))
    assert not layout.abandoned


def test_records_that_end_early_leave_no_half_files(own: Storage, tmp_path: Path) -> None:
    record = read_record(own)
    for shard in record.shards:
        row = read_index(own, f"index/{shard.name}.parquet")[-1]
        damage(own, row, shard.name, row.members[0].offset)
    with pytest.raises(StorageError, match="damaged"):
        export_samples(own, record, opened(own, tmp_path / "r", "recordio"), watcher=Watcher())
    assert [path for path in (tmp_path / "r").rglob("*") if path.is_file()] == []
