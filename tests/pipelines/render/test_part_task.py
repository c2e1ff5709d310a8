"""Parts on disk: rendered, harmless when repeated, and failed by photos that changed."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from faceloom.pipelines.render import part_task as parts
from faceloom.pipelines.render.join_shard import join_shard
from faceloom.pipelines.render.mask_painter import mask_digests
from faceloom.pipelines.render.part_task import ShardTask, render_part
from faceloom.pipelines.sources import source
from faceloom.pipelines.store.failures import failed_photos
from faceloom.pipelines.store.parquet_tables import read_index, read_metadata
from faceloom.pipelines.store.paths import failure_note, part_index, part_tar, planned_faces
from faceloom.pipelines.store.tar_writer import END, append_sample
from faceloom.schemas.errors import RecipeError, SourceError, StorageError, WorkerError
from faceloom.schemas.plan import PlannedFace
from tests.pipelines.render.parts import everything, members, parts_bench, render_and_join
from tests.pipelines.rendering import steps_of


def failing(code: int) -> Callable[..., NoReturn]:
    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.fixture
def bench(tmp_path: Path, synthetic: SimpleNamespace) -> SimpleNamespace:
    return parts_bench(tmp_path, synthetic)


def test_a_rendered_part_is_a_piece_of_a_tar_with_its_index(bench: SimpleNamespace) -> None:
    seconds = render_part("aa", bench.context)
    rows = read_index(bench.storage, part_index("aa"))
    piece = bench.storage.read_bytes(part_tar("aa"))
    assert [row.uri for row in rows] == ["000.png"] * 2 + ["001.png"] * 2 + ["002.png"] * 2
    assert rows[-1].offset + rows[-1].length == len(piece)
    assert len(members(piece + END)) == 6 * 5
    assert set(seconds) == {"read", "decode", "labels", "align", "paint", "encode", "write", "copy"}
    assert read_metadata(bench.storage, part_index("aa")) == {
        "format": 1, "parts": {"aa": []}, "bytes": 0, "sha256": "",
    }  # fmt: skip


def test_a_row_tells_where_its_sample_comes_from(bench: SimpleNamespace) -> None:
    render_part("cc", bench.context)
    row = read_index(bench.storage, part_index("cc"))[1]
    face: PlannedFace = bench.faces[5]
    assert (row.identity, row.split, row.part, row.mask) == ("Ada", "train", "cc", "polygon-C")
    assert (row.source, row.uri, row.photo_sha256, row.face) == ("s", "005.png", face.photo_sha256, 0)
    assert (row.licence, row.consent, row.parents) == ("CC0", None, ())
    assert [operation["name"] for operation in json.loads(row.operations)] == ["mask", "align"]
    stored = dict(members(bench.storage.read_bytes(part_tar("cc")) + END))[f"{row.key}.json"]
    assert steps_of(json.loads(stored)) == json.loads(row.operations)


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


def test_masks_whose_files_changed_since_the_plan_are_refused(bench: SimpleNamespace) -> None:
    now = mask_digests(bench.context.recipe)
    render_part("aa", replace(bench.context, mask_digests=now))
    with pytest.raises(RecipeError, match="changed"):
        render_part("bb", replace(bench.context, mask_digests=(now[0], "another")))
    assert not bench.storage.exists(part_index("bb"))


def test_a_photo_that_changed_fails_its_part_and_says_why(bench: SimpleNamespace) -> None:
    (bench.photos / "001.png").write_bytes((bench.photos / "002.png").read_bytes())
    render_part("aa", bench.context)
    assert not bench.storage.exists(part_tar("aa"))
    assert not bench.storage.exists(part_index("aa"))
    failed = json.loads(bench.storage.read_bytes(failure_note("aa")))
    assert failed == {"s/001.png": "the photo changed after it was analysed"}
    assert bench.storage.exists(planned_faces("aa"))


def test_a_photo_that_vanished_fails_its_part(bench: SimpleNamespace) -> None:
    (bench.photos / "004.png").unlink()
    render_part("bb", bench.context)
    assert failed_photos(bench.storage) == {"s/004.png": "listed before, but gone now"}
    assert bench.storage.list("work") == sorted([failure_note("bb"), *(planned_faces(part) for part in bench.groups)])


@pytest.mark.parametrize("code", [errno.EMFILE, errno.EIO])
def test_a_machine_that_fails_is_distinguished_from_a_photo_that_changed(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(source, "open_regular_file", failing(code))
    with pytest.raises(WorkerError, match=r"^s/000\.png: (unexpected OSError|too many open files)") as caught:
        render_part("aa", bench.context)
    assert os.strerror(code) in caught.value.value
    assert failed_photos(bench.storage) == {} and not bench.storage.exists(part_index("aa"))


@pytest.mark.parametrize("opened", [True, False])
def test_a_source_that_is_gone_ends_the_run(bench: SimpleNamespace, opened: bool) -> None:
    if opened:
        assert bench.context.source("s").name == "s"
    bench.photos.rename(bench.photos.with_name("away"))
    with pytest.raises(SourceError, match="the source is gone" if opened else "no such file or folder"):
        render_part("aa", bench.context)
    assert not bench.storage.exists(part_tar("aa"))


def test_a_disk_that_fills_while_samples_are_written(bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def full(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return append_sample(*args)

    monkeypatch.setattr(parts, "append_sample", full)
    with pytest.raises(StorageError, match="disk full"):
        render_part("aa", bench.context)
    assert bench.storage.list("work") == sorted(planned_faces(part) for part in bench.groups)
