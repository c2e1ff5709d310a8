"""Parts and shards on disk: rendered, joined and lifted to the same bytes, and harmless when repeated."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from faceloom.pipelines import parts
from faceloom.pipelines.context import Context
from faceloom.pipelines.failures import failed_path, failed_photos
from faceloom.pipelines.painters import mask_digests
from faceloom.pipelines.parts import Lift, ShardTask, join_shard, part_index, part_tar, render_part
from faceloom.pipelines.storage import Storage
from faceloom.pipelines.tables import planned_path, read_index, read_metadata, write_planned
from faceloom.pipelines.tar import END
from faceloom.schemas.errors import RecipeError, SourceError, StorageError
from faceloom.schemas.plan import PlannedFace
from faceloom.schemas.recipe import parse_recipe


@pytest.fixture
def bench(tmp_path: Path, synthetic: SimpleNamespace) -> SimpleNamespace:
    """Six photos of a source, an output, and the plan rows of its parts `aa` (0, 1, 2), `bb` (3, 4) and `cc` (5)."""
    photos = tmp_path / "photos"
    synthetic.lay_photos(photos, range(6))
    recipe = parse_recipe(
        {"name": "x", "sources": [{"path": str(photos), "kind": "flat", "name": "s"}], "align": {"size": 32},
         "masks": [{"kind": "polygon", "shape": "A"}, {"kind": "polygon", "shape": "C", "colour": "red"}]}
    )  # fmt: skip
    context = Context(recipe.model_dump_json(), str(tmp_path / "out"))
    faces = []
    for number in range(6):
        data = (photos / f"{number:03d}.png").read_bytes()
        points = synthetic.landmarks((48 + number % 3, 46), 32)
        faces.append(synthetic.planned(data, points, (0, 1), uri=f"{number:03d}.png", place=number))
    groups = {"aa": faces[:3], "bb": faces[3:5], "cc": faces[5:]}
    for part, group in groups.items():
        write_planned(context.storage, planned_path(part), group)
    return SimpleNamespace(context=context, storage=context.storage, faces=faces, groups=groups, photos=photos)


def render_and_join(bench: SimpleNamespace, shard: str, names: Sequence[str]) -> None:
    for part in names:
        write_planned(bench.storage, planned_path(part), bench.groups[part])
        render_part(part, bench.context)
    join_shard(ShardTask(shard, tuple(names)), bench.context)


def everything(storage: Storage) -> dict[str, bytes]:
    root = Path(storage.root)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def members(data: bytes) -> list[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return [(info.name, archive.extractfile(info).read()) for info in archive]  # type: ignore[union-attr]


def check_index(storage: Storage, shard: str) -> None:
    """The index says of each member exactly what the tar holds."""
    data = storage.read_bytes(parts.shard_tar(shard))
    rows = read_index(storage, parts.shard_index(shard))
    listed = [(f"{row.key}.{m.name}", data[m.offset : m.offset + m.size]) for row in rows for m in row.members]
    assert listed == members(data)
    assert all(
        hashlib.sha256(data[m.offset : m.offset + m.size]).hexdigest() == m.sha256 for row in rows for m in row.members
    )
    ends = [0, *(row.offset + row.length for row in rows)]
    assert [row.offset for row in rows] == ends[:-1]
    assert data[ends[-1] :] == END


def test_a_rendered_part_is_a_piece_of_a_tar_with_its_index(bench: SimpleNamespace) -> None:
    seconds = render_part("aa", bench.context)
    rows = read_index(bench.storage, part_index("aa"))
    piece = bench.storage.read_bytes(part_tar("aa"))
    assert [row.uri for row in rows] == ["000.png"] * 2 + ["001.png"] * 2 + ["002.png"] * 2
    assert rows[-1].offset + rows[-1].length == len(piece)
    assert len(members(piece + END)) == 6 * 5
    assert set(seconds) == {"read", "decode", "align", "paint", "encode", "write"}
    assert read_metadata(bench.storage, part_index("aa")) == {"parts": {"aa": []}, "bytes": 0}


def test_a_row_tells_where_its_sample_comes_from(bench: SimpleNamespace) -> None:
    render_part("cc", bench.context)
    row = read_index(bench.storage, part_index("cc"))[1]
    face: PlannedFace = bench.faces[5]
    assert (row.identity, row.split, row.part, row.mask) == ("Ada", "train", "cc", "polygon-C")
    assert (row.source, row.uri, row.photo_sha256, row.face) == ("s", "005.png", face.photo_sha256, 0)
    assert (row.licence, row.consent, row.parents) == ("CC0", None, ())
    assert [operation["name"] for operation in json.loads(row.operations)] == ["mask", "align"]
    stored = dict(members(bench.storage.read_bytes(part_tar("cc")) + END))[f"{row.key}.json"]
    assert json.loads(stored)["operations"] == json.loads(row.operations)


def test_joined_parts_are_one_archive_whose_index_is_right(bench: SimpleNamespace) -> None:
    render_and_join(bench, "train-all-x", ["aa", "bb", "cc"])
    check_index(bench.storage, "train-all-x")
    assert [row.part for row in read_index(bench.storage, "index/train-all-x.parquet")] == ["aa"] * 6 + ["bb"] * 4 + [
        "cc"
    ] * 2
    assert read_metadata(bench.storage, "index/train-all-x.parquet")["parts"] == {"aa": [], "bb": [], "cc": []}
    assert bench.storage.list() == ["index/train-all-x.parquet", "shards/train-all-x.tar"], "work is cleared"


def test_how_photos_are_cut_into_parts_does_not_show_in_the_samples(bench: SimpleNamespace) -> None:
    render_and_join(bench, "one", ["aa", "bb"])
    bench.groups["whole"] = bench.faces[:5]
    render_and_join(bench, "other", ["whole"])
    assert bench.storage.read_bytes("shards/one.tar") == bench.storage.read_bytes("shards/other.tar")


def test_rendering_and_joining_again_changes_nothing(bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    render_part("aa", bench.context)
    before = everything(bench.storage)
    with monkeypatch.context() as patch:
        patch.setattr(parts, "_render_faces", lambda *_: pytest.fail("nothing is to be rendered"))
        assert render_part("aa", bench.context) == {}
    assert everything(bench.storage) == before
    render_and_join(bench, "one", ["aa", "bb"])
    before = everything(bench.storage)
    join_shard(ShardTask("one", ("aa", "bb")), bench.context)
    assert everything(bench.storage) == before


def test_a_part_whose_marker_is_missing_is_rendered_anew_to_the_same_bytes(bench: SimpleNamespace) -> None:
    render_part("aa", bench.context)
    before = everything(bench.storage)
    bench.storage.remove(part_index("aa"))
    bench.storage.local(part_tar("aa")).write_bytes(b"torn")
    render_part("aa", bench.context)
    assert everything(bench.storage) == before


def test_a_join_that_died_before_its_marker_is_repeated(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("aa", "bb"):
        render_part(part, bench.context)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(parts, "write_index", die)
        with pytest.raises(KeyboardInterrupt):
            join_shard(ShardTask("one", ("aa", "bb")), bench.context)
    assert not bench.storage.exists("index/one.parquet")
    join_shard(ShardTask("one", ("aa", "bb")), bench.context)
    check_index(bench.storage, "one")


def test_a_join_waits_for_all_its_parts(bench: SimpleNamespace) -> None:
    render_part("aa", bench.context)
    before = everything(bench.storage)
    join_shard(ShardTask("one", ("aa", "bb")), bench.context)
    assert everything(bench.storage) == before


@pytest.mark.parametrize("order", [["bb"], ["aa", "bb"], ["bb", "aa"], ["bb", "cc", "aa"], ["cc", "aa", "bb"]])
def test_lifted_parts_are_the_bytes_that_rendering_gives(bench: SimpleNamespace, order: list[str]) -> None:
    render_and_join(bench, "fresh", order)
    fresh = {path: bench.storage.read_bytes(path) for path in ("shards/fresh.tar", "index/fresh.parquet")}
    for path in fresh:
        bench.storage.remove(path)
    render_and_join(bench, "old", ["aa", "bb"])
    rows = read_index(bench.storage, "index/old.parquet")
    lifts = []
    for part in ("aa", "bb"):
        own = [row for row in rows if row.part == part]
        lifts.append((part, Lift("old", own[0].offset, sum(row.length for row in own))))
    write_planned(bench.storage, planned_path("cc"), bench.groups["cc"])
    render_part("cc", bench.context)
    join_shard(ShardTask("fresh", tuple(order), tuple(lifts)), bench.context)
    assert {path: bench.storage.read_bytes(path) for path in fresh} == fresh
    check_index(bench.storage, "fresh")
    check_index(bench.storage, "old")


@pytest.mark.parametrize("lifted", [False, True])
def test_a_damaged_sample_is_never_joined(bench: SimpleNamespace, lifted: bool) -> None:
    render_and_join(bench, "old", ["aa"])
    for part in ("aa", "bb"):
        write_planned(bench.storage, planned_path(part), bench.groups[part])
        render_part(part, bench.context)
    tar = bench.storage.local("shards/old.tar" if lifted else part_tar("aa"))
    data = tar.read_bytes()
    tar.write_bytes(data[:700] + bytes([data[700] ^ 1]) + data[701:])
    lifts = (("aa", Lift("old", 0, len(data) - len(END))),) if lifted else ()
    with pytest.raises(StorageError, match="damaged: sample"):
        join_shard(ShardTask("new", ("aa", "bb"), lifts), bench.context)
    assert not bench.storage.exists("shards/new.tar") and not bench.storage.exists("index/new.parquet")


def test_a_shard_is_finished_at_its_full_length(bench: SimpleNamespace) -> None:
    assert not parts.is_finished(bench.storage, "one")
    render_and_join(bench, "one", ["aa", "bb"])
    assert parts.is_finished(bench.storage, "one")
    tar = bench.storage.local("shards/one.tar")
    tar.write_bytes(tar.read_bytes()[:-1])
    assert not parts.is_finished(bench.storage, "one")


def test_masks_whose_files_changed_since_the_plan_are_refused(bench: SimpleNamespace) -> None:
    now = mask_digests(bench.context.recipe)
    render_part("aa", replace(bench.context, mask_digests=now))
    with pytest.raises(RecipeError, match="changed"):
        render_part("bb", replace(bench.context, mask_digests=(now[0], "another")))
    assert not bench.storage.exists(part_index("bb"))


def test_samples_rejected_in_rendering_are_remembered_with_their_part(
    bench: SimpleNamespace, synthetic: SimpleNamespace
) -> None:
    far = replace(bench.faces[5], landmarks=(synthetic.landmarks((5000, 5000), 32)).tobytes())
    bench.groups["cc"] = [far]
    bench.groups["aa"] = [replace(bench.faces[0], landmarks=np.zeros((68, 2), np.float32).tobytes()), bench.faces[1]]
    render_and_join(bench, "one", ["aa", "cc"])
    check_index(bench.storage, "one")
    assert [row.uri for row in read_index(bench.storage, "index/one.parquet")] == ["001.png"] * 2
    said = read_metadata(bench.storage, "index/one.parquet")["parts"]
    assert [(reject["code"], reject["uri"], reject["stage"]) for reject in said["cc"]] == [
        ("crop_outside", "005.png", "render")
    ] * 2
    assert [reject["code"] for reject in said["aa"]] == ["degenerate_points"] * 2
    assert said["cc"][0]["key"].endswith("-f00-m000")
    join_shard(ShardTask("two", ("cc", "aa"), (("cc", Lift("one", 0, 0)), ("aa", Lift("one", 0, 0)))), bench.context)
    assert read_metadata(bench.storage, "index/two.parquet")["parts"] == said, "lifted rejects come along"


def test_a_photo_that_changed_fails_its_part_and_says_why(bench: SimpleNamespace) -> None:
    (bench.photos / "001.png").write_bytes((bench.photos / "002.png").read_bytes())
    render_part("aa", bench.context)
    assert not bench.storage.exists(part_tar("aa"))
    assert not bench.storage.exists(part_index("aa"))
    failed = json.loads(bench.storage.read_bytes(failed_path("aa")))
    assert failed == {"s/001.png": "the photo changed after it was analysed"}
    assert bench.storage.exists(planned_path("aa"))


def test_a_photo_that_vanished_fails_its_part(bench: SimpleNamespace) -> None:
    (bench.photos / "004.png").unlink()
    render_part("bb", bench.context)
    assert failed_photos(bench.storage) == {"s/004.png": "listed before, but gone now"}
    assert bench.storage.list("work") == sorted([failed_path("bb"), *(planned_path(part) for part in bench.groups)])


@pytest.mark.parametrize("opened", [True, False])
def test_a_source_that_is_gone_ends_the_run(bench: SimpleNamespace, opened: bool) -> None:
    if opened:
        assert bench.context.source("s").name == "s"
    bench.photos.rename(bench.photos.with_name("away"))
    with pytest.raises(SourceError, match="the source is gone" if opened else "no such file or folder"):
        render_part("aa", bench.context)
    assert not bench.storage.exists(part_tar("aa"))


def fill_disk(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """The disk takes so many more files."""
    left = [after]
    replace_file = Path.replace

    def full(path: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace_file(path, target)

    monkeypatch.setattr(Path, "replace", full)


@pytest.mark.parametrize("after", range(4))
def test_a_full_disk_leaves_nothing_half_done_and_a_retry_finishes(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    with monkeypatch.context() as patch:
        fill_disk(patch, after)
        with pytest.raises(StorageError, match="disk full"):
            render_part("aa", bench.context)
            join_shard(ShardTask("one", ("aa",)), bench.context)
    left = everything(bench.storage)
    assert len(left) == len(bench.groups) + after
    assert not [path for path in left if ".partial-" in path]
    render_part("aa", bench.context)
    join_shard(ShardTask("one", ("aa",)), bench.context)
    check_index(bench.storage, "one")
    finished = everything(bench.storage)
    assert left.get("shards/one.tar", finished["shards/one.tar"]) == finished["shards/one.tar"]


def test_a_disk_that_fills_while_samples_are_written(bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    append, calls = parts.append_sample, []

    def full(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return append(*args)

    monkeypatch.setattr(parts, "append_sample", full)
    with pytest.raises(StorageError, match="disk full"):
        render_part("aa", bench.context)
    assert bench.storage.list("work") == sorted(planned_path(part) for part in bench.groups)


def test_names_of_files() -> None:
    assert (parts.shard_tar("n"), parts.shard_index("n")) == ("shards/n.tar", "index/n.parquet")
    paths = {planned_path("p"), part_tar("p"), part_index("p"), failed_path("p")}
    assert len(paths) == 4
    assert all(path.split("/")[1].split(".")[0] == "p" for path in paths), "the sweep finds a part's files by this"


def test_a_part_is_whole_only_to_its_last_byte(bench: SimpleNamespace) -> None:
    storage = bench.storage
    assert not parts.is_whole(storage, "aa")
    render_part("aa", bench.context)
    assert parts.is_whole(storage, "aa")
    tar = storage.local(part_tar("aa"))
    data = tar.read_bytes()
    for damaged in (b"", data[: len(data) // 2], data[:600] + bytes([data[600] ^ 1]) + data[601:]):
        tar.write_bytes(damaged)
        assert not parts.is_whole(storage, "aa")
    tar.write_bytes(data)
    assert parts.is_whole(storage, "aa")
    storage.local(part_index("aa")).write_bytes(b"")
    assert not parts.is_whole(storage, "aa")
