"""Releases are made of finished builds, and share what they have in common."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from faceloom.pipelines.release import create, split_gates
from faceloom.pipelines.release.create import create_release
from faceloom.pipelines.release.manifest import read_manifest
from faceloom.pipelines.release.publish import free_unused
from faceloom.pipelines.release.verify import verify_release
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import GateError, ReleaseError, StorageError
from faceloom.schemas.recipe import parse_recipe
from faceloom.schemas.release import GateResult
from tests.pipelines.release.conftest import build_set

CREATE = (
    "import sys; from faceloom.pipelines.release.create import create_release as c; c(*sys.argv[1:4], out=sys.argv[4])"
)


def tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_release_holds_what_the_build_holds(built: Path, released: Path) -> None:
    storage, record = Storage(str(released)), read_record(Storage(str(built)))
    release = read_manifest(storage, "faces", "1.0.0").release
    assert release.written == record.written == 16 and release.recipe == record.recipe
    assert {split: use.samples for split, use in release.splits.items()} == record.by_split
    for shard, named in zip(record.shards, release.shards, strict=True):
        assert named.name.rsplit("-", 1)[0] == shard.name.rsplit("-", 1)[0]
        assert hashlib.sha256((released / shard_tar(named.name)).read_bytes()).hexdigest() == shard.sha256
        assert (built / shard_index(shard.name)).read_bytes() == (released / shard_index(named.name)).read_bytes()
        assert not (built / shard_tar(shard.name)).samefile(released / shard_tar(named.name))
    (source,) = release.sources
    assert (source.name, source.samples, source.photos, source.people) == ("s", 16, 16, 4)
    assert source.licences == {"CC0-1.0": 16} and source.consents == {"made up": 16}
    assert release.gates and all(result.passed for result in release.gates)
    assert [model.role for model in release.models] == ["landmarks", "detector"]


def test_the_recipe_of_a_release_rebuilds_its_plan(released: Path, released_photos: Path, tmp_path: Path) -> None:
    release = read_manifest(Storage(str(released)), "faces", "1.0.0").release
    plain = parse_recipe(release.recipe).model_dump(mode="json", exclude_unset=True)
    sources = [{**source, "path": str(released_photos / source["path"])} for source in plain["sources"]]
    again = build_set(tmp_path / "again", released_photos, **{**plain, "sources": sources})
    assert read_record(Storage(str(again))).plan == release.plan


def test_the_same_build_gives_the_same_release_in_another_folder(built: Path, released: Path, tmp_path: Path) -> None:
    create_release(tmp_path / "elsewhere", "faces", "1.0.0", out=built)
    assert tree(tmp_path / "elsewhere") == tree(released)
    for data in tree(released).values():
        assert str(tmp_path).encode() not in data and str(built).encode() not in data


def test_unchanged_shards_are_shared(built: Path, own_root: Storage, released_photos: Path, tmp_path: Path) -> None:
    before = tree(Path(own_root.root))
    created = create_release(own_root.root, "faces", "1.0.1", out=built)
    assert (created.copied, created.copied_bytes) == (0, 0) and created.shared == len(created.published.shards)
    assert created.published.release.parent == read_manifest(own_root, "faces", "1.0.0").id
    assert {path: data for path, data in tree(Path(own_root.root)).items() if path in before} == before
    masks = [{"kind": "polygon", "shape": "A"}, {"kind": "polygon", "shape": "C", "colour": "black"}]
    other = build_set(tmp_path / "other", released_photos, masks=masks)
    created = create_release(own_root.root, "faces", "2.0.0", out=other)
    assert created.copied and created.copied + created.shared == len(created.published.shards)
    assert created.published.release.parent.startswith("faces/1.0.1+")


@pytest.mark.parametrize(
    ("name", "version", "match"),
    [
        ("faces", "1.0.0", "exists already"),
        ("faces", "0.9.9", "too low"),
        ("faces", "1.0", "no version"),
        ("faces", "01.0.0", "no version"),
        ("../faces", "1.0.0", "cannot be the name"),
        ("Faces", "1.0.0", "cannot be the name"),
        ("faces", "../1.0.0", "no version"),
        ("faces", "1.0.0\n", "no version"),
        ("faces\n", "1.0.0", "cannot be the name"),
    ],
)
def test_other_names_and_versions_are_refused(
    name: str, version: str, match: str, built: Path, own_root: Storage
) -> None:
    before = tree(Path(own_root.root))
    with pytest.raises(ReleaseError, match=match):
        create_release(own_root.root, name, version, out=built)
    assert tree(Path(own_root.root)) == before


def test_a_damaged_build_is_not_released(own_build: Storage, tmp_path: Path) -> None:
    shard = read_record(own_build).shards[0]
    path = own_build.local(shard_tar(shard.name))
    data = bytearray(path.read_bytes())
    data[700] ^= 1
    path.write_bytes(data)
    with pytest.raises(StorageError, match="another sha256") as caught:
        create_release(tmp_path / "root", "faces", "1.0.0", out=own_build.root)
    assert shard.name in str(caught.value)
    assert not (tmp_path / "root" / "releases").exists() and not Storage(str(tmp_path / "root")).list("shards")


def test_a_gate_on_indexes_fails_before_anything_is_copied(
    released_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [{"path": str(released_photos / "photos.csv"), "name": "s"}]  # without a licence
    out = build_set(tmp_path / "out", released_photos, sources=sources)
    monkeypatch.setattr(create, "copy_file", lambda *_: pytest.fail("a file is copied"))
    with pytest.raises(GateError, match=r"1 of 7 gates failed: licences: .*16 of 16 samples of s"):
        create_release(tmp_path / "root", "faces", "1.0.0", out=out)
    assert not (tmp_path / "root" / "releases").exists()


def test_a_gate_on_pictures_publishes_nothing(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split_gates, "near_duplicates", lambda *_: GateResult(gate="near", passed=False, found="many"))
    with pytest.raises(GateError, match=r"1 of 10 gates failed: near: many"):
        create_release(tmp_path / "root", "faces", "1.0.0", out=built)
    assert not (tmp_path / "root" / "releases").exists()
    assert not Storage(str(tmp_path / "root")).list("shards")


@pytest.mark.parametrize(("harm", "words"), [("lost", "is missing"), ("short", "are listed"), ("index", "its sha256")])
def test_damage_that_needs_no_copy_is_found_before_copying(
    harm: str, words: str, own_build: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = read_record(own_build).shards[-1].name
    path = own_build.local(shard_index(name) if harm == "index" else shard_tar(name))
    data = path.read_bytes()
    changed = data[:-1] if harm == "short" else data[:40] + bytes([data[40] ^ 1]) + data[41:]
    path.unlink() if harm == "lost" else path.write_bytes(changed)
    monkeypatch.setattr(create, "copy_file", lambda *_: pytest.fail("a file is copied"))
    with pytest.raises(StorageError, match=words) as caught:
        create_release(tmp_path / "root", "faces", "1.0.0", out=own_build.root)
    assert name in str(caught.value) and "faceloom build" in caught.value.remedy


def test_folders_inside_each_other_are_refused(built: Path, tmp_path: Path) -> None:
    for root in (built, built / "releases", built.parent):
        with pytest.raises(ReleaseError):
            create_release(root, "faces", "1.0.0", out=built)
    with pytest.raises(StorageError):
        create_release(tmp_path, "faces", "1.0.0", out=tmp_path / "nothing")
    assert not [*tmp_path.iterdir()]


def test_of_two_creates_at_once_one_wins(built: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", CREATE, str(tmp_path / "root"), "faces", "1.0.0", str(built)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1], errors
    assert any("another process" in error or "exists already" in error for error in errors)
    assert not verify_release(Storage(str(tmp_path / "root")), "faces@1.0.0", deep=True).faults


def test_leftovers_of_a_killed_create_are_deleted(built: Path, own_root: Storage) -> None:
    unfinished = ("releases/faces/1.0.1/README.md", "releases/faces/1.0.1/unfinished")
    for path in (*unfinished, "shards/train-0-0123456789ab.tar", "index/x.parquet.partial-1-2"):
        own_root.local(path).parent.mkdir(exist_ok=True)
        own_root.local(path).write_bytes(b"left")
    create_release(own_root.root, "other", "1.0.0", out=built)
    assert not [path for path, data in tree(Path(own_root.root)).items() if data == b"left"]
    assert not own_root.local("releases/faces/1.0.1").exists()


def test_a_release_that_lost_its_manifest_loses_nothing_more(built: Path, own_root: Storage) -> None:
    own_root.local("releases/faces/1.0.0/release.json").rename(own_root.local("kept.json"))
    before = tree(Path(own_root.root))
    create_release(own_root.root, "other", "1.0.0", out=built)
    assert before.items() <= tree(Path(own_root.root)).items(), "neither its other files nor its shards are swept"
    with pytest.raises(StorageError, match=r"faces/1\.0\.0/release\.json: the manifest of this release is missing"):
        free_unused(own_root)


def test_a_damaged_file_of_the_pool_is_copied_again(built: Path, own_root: Storage) -> None:
    shard = own_root.local(own_root.list("shards")[0])
    whole = shard.read_bytes()
    shard.write_bytes(whole[:600] + bytes([whole[600] ^ 1]) + whole[601:])
    done = create_release(own_root.root, "other", "1.0.0", out=built)
    assert done.copied == 1 and shard.read_bytes() == whole
