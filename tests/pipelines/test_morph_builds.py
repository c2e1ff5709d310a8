"""Builds with morphs, end to end on tiny synthetic photos: whose they are, the same bytes, and nothing done twice."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from faceloom.pipelines.analyse import photo_task as analysis
from faceloom.pipelines.build import BuildResult, prepare, run_build
from faceloom.pipelines.plan import shard_layout as planner
from faceloom.pipelines.plan import textures
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.clean import clean, find_leftovers
from faceloom.pipelines.store.parquet_tables import read_index, read_rejects
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import SourceError, StorageError
from faceloom.schemas.index import IndexRow
from faceloom.schemas.recipe import Recipe, parse_recipe
from tests.pipelines.rendering import steps_of

PHOTOS = 16
Tree = dict[str, bytes]


class Bench:
    """A source of 16 photos of 6 people, and builds of it with morphs."""

    def __init__(self, folder: Path, synthetic: SimpleNamespace) -> None:
        self.folder, self.synthetic = folder, synthetic
        self.table: Path = synthetic.lay_photos(folder / "photos", range(PHOTOS), people=6)

    def recipe(self, **changes: Any) -> Recipe:
        plain: dict[str, Any] = {
            "name": "x",
            "sources": [{"path": str(self.table), "name": "s"}],
            "faces": {"min_size": 0},
            "align": {"mode": "face_box", "size": 32},
            "morph": {"neighbours": 2, "texture_size": 32},
            "split": {"shares": {"train": 0.5, "test": 0.5}},
            "output": {"image": "png", "shards": {"samples": 12}},
        }
        return parse_recipe({**plain, **changes})

    def run(self, out: str = "out", *, workers: int = 1, resume: bool = True, **changes: Any) -> BuildResult:
        context = prepare(self.recipe(**changes), str(self.folder / out))
        return run_build(context, workers=workers, resume=resume, watcher=Watcher())

    def rows(self, out: str = "out") -> list[IndexRow]:
        storage = Storage(str(self.folder / out))
        record = json.loads(storage.read_bytes("build.json"))
        return [row for shard in record["shards"] for row in read_index(storage, f"index/{shard['name']}.parquet")]

    def files(self, row: IndexRow, out: str = "out") -> dict[str, bytes]:
        for tar in (self.folder / out / "shards").glob("*.tar"):
            data = tar.read_bytes()
            found = {m.name: data[m.offset : m.offset + m.size] for m in row.members}
            if row.key.encode() in data[row.offset : row.offset + 512]:
                return found
        raise AssertionError(row.key)

    def tree(self, out: str = "out") -> Tree:
        root = self.folder / out
        tops = ("shards", "index", "rejects", "neighbours")
        files = [root / "build.json", root / "README.md", *(f for top in tops for f in (root / top).rglob("*"))]
        return {file.relative_to(root).as_posix(): file.read_bytes() for file in sorted(files)}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "PART_PHOTOS", 3)
    monkeypatch.setattr(planner, "PART_SAMPLES", 9)
    monkeypatch.setattr(textures, "BLOCK", 4)
    monkeypatch.setattr(analysis, "load_landmarks", lambda faces: None)


@pytest.fixture
def bench(tmp_path: Path, synthetic: SimpleNamespace) -> Bench:
    return Bench(tmp_path, synthetic)


def test_every_morph_is_in_the_index_with_both_parents(bench: Bench) -> None:
    record = bench.run().record
    rows = bench.rows()
    plain = {row.key.removesuffix("-m000"): row for row in rows if not row.parents}
    mixed = [row for row in rows if row.parents]
    assert (record.faces, record.morphs, record.written) == (48, 32, 48) and len(plain) == 16 and len(mixed) == 32
    for row in mixed:
        first, second = row.parents
        assert row.key == f"{first.key}-x-{second.key}-m000" and row.identity == f"{first.identity}+{second.identity}"
        assert first.identity != second.identity and first.photo_sha256 != second.photo_sha256
        for parent in row.parents:
            own = plain[parent.key]
            assert (own.identity, own.source, own.uri, own.photo_sha256) == (
                parent.identity, parent.source, parent.uri, parent.photo_sha256,
            )  # fmt: skip
            assert own.split == row.split
        record = json.loads(bench.files(row)["json"])
        assert [parent["key"] for parent in record["faces"]] == [first.key, second.key]
        [step] = [step for step in steps_of(record) if step["name"] == "morph"]
        assert step["neighbour"] == second.key and step["rank"] in (0, 1)
        assert step["distance"] == pytest.approx(10 * step["landmark_distance"] + step["texture_distance"])
        assert (step["lambda"], step["texture_units"], step["texture_size"]) == (10, "unit", 32)
    assert "of 6 people" in (bench.folder / "out" / "README.md").read_text(), "a morph is no new person"


EVERYTHING: dict[str, Any] = {
    "masks": [{"kind": "polygon", "shape": "A"}, {"kind": "polygon", "shape": "C"}],
    "output": {"image": "png", "halves": {}, "shards": {"samples": 12}},
    "lowres": {"mode": "area", "sizes": [8, 16]},
    "morph": {"neighbours": 2, "texture_size": 32, "weights": "uniform", "background": "gradient"},
}


AUGMENT = [{"kind": "HorizontalFlip"}, {"kind": "Affine", "p": 1.0}, {"kind": "GaussNoise", "p": 1.0}]


@pytest.mark.slow
@pytest.mark.parametrize("augment", [[], AUGMENT], ids=["plain", "augmented"])
def test_the_same_bytes_for_any_number_of_workers(bench: Bench, augment: list[dict[str, Any]]) -> None:
    for name, workers in (("one", 1), ("two", 2)):
        bench.run(name, workers=workers, augment=augment, **EVERYTHING)
    one, two = bench.tree("one"), bench.tree("two")
    assert one == two and any(path.startswith("neighbours/") for path in one)
    names = {member.name for row in bench.rows("one") for member in row.members}
    assert {"upper.png", "lower.png", "lower_landmarks.npy", "masked.png", "lr.png", "lr_masked.png"} <= names
    small = [step for row in bench.rows("one") for step in json.loads(row.operations) if step["name"] == "lowres"]
    assert len(small) == len(bench.rows("one")) and {step["size"][1] for step in small} == {8, 16}


@pytest.mark.slow
def test_a_finished_build_makes_no_texture_and_no_morph_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.run()
    before = bench.tree()
    for place in ("build", "analyse.survey", "plan.neighbour_search"):
        monkeypatch.setattr(f"faceloom.pipelines.{place}.run_tasks", lambda *_, **__: pytest.fail("there is no work"))
    report = bench.run()
    assert (report.analysed, report.rendered, report.reused) == (0, 0, 0) and bench.tree() == before


def test_anew_means_neighbours_too(bench: Bench) -> None:
    bench.run()
    before = bench.tree()
    kept = next((bench.folder / "out" / "neighbours").glob("*.parquet"))
    os.utime(kept, (0, 0))  # a new file may get the inode of a deleted one
    report = bench.run(resume=False)
    assert report.rendered == 48 and kept.stat().st_mtime > 0 and bench.tree() == before


@pytest.mark.slow
def test_a_changed_photo_touches_its_own_split_and_there_only_parts_with_its_morphs(bench: Bench) -> None:
    bench.run()
    before = bench.rows()
    row = next(row for row in before if row.uri == "005.png" and not row.parents)
    (bench.table.parent / "005.png").write_bytes(bench.synthetic.encoded(bench.synthetic.picture(96, 112, 777)))
    report = bench.run()
    after = bench.rows()
    assert {r.part for r in before if r.split != row.split} == {r.part for r in after if r.split != row.split}
    old = {r.inputs for r in before}
    fresh_samples = sum(r.inputs not in old for r in after)
    assert report.analysed == 1 and report.rendered == fresh_samples and 0 < fresh_samples < len(after)
    assert report.reused > 0
    kept = {r.part for r in after} & {r.part for r in before}
    assert kept and all("005.png" not in {r.uri, *(p.uri for p in r.parents)} for r in after if r.part in kept)
    fresh = Bench(bench.folder, bench.synthetic)
    fresh.run("fresh")
    assert {r.key: r.members[0].sha256 for r in after} == {r.key: r.members[0].sha256 for r in fresh.rows("fresh")}


@pytest.mark.slow
def test_old_neighbours_are_cleaned_up(bench: Bench) -> None:
    bench.run()
    old = {path.name for path in (bench.folder / "out" / "neighbours").iterdir()}
    bench.run(morph={"neighbours": 1, "texture_size": 32})
    storage = Storage(str(bench.folder / "out"))
    assert {path for path in find_leftovers(storage).superseded if path.startswith("neighbours/")} == {
        f"neighbours/{name}" for name in old
    }
    clean(storage)
    left = {path.name for path in (bench.folder / "out" / "neighbours").iterdir()}
    assert left and not left & old
    report = bench.run(morph={"neighbours": 1, "texture_size": 32})
    assert report.rendered == 0 and {path.name for path in (bench.folder / "out" / "neighbours").iterdir()} == left


def test_a_build_without_morphs_forgets_neighbours(bench: Bench) -> None:
    bench.run()
    bench.run(morph=None)
    clean(Storage(str(bench.folder / "out")))
    assert not list((bench.folder / "out" / "neighbours").iterdir())


def swap_a_photo(bench: Bench, uri: str) -> None:
    """Other bytes of the same length and time, which no look at the file tells."""
    path = bench.table.parent / uri
    status, data = path.stat(), bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_neighbour_that_changes_in_secret_ends_the_run_and_the_next_one_mends_it(bench: Bench) -> None:
    good = (bench.table.parent / "005.png").read_bytes()
    bench.run()
    swap_a_photo(bench, "005.png")
    with pytest.raises(SourceError, match=r"1 photo changed .* nothing was compared .*s/005\.png"):
        bench.run(morph={"neighbours": 3, "texture_size": 32})
    status = (bench.table.parent / "005.png").stat()
    (bench.table.parent / "005.png").write_bytes(good)
    os.utime(bench.table.parent / "005.png", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert bench.run(morph={"neighbours": 3, "texture_size": 32}).record.morphs == 48


def test_a_neighbour_that_changes_before_the_render_fails_the_parts_that_mix_it(bench: Bench) -> None:
    class Swap(Watcher):
        def stage(self, name: str, total: int | None, unit: str) -> None:
            if name == "render":
                (bench.table.parent / "005.png").unlink()

    context = prepare(bench.recipe(), str(bench.folder / "out"))
    with pytest.raises(SourceError, match=r"1 photo changed or vanished .* shards are not written.*s/005\.png"):
        run_build(context, workers=1, resume=True, watcher=Swap())
    record = bench.run().record
    assert record.rejects["scan"] == {"missing_file": 1} and record.faces == 45
    assert not any("005.png" in {row.uri, *(p.uri for p in row.parents)} for row in bench.rows())


def test_what_cannot_be_mixed_is_rejected_and_planned_is_written_plus_rejected(bench: Bench) -> None:
    rows = []
    for number in range(PHOTOS):
        points = bench.synthetic.landmarks((48 + number % 3, 46), 32)
        if number == 5:
            points[[17, 21]] = points[[21, 17]]  # a brow the wrong way round: no mesh between it and others holds
            points[[0, 16]] = points[[16, 0]]
        rows.append((f"{number:03d}.png", f"person {number % 6}", points))
    bench.table = bench.synthetic.write_table(bench.table.parent, rows)
    record = bench.run().record
    folded = record.rejects["render"]["morph_folds"]
    assert folded > 0 and record.planned == record.written + folded
    rejects = read_rejects(Storage(str(bench.folder / "out")), "rejects/render.parquet")
    bad = [reject for reject in rejects if reject.code == "morph_folds"]
    culprit = next(row.key for row in bench.rows() if row.uri == "005.png").removesuffix("-m000")
    assert len(bad) == folded and all(culprit in reject.key and "folds over" in reject.message for reject in bad)
    assert not {reject.key for reject in bad} & {row.key for row in bench.rows()}


def test_people_alone_on_their_side_are_told(bench: Bench) -> None:
    bench.table = bench.synthetic.lay_photos(bench.table.parent, range(3), people=1)
    record = bench.run().record
    assert record.rejects == {"plan": {"no_neighbour": 3}} and (record.faces, record.morphs) == (3, 0)
    [reject, *_] = read_rejects(Storage(str(bench.folder / "out")), "rejects/plan.parquet")
    assert reject.key.endswith("-f00-x") and "may be mixed" in reject.message
    assert (
        bench.run("allowed", morph={"neighbours": 2, "texture_size": 32, "same_identity": "allow"}).record.morphs == 6
    )


def test_aligned_crops_are_mixed_as_they_are(bench: Bench) -> None:
    aligned = {"faces": {"min_size": 0, "assume": "aligned"}, "align": {"mode": "arcface", "size": 48}}
    assert bench.run(**cast(dict[str, Any], aligned)).record.morphs == 32
    plain = {row.key: row for row in bench.rows() if not row.parents}
    for row in (row for row in bench.rows() if row.parents):
        steps = {step["name"]: step for step in json.loads(row.operations)}
        own = {step["name"]: step for step in json.loads(plain[f"{row.parents[0].key}-m000"].operations)}
        assert steps["align"] == own["align"], "the crop is that of the face that was mixed into"


@pytest.mark.slow
def test_a_refused_build_leaves_the_finished_one_whole(bench: Bench) -> None:
    bench.run()
    whole = bench.tree()
    context = prepare(bench.recipe(), str(bench.folder / "out"))
    kept = run_build(context, workers=1, resume=False, watcher=Watcher(), replace=False)
    assert kept.rendered == kept.record.written and bench.tree() == whole
    for photo in (bench.folder / "photos").glob("*.png"):
        photo.write_bytes(photo.read_bytes() + b"other")
    with pytest.raises(StorageError, match="of the 16 that it has from the source s, 0 are still used"):
        run_build(context, workers=1, resume=False, watcher=Watcher(), replace=False)
    assert whole.items() <= bench.tree().items()  # and tables of the other photos
