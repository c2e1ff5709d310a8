"""Builds that were stopped, damaged or disturbed: reported, and finished by the next run to the same bytes."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines import build
from faceloom.pipelines.build import BuildResult, plan_build, prepare
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.parquet_tables import read_index, write_index
from faceloom.schemas.errors import SourceError, StorageError
from tests.pipelines.building import PHOTOS, Bench, Notes, OnStage


def test_leftovers_of_a_crash_are_swept(built: Bench) -> None:
    root = built.folder / "out"
    for path in ("shards/x.tar.partial-1-2", "index/y.parquet.partial-3-4", "work/dead.tar", "work/dead.plan.parquet"):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(b"torn")
    built.run()
    assert built.tree() == built.clean
    assert not list((root / "work").rglob("*"))


def test_a_job_that_goes_on_keeps_its_files_until_the_build_is_done(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is started while it goes on is refused by Dataflow, behind the sweep of old work."""
    files = ["work/dataflow-0123.tasks", "work/dataflow/faceloom-x-render.1/pipeline.pb"]
    with monkeypatch.context() as patch:
        stopping(patch, "render_part", 0)
        with pytest.raises(StorageError, match="the disk broke"):
            bench.run()
        for path in (*files, "work/dead.tar"):
            with bench.storage().write(path) as stream:
                stream.write(b"left")
        with pytest.raises(StorageError, match="the disk broke"):
            bench.run()
    left = bench.storage().list("work")
    assert {*files} <= {*left} and "work/dead.tar" not in left
    bench.run()
    assert not bench.storage().list("work")


@pytest.mark.parametrize("gone", ["index/*.parquet", "shards/*.tar", "build.json", "rejects/*", "faces/*/*", "*/*.*"])
def test_files_that_were_deleted_are_made_again_as_they_were(built: Bench, gone: str) -> None:
    found = sorted((built.folder / "out").glob(gone))
    assert found
    for path in found[::2]:
        path.unlink()
    again = built.run()
    assert built.tree() == built.clean
    if gone in ("build.json", "rejects/*"):
        assert (again.analysed, again.rendered) == (0, 0)
    if gone.startswith("shards"):
        assert 0 < again.rendered < PHOTOS


@pytest.mark.parametrize("damage", ["content", "header", "end", "longer", "shorter", "index", "rows"])
def test_a_damaged_shard_is_rendered_again_as_it_was(built: Bench, damage: str) -> None:
    tar = min((built.folder / "out" / "shards").iterdir())
    index = built.folder / "out" / "index" / f"{tar.stem}.parquet"
    data = bytearray(tar.read_bytes())
    if damage in ("content", "header", "end"):
        data[{"content": 700, "header": 3, "end": -1}[damage]] ^= 4
        tar.write_bytes(data)
    elif damage in ("longer", "shorter"):
        tar.write_bytes(data + b"x" if damage == "longer" else data[:-1])
    elif damage == "index":
        index.write_bytes(index.read_bytes()[:-9])
    else:
        rows = read_index(built.storage(), f"index/{index.name}")[::-1]
        write_index(built.storage(), f"index/{index.name}", rows, {}, length=len(data))
    watcher = Notes()
    report = built.run(watcher=watcher)
    assert built.tree() == built.clean and 0 < report.rendered < PHOTOS
    assert any(tar.stem in note and "rendered again" in note for note in watcher.notes)


@pytest.mark.slow
def test_photos_of_another_folder_of_the_same_name_replace_no_build_unasked(built: Bench) -> None:
    elsewhere = Bench(built.folder / "elsewhere", built.synthetic)
    built.synthetic.lay_photos(elsewhere.photos, range(2 * PHOTOS))  # more photos beside the same ones
    out = str(built.folder / "out")

    def run(replace: bool) -> BuildResult:
        context = prepare(elsewhere.recipe(), out)
        return build.run_build(context, workers=1, resume=True, watcher=Watcher(), replace=replace)

    run(replace=False)  # the photos of before are still there
    both = built.tree()
    for number in range(PHOTOS + 1):
        photo = elsewhere.photos / f"{number:03d}.png"
        photo.write_bytes(photo.read_bytes() + b"another file")
    with pytest.raises(
        StorageError, match=f"of the {2 * PHOTOS} that it has from the source s, {PHOTOS - 1} are still"
    ):
        run(replace=False)
    assert built.tree() == both
    assert run(replace=True).record.faces == 2 * PHOTOS


def test_without_verifying_no_sample_is_read(built: Bench) -> None:
    tar = min((built.folder / "out" / "shards").iterdir())
    data = bytearray(tar.read_bytes())
    data[700] ^= 4
    tar.write_bytes(data)
    context = prepare(built.recipe(), str(built.folder / "out"))
    assert build.run_build(context, workers=1, resume=True, verify=False, watcher=Watcher()).rendered == 0
    assert tar.read_bytes() == data


def stopping(monkeypatch: pytest.MonkeyPatch, name: str, after: int) -> None:
    """Let a task of the render stage fail once it was called so many times."""
    real, calls = getattr(build, name), [0]

    def stop(*args: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] > after:
            raise StorageError("the disk broke", where="work", remedy="Mend it")
        return real(*args, **named)

    monkeypatch.setattr(build, name, stop)


@pytest.mark.parametrize(
    ("name", "after"), [("render_part", 0), ("render_part", 4), ("join_shard", 0), ("join_shard", 2)]
)
def test_a_run_that_stopped_half_way_is_finished_by_the_next(
    bench: Bench, finished: Bench, monkeypatch: pytest.MonkeyPatch, name: str, after: int
) -> None:
    with monkeypatch.context() as patch:
        stopping(patch, name, after)
        with pytest.raises(StorageError, match=r"work: the disk broke\. Mend it"):
            bench.run()
    assert not bench.storage().exists("build.json")
    report = bench.run()
    assert report.analysed == 0
    assert bench.tree() == finished.clean
    assert not bench.storage().list("work")
    if name == "join_shard":
        assert report.rendered == 0, "all parts were there, only to be joined"
    elif after:
        assert 0 < report.rendered < PHOTOS


def test_a_full_disk_leaves_no_half_shard_and_the_next_run_finishes(
    bench: Bench, finished: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_file = Path.replace

    def full(path: Path, target: Path) -> Path:
        if target.suffix == ".tar" and target.parent.name == "shards":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace_file(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(StorageError, match="disk full") as caught:
            bench.run()
    assert "run the same command again" in caught.value.remedy
    assert not list((bench.folder / "out").glob("shards/*"))
    assert not bench.storage().exists("build.json")
    bench.run()
    assert bench.tree() == finished.clean


@pytest.mark.parametrize("how", ["vanished", "changed"])
def test_a_photo_that_goes_or_changes_meanwhile_is_told_and_the_next_run_finishes(bench: Bench, how: str) -> None:
    victim = bench.photos / "007.png"
    other = bench.synthetic.encoded(bench.synthetic.picture(96, 112, 555))
    meanwhile = victim.unlink if how == "vanished" else lambda: victim.write_bytes(other)
    with pytest.raises(SourceError) as caught:
        bench.run(watcher=OnStage("render", meanwhile))
    assert caught.value.what.startswith("1 photo changed or vanished after the analysis")
    assert "007.png" in str(caught.value)
    assert "Run the same command again" in caught.value.remedy
    assert not bench.storage().exists("build.json")
    report = bench.run()
    assert report.rendered < PHOTOS / 2, "what was finished is kept"
    assert report.record.rejects == ({"scan": {"missing_file": 1}} if how == "vanished" else {})
    bench.run("fresh")
    assert bench.current() == bench.tree("fresh")


def test_a_photo_that_changed_unseen_does_not_stop_builds_for_ever(bench: Bench) -> None:
    plan_build(prepare(bench.recipe(), str(bench.folder / "out")), workers=1, watcher=Watcher())
    for name in ("007.png", "003.png"):  # one byte of the end mark, size and time as before
        victim = bench.photos / name
        before, data = victim.stat(), bytearray(victim.read_bytes())
        data[-1] ^= 1
        victim.write_bytes(data)
        os.utime(victim, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(SourceError, match="2 photos changed or vanished"):
        bench.run()
    report = bench.run()
    assert report.record.photos == PHOTOS and report.analysed == 2


def test_a_shard_cut_short_is_made_again(bench: Bench, finished: Bench) -> None:
    bench.run()
    tar = next((bench.folder / "out" / "shards").iterdir())
    tar.write_bytes(tar.read_bytes()[:5000])
    bench.run()
    assert bench.tree() == finished.clean


def test_a_source_that_goes_meanwhile_is_told_and_the_next_run_finishes(bench: Bench, finished: Bench) -> None:
    away = bench.folder / "away"
    with pytest.raises(SourceError, match="the source is gone"):
        bench.run(watcher=OnStage("render", lambda: bench.photos.rename(away)))
    away.rename(bench.photos)
    bench.run()
    assert bench.tree() == finished.clean


def test_two_builds_at_once_do_not_mix(built: Bench) -> None:
    with built.storage().exclusive(), pytest.raises(StorageError, match="another process is writing to this folder"):
        built.run()
    assert built.run().record == read_record(built.storage())
