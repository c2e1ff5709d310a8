"""Builds end to end on tiny synthetic photos: the same bytes whatever the way there, and nothing done twice."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from faceloom.pipelines import analysis, build, parts, planner
from faceloom.pipelines.build import RunReport, plan_build, prepare, run_build
from faceloom.pipelines.record import read_record
from faceloom.pipelines.storage import Storage
from faceloom.pipelines.tables import read_index, read_rejects
from faceloom.pipelines.watcher import Watcher
from faceloom.schemas.errors import ModelFileError, RecipeError, SourceError, StorageError
from faceloom.schemas.photos import Photo
from faceloom.schemas.recipe import Recipe, parse_recipe

PHOTOS = 24
Tree = dict[str, bytes]


class OnStage(Watcher):
    """Does something when a stage begins."""

    def __init__(self, stage: str, do: Callable[[], object]) -> None:
        self.wanted, self.do = stage, do
        self.stages: list[tuple[str, int | None]] = []

    def stage(self, name: str, total: int | None, unit: str) -> None:
        self.stages.append((name, total))
        if name == self.wanted:
            self.do()


class Bench:
    """A source of 24 photos of 4 people, and builds of it."""

    def __init__(self, folder: Path, synthetic: SimpleNamespace) -> None:
        self.folder, self.synthetic = folder, synthetic
        self.photos = folder / "photos"
        synthetic.lay_photos(self.photos, range(PHOTOS))
        self.clean: Tree = {}

    def recipe(self, **changes: Any) -> Recipe:
        plain: dict[str, Any] = {
            "name": "x",
            "sources": [{"path": str(self.photos / "photos.csv"), "name": "s"}],
            "masks": [{"kind": "polygon", "shape": "A"}, {"kind": "polygon", "shape": "C", "colour": "red"}],
            "faces": {"min_size": 0},
            "align": {"size": 32},
            "split": {"shares": {"train": 0.5, "test": 0.5}},
            "output": {"shards": {"samples": 8}},
        }
        return parse_recipe({**plain, **changes})

    def run(
        self, out: str = "out", *, workers: int = 1, resume: bool = True, watcher: Watcher | None = None, **changes: Any
    ) -> RunReport:
        context = prepare(self.recipe(**changes), str(self.folder / out))
        return run_build(context, workers=workers, resume=resume, watcher=watcher or Watcher())

    def storage(self, out: str = "out") -> Storage:
        return Storage(str(self.folder / out))

    def tree(self, out: str = "out") -> Tree:
        """Everything that must not depend on the way there."""
        root = self.folder / out
        files = [root / "build.json", *(f for top in ("shards", "index", "rejects") for f in (root / top).rglob("*"))]
        return {file.relative_to(root).as_posix(): file.read_bytes() for file in sorted(files) if file.is_file()}

    def current(self, out: str = "out") -> Tree:
        """The tree without shards that a later run has superseded."""
        names = {shard.name for shard in read_record(self.storage(out)).shards}
        return {
            path: data
            for path, data in self.tree(out).items()
            if not path.startswith(("shards/", "index/")) or Path(path).stem in names
        }

    def files(self, out: str = "out") -> dict[str, tuple[int, int]]:
        """Every file with inode and time: what was not written again keeps both."""
        root = self.folder / out
        return {
            str(file.relative_to(root)): (file.stat().st_ino, file.stat().st_mtime_ns)
            for file in root.rglob("*")
            if file.is_file() and file.name != ".lock"
        }


def make_small_parts(patch: pytest.MonkeyPatch) -> None:
    """Several parts per shard; and no landmark model is loaded, since landmarks are given."""
    patch.setattr(planner, "PART_PHOTOS", 3)
    patch.setattr(planner, "PART_SAMPLES", 6)
    patch.setattr(analysis, "_predictor", lambda path: None)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small_parts(monkeypatch)


@pytest.fixture
def bench(tmp_path: Path, synthetic: SimpleNamespace) -> Bench:
    """Photos, and nothing built."""
    return Bench(tmp_path, synthetic)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, synthetic: SimpleNamespace) -> Bench:
    """Photos, and a finished build `out`; not to be touched."""
    bench = Bench(tmp_path_factory.mktemp("finished"), synthetic)
    with pytest.MonkeyPatch.context() as patch:
        make_small_parts(patch)
        bench.run()
    bench.clean = bench.tree()
    return bench


@pytest.fixture
def built(tmp_path: Path, synthetic: SimpleNamespace, finished: Bench) -> Bench:
    """A copy of the photos and of the finished build, in another place."""
    shutil.copytree(finished.folder, tmp_path, dirs_exist_ok=True)
    bench = Bench(tmp_path, synthetic)
    bench.clean = finished.clean
    return bench


def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("build", "survey"):
        monkeypatch.setattr(f"faceloom.pipelines.{place}.run_tasks", lambda *_, **__: pytest.fail("there is no work"))


def test_a_build_holds_what_was_asked_for(bench: Bench) -> None:
    watcher = OnStage("", lambda: None)
    report = bench.run(watcher=watcher)
    record = report.record
    assert (report.analysed, report.rendered, report.lifted) == (PHOTOS, PHOTOS, 0)
    assert watcher.stages == [("scan", None), ("analyse", PHOTOS), ("plan", None), ("render", PHOTOS)]
    assert (record.photos, record.faces, record.planned, record.written, record.rejects) == (PHOTOS,) * 4 + ({},)
    assert read_record(bench.storage()) == record
    assert len(record.shards) > 2
    keys, sides = [], {}
    for shard in record.shards:
        rows = read_index(bench.storage(), parts.shard_index(shard.name))
        assert len({row.part for row in rows}) > 1 or len(rows) <= 3
        with tarfile.open(bench.folder / "out" / parts.shard_tar(shard.name)) as archive:
            names = archive.getnames()
        assert names == [f"{row.key}.{member.name}" for row in rows for member in row.members]
        keys += [row.key for row in rows]
        for row in rows:
            assert sides.setdefault(row.identity, row.split) == row.split == shard.split
    assert len(keys) == len(set(keys)) == PHOTOS
    assert set(sides.values()) == {"train", "test"}
    assert not bench.storage().list("work")
    tops = {path.split("/")[0] for path in bench.storage().list()} - {".lock"}
    assert tops >= {"build.json", "faces", "index", "logs", "rejects", "shards"}


def test_two_workers_and_another_place_give_the_same_bytes(bench: Bench, finished: Bench) -> None:
    report = bench.run(workers=2)
    assert bench.tree() == finished.clean
    assert report.work["paint"] > 0, "counters come back from worker processes"


def test_a_second_run_does_no_work_wherever_it_was_moved(built: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    record = read_record(built.storage())
    before = built.files()
    no_work(monkeypatch)
    again = built.run()
    assert (again.analysed, again.rendered, again.lifted) == (0, 0, 0)
    assert again.record == record
    assert built.tree() == built.clean
    unchanged = {path for path, when in built.files().items() if before.get(path) == when}
    assert {path for path in before if not path.startswith("rejects/")} <= unchanged
    assert built.files().keys() == before.keys()


def test_a_name_is_no_reason_to_render(built: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_record(built.storage())
    no_work(monkeypatch)
    again = built.run(name="other", description="d")
    assert again.record.shards == before.shards
    assert read_record(built.storage()).recipe["name"] == "other"


def changed_photo(bench: Bench) -> dict[str, Any]:
    (bench.photos / "007.png").write_bytes(bench.synthetic.encoded(bench.synthetic.picture(96, 112, 777)))
    return {}


def new_photo(bench: Bench) -> dict[str, Any]:
    bench.synthetic.lay_photos(bench.photos, range(PHOTOS + 1))
    return {}


def photo_less(bench: Bench) -> dict[str, Any]:
    (bench.photos / "007.png").unlink()
    return {}


def recoloured_mask(bench: Bench) -> dict[str, Any]:
    return {"masks": [{"kind": "polygon", "shape": "A"}, {"kind": "polygon", "shape": "C", "colour": "navy"}]}


def larger_shards(bench: Bench) -> dict[str, Any]:
    return {"output": {"shards": {"samples": 16}}}


@pytest.mark.parametrize(
    ("change", "analysed", "least", "most"),
    [
        (changed_photo, 1, 1, 9),
        (new_photo, 1, 1, 6),
        (photo_less, 0, 0, 6),
        (recoloured_mask, 0, 1, PHOTOS - 1),
        (larger_shards, 0, 0, 0),
    ],
)
def test_a_change_renders_only_what_it_touches_to_the_bytes_of_a_fresh_build(
    built: Bench, change: Callable[[Bench], dict[str, Any]], analysed: int, least: int, most: int
) -> None:
    changes = change(built)
    report = built.run(**changes)
    assert report.analysed == analysed
    assert least <= report.rendered <= most
    assert report.lifted > 0
    fresh = built.run("fresh", **changes)
    assert (fresh.lifted, fresh.rendered) == (0, fresh.record.planned)
    assert built.current() == built.tree("fresh")


def test_going_back_finds_the_old_shards(built: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    built.run(align={"size": 48})
    assert built.current() != built.clean
    no_work(monkeypatch)
    assert built.run().rendered == 0
    assert built.current() == built.clean


def test_leftovers_of_a_crash_are_swept(built: Bench) -> None:
    root = built.folder / "out"
    for path in ("shards/x.tar.partial-1-2", "index/y.parquet.partial-3-4", "work/dead.tar", "work/dead.plan.parquet"):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(b"torn")
    built.run()
    assert built.tree() == built.clean
    assert not list((root / "work").rglob("*"))


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


def stopping(monkeypatch: pytest.MonkeyPatch, name: str, after: int) -> None:
    """Let a function of `parts` fail once it was called so many times."""
    real, calls = getattr(parts, name), [0]

    def stop(*args: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] > after:
            raise StorageError("the disk broke", where="work", remedy="Mend it")
        return real(*args, **named)

    monkeypatch.setattr(parts, name, stop)


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
    assert caught.value.what.startswith("1 photos changed or vanished")
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


def test_an_output_among_photos_is_refused(bench: Bench) -> None:
    folder = bench.recipe(sources=[{"path": str(bench.photos), "kind": "flat", "name": "s"}])
    for out in (bench.photos, bench.photos / "out", bench.photos / "a" / ".." / "out"):
        with pytest.raises(RecipeError, match=r"\$\.sources\[0\]\.path: the output folder lies inside"):
            prepare(folder, str(out))


def test_a_folder_of_other_files_is_refused_and_left_as_it_was(bench: Bench) -> None:
    own = bench.folder / "out" / "work" / "thesis.txt"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    with pytest.raises(StorageError, match="holds files that are not faceloom's"):
        prepare(bench.recipe(), str(bench.folder / "out"))
    assert own.read_text() == "mine"
    assert [path for path in (bench.folder / "out").rglob("*") if path.is_file()] == [own]


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
    with built.storage().exclusive(), pytest.raises(StorageError, match="another build is writing here"):
        built.run()
    assert built.run().record == read_record(built.storage())


def test_no_resume_makes_everything_anew_to_the_same_bytes(built: Bench) -> None:
    before = built.tree()
    report = built.run(resume=False)
    assert (report.analysed, report.rendered, report.lifted) == (PHOTOS, PHOTOS, 0)
    assert built.tree() == before
    other = built.run(resume=False, output={"shards": {"samples": 16}})
    assert (other.rendered, other.lifted) == (PHOTOS, 0), "nothing is taken from the older shards either"


def spoil_photos(bench: Bench) -> None:
    """A photo for each stage to reject."""
    (bench.photos / "001.png").unlink()
    (bench.photos / "002.png").write_bytes(b"no picture")
    (bench.photos / "003.png").write_bytes((bench.photos / "004.png").read_bytes())
    rows = (bench.photos / "photos.csv").read_text().splitlines()
    eyes = bench.synthetic.landmarks((48, 46), 32)
    eyes[36:48] = eyes[27]
    rows[1 + 5] = '005.png,person 1,"' + json.dumps(eyes.tolist()) + '"'
    (bench.photos / "photos.csv").write_text("\n".join(rows) + "\n")


def test_photos_in_are_samples_out_and_rejects_at_every_stage(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil_photos(bench)
    record = bench.run(align={"mode": "eye_level", "size": 32}, per_face=2).record
    assert record.rejects == {
        "scan": {"missing_file": 1},
        "analyse": {"not_an_image": 1},
        "plan": {"duplicate_photo": 1},
        "render": {"degenerate_points": 2},
    }
    assert (record.photos, record.faces) == (PHOTOS, PHOTOS - 3)
    assert (record.planned, record.written) == (2 * (PHOTOS - 3), 2 * (PHOTOS - 4))
    gone = {}
    for stage in build.STAGES:
        for reject in read_rejects(bench.storage(), f"rejects/{stage}.parquet"):
            assert reject.stage == stage
            assert reject.message
            gone.setdefault(reject.uri, stage)
    copy = ({"003.png", "004.png"} & gone.keys()).pop()
    assert gone == {"001.png": "scan", "002.png": "analyse", copy: "plan", "005.png": "render"}
    used = {row.uri for shard in record.shards for row in read_index(bench.storage(), parts.shard_index(shard.name))}
    assert used | gone.keys() == {f"{number:03d}.png" for number in range(PHOTOS)}
    assert not used & gone.keys()
    before = bench.tree()
    no_work(monkeypatch)
    again = bench.run(align={"mode": "eye_level", "size": 32}, per_face=2)
    assert again.record == record, "what was rejected in rendering is not tried again and again"
    assert bench.tree() == before


def test_a_build_of_rejects_alone_is_finished_and_empty(bench: Bench) -> None:
    record = bench.run(faces={"min_size": 4000}).record
    assert (record.planned, record.written, record.shards) == (0, 0, ())
    assert record.rejects == {"plan": {"face_too_small": PHOTOS}}


def test_without_masks_samples_are_faces(bench: Bench) -> None:
    record = bench.run(masks=[]).record
    assert record.by_mask == {"none": PHOTOS}
    [first, *_] = read_index(bench.storage(), parts.shard_index(record.shards[0].name))
    assert [member.name for member in first.members] == ["face.jpg", "json", "landmarks.npy"]


def test_the_last_run_is_logged_when_it_did_something(built: Bench) -> None:
    log = built.folder / "out" / build.LAST_RUN
    facts = json.loads(log.read_bytes())
    assert (facts["workers"], facts["photos_analysed"], facts["samples_rendered"]) == (1, PHOTOS, PHOTOS)
    assert {"scan", "analyse", "render"} <= facts["wall_seconds"].keys()
    assert {"read", "decode", "paint", "encode", "write"} <= facts["work_seconds"].keys()
    before = log.read_bytes()
    built.run()
    assert log.read_bytes() == before


def test_a_dry_run_analyses_and_plans_and_makes_no_shard(bench: Bench) -> None:
    context = prepare(bench.recipe(), str(bench.folder / "out"))
    found, plan = plan_build(context, workers=1, watcher=Watcher())
    assert len(found.photos) == plan.samples == PHOTOS
    assert all(isinstance(photo, Photo) for photo in found.photos)
    assert {path.split("/")[0] for path in bench.storage().list()} == {".lock", "faceloom.json", "faces"}
    report = bench.run()
    assert (report.analysed, report.record.plan) == (0, plan.digest)


def test_what_cannot_work_is_refused_before_any_work(bench: Bench, tmp_path: Path) -> None:
    spec = {"path": str(bench.photos / "photos.csv"), "name": "s"}
    cases: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (RecipeError, r"\$\.sources: no source of photos", {"sources": []}),
        (RecipeError, r"\$\.sources\[1\]\.name: two sources have one name", {"sources": [spec, spec]}),
        (SourceError, "no such file or folder", {"sources": [{"path": str(tmp_path / "none")}]}),
        (ModelFileError, "landmark model", {"faces": {"landmark_model": str(tmp_path / "none.dat")}}),
        (
            RecipeError,
            r"\$\.masks\[0\]\.path: cannot be read",
            {"masks": [{"kind": "picture", "path": str(tmp_path / "m.png"), "anchors": "a.json"}]},
        ),
    ]
    for kind, said, changes in cases:
        with pytest.raises(kind, match=said):
            prepare(bench.recipe(**changes), str(tmp_path / "never"))
    assert not (tmp_path / "never").exists()


def test_an_output_that_cannot_be_written_is_told_before_any_work(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bench.folder / "file").write_text("in the way")
    no_work(monkeypatch)
    for out in ("file", "file/out"):
        with pytest.raises(StorageError, match="a file stands where a folder is needed"):
            prepare(bench.recipe(), str(bench.folder / out))
    context = prepare(bench.recipe(), str(bench.folder / "late"))
    (bench.folder / "late").write_text("in the way by now")
    with pytest.raises(StorageError, match="cannot be written"):
        plan_build(context, workers=1, watcher=Watcher())
