"""Builds end to end on tiny synthetic photos: the same bytes whatever the way there, and nothing done twice."""

from __future__ import annotations

import gc
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from faceloom.pipelines import build as builds
from faceloom.pipelines.build import plan_build, prepare, run_build
from faceloom.pipelines.context import Context
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.output_folder import locked_output
from faceloom.pipelines.store.parquet_tables import read_index, read_rejects
from faceloom.pipelines.store.paths import LAST_RUN, STAGES, listing_piece, shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import ModelFileError, RecipeError, SourceError, StorageError
from faceloom.schemas.photos import Photo
from faceloom.schemas.recipe import parse_recipe
from tests.pipelines.building import PHOTOS, Bench, Notes, OnStage, no_work


def test_a_build_holds_what_was_asked_for(bench: Bench) -> None:
    watcher = OnStage("", lambda: None)
    report = bench.run(watcher=watcher)
    record = report.record
    assert (report.analysed, report.rendered, report.reused) == (PHOTOS, PHOTOS, 0)
    assert watcher.stages == [("scan", None), ("analyse", PHOTOS), ("plan", None), ("render", PHOTOS)]
    assert (record.photos, record.faces, record.planned, record.written, record.rejects) == (PHOTOS,) * 4 + ({},)
    assert read_record(bench.storage()) == record
    assert len(record.shards) > 2
    keys: list[str] = []
    sides: dict[str, Any] = {}
    for shard in record.shards:
        rows = read_index(bench.storage(), shard_index(shard.name))
        assert len({row.part for row in rows}) > 1 or len(rows) <= 3
        with tarfile.open(bench.folder / "out" / shard_tar(shard.name)) as archive:
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


def test_the_collector_sees_old_objects_again_after_a_plan(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if it fails: what others leave behind must not stay in memory."""
    seen: list[int] = []

    def fails(*_: object, **__: object) -> None:
        seen.append(gc.get_freeze_count())
        raise StorageError("full", remedy="Free some space")

    context = prepare(bench.recipe(), str(bench.folder / "out"))
    monkeypatch.setattr(builds, "survey", fails)
    gc.unfreeze()
    with pytest.raises(StorageError, match="full"):
        plan_build(context, workers=1, watcher=Watcher())
    assert seen[0] > 0 == gc.get_freeze_count()
    gc.freeze()  # as a program may that uses the library, and as these tests do
    with pytest.raises(StorageError, match="full"):
        plan_build(context, workers=1, watcher=Watcher())
    assert gc.get_freeze_count() > 0


def test_splits_that_stay_empty_are_told_and_kept_in_the_record(bench: Bench) -> None:
    watcher = Notes()
    split = {"shares": {"train": 0.998, "val": 0.001, "test": 0.001}}
    survey, _ = plan_build(prepare(bench.recipe(split=split), str(bench.folder / "out")), workers=1, watcher=watcher)
    record = bench.run(split=split).record
    assert record.by_split == {"train": PHOTOS}
    assert [text.split(" gets no sample")[0] for text in record.warnings] == ["split val (0%)", "split test (0%)"]
    warned = [text for text in watcher.notes if text.startswith("Warning")]
    assert warned == [f"Warning: {text}" for text in record.warnings] and survey.warnings == record.warnings
    assert bench.run().record.warnings == ()


def test_morphs_count_as_no_new_people_in_the_warning_of_empty_splits(bench: Bench) -> None:
    split = {"shares": {"train": 0.999, "test": 0.001}}
    (warning,) = bench.run(split=split, masks=[], morph={"neighbours": 1}).record.warnings
    assert "none of 4 to this one" in warning


@pytest.mark.slow
def test_two_workers_and_another_place_give_the_same_bytes(bench: Bench, finished: Bench) -> None:
    report = bench.run(workers=2)
    assert bench.tree() == finished.clean
    assert report.work["paint"] > 0, "counters come back from worker processes"


def test_a_second_run_does_no_work_wherever_it_was_moved(built: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    record = read_record(built.storage())
    before = built.files()
    no_work(monkeypatch)
    again = built.run()
    assert (again.analysed, again.rendered, again.reused) == (0, 0, 0)
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
    assert report.reused > 0
    fresh = built.run("fresh", **changes)
    assert (fresh.reused, fresh.rendered) == (0, fresh.record.planned)
    assert built.current() == built.tree("fresh")


def test_going_back_finds_the_old_shards(built: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    built.run(align={"size": 48})
    assert built.current() != built.clean
    no_work(monkeypatch)
    assert built.run().rendered == 0
    assert built.current() == built.clean


def test_an_output_among_photos_is_refused(bench: Bench) -> None:
    folder = bench.recipe(sources=[{"path": str(bench.photos), "kind": "flat", "name": "s"}])
    for out in (bench.photos, bench.photos / "out", bench.photos / "a" / ".." / "out"):
        with pytest.raises(RecipeError, match=r"\$\.sources\[0\]\.path: the output folder lies inside"):
            prepare(folder, str(out))


def test_a_folder_of_other_files_is_refused_and_left_as_it_was(bench: Bench) -> None:
    own = bench.folder / "out" / "work" / "thesis.txt"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    with pytest.raises(StorageError, match="holds files that faceloom did not write"):
        prepare(bench.recipe(), str(bench.folder / "out"))
    assert own.read_text() == "mine"
    assert [path for path in (bench.folder / "out").rglob("*") if path.is_file()] == [own]


def test_no_resume_makes_everything_anew_to_the_same_bytes(built: Bench) -> None:
    before = built.tree()
    report = built.run(resume=False)
    assert (report.analysed, report.rendered, report.reused) == (PHOTOS, PHOTOS, 0)
    assert built.tree() == before
    other = built.run(resume=False, output={"shards": {"samples": 16}})
    assert (other.rendered, other.reused) == (PHOTOS, 0), "nothing is taken from the older shards either"


def spoil_photos(bench: Bench) -> None:
    """A photo for each stage to reject."""
    (bench.photos / "001.png").unlink()
    (bench.photos / "002.png").write_bytes(b"no picture")
    (bench.photos / "003.png").write_bytes((bench.photos / "007.png").read_bytes())  # of the same person
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
    gone: dict[str, Any] = {}
    for stage in STAGES:
        for reject in read_rejects(bench.storage(), f"rejects/{stage}.parquet"):
            assert reject.stage == stage
            assert reject.message
            gone.setdefault(reject.uri, stage)
    copy = ({"003.png", "007.png"} & gone.keys()).pop()
    assert gone == {"001.png": "scan", "002.png": "analyse", copy: "plan", "005.png": "render"}
    used = {row.uri for shard in record.shards for row in read_index(bench.storage(), shard_index(shard.name))}
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
    [first, *_] = read_index(bench.storage(), shard_index(record.shards[0].name))
    assert [member.name for member in first.members] == ["face.jpg", "json", "landmarks.npy"]


def test_the_last_run_is_logged_when_it_did_something(built: Bench) -> None:
    log = built.folder / "out" / LAST_RUN
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
        (RecipeError, r"\$\.sources\[1\]\.name: two sources have the same name", {"sources": [spec, spec]}),
        (SourceError, "no such file or folder", {"sources": [{"path": str(tmp_path / "none")}]}),
        (
            ModelFileError,
            "is not a dlib shape predictor",
            {"faces": {"landmark_model": str(bench.photos / "photos.csv")}},
        ),
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
        with pytest.raises(StorageError, match="a file exists where a folder is needed"):
            prepare(bench.recipe(), str(bench.folder / out))
    context = prepare(bench.recipe(), str(bench.folder / "late"))
    (bench.folder / "late").write_text("in the way by now")
    with pytest.raises(StorageError, match=r"rejects: cannot be listed \(Not a directory\)"):
        plan_build(context, workers=1, watcher=Watcher())


def test_a_build_record_makes_the_same_plan_again(bench: Bench) -> None:
    """A table of few columns, shares in an order of their own, and photos that were moved since."""
    shares = {"test": 0.3, "train": 0.5, "val": 0.2}
    record = bench.run(split={"shares": shares}, masks=[{"kind": "template", "template": "cloth"}]).record
    written = json.loads((bench.folder / "out" / "build.json").read_text())["recipe"]
    assert written == record.recipe and "columns" not in written["sources"][0]
    written["sources"][0]["path"] = str(bench.photos / "photos.csv")
    again = prepare(parse_recipe(written), str(bench.folder / "again"))
    assert plan_build(again, workers=1, watcher=Watcher())[1].digest == record.plan


def test_no_resume_forgets_what_an_earlier_run_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = Storage(str(tmp_path))
    with locked_output(out, keep=True), out.write(listing_piece("x", 0)) as stream:
        stream.write(b"x")
    monkeypatch.setattr(builds, "_survey_and_plan", mock.Mock(side_effect=SourceError("listed")))
    context = Context(parse_recipe({"name": "x", "masks": []}).model_dump_json(exclude_unset=True), out.root)
    for resume in (True, False):
        with pytest.raises(SourceError, match="listed"):
            run_build(context, workers=1, resume=resume, watcher=Watcher())
        assert bool(out.list("work")) == resume
