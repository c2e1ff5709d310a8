"""Builds with guides and low resolution: the same bytes for any workers, and what a changed label file costs."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from faceloom.pipelines.build import BuildResult, prepare, run_build
from faceloom.pipelines.context import Context
from faceloom.pipelines.export.export_samples import read_sample
from faceloom.pipelines.plan import shard_layout as planner
from faceloom.pipelines.read.sample_members import decode_member
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.sources.label_maps import LabelMaps
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.parquet_tables import read_index, read_rejects
from faceloom.pipelines.store.paths import shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import PhotoError
from faceloom.schemas.guide import PARTS
from faceloom.schemas.labels import LabelFiles
from faceloom.schemas.recipe import parse_recipe
from tests.pipelines.conftest import SURE
from tests.pipelines.rendering import steps_of

PHOTOS = 10
WITHOUT = 7
"""The photo that has no label map."""


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "PART_PHOTOS", 2)


def draw_map(file: Path, row: int) -> None:
    """A label map whose mouth is a bar from that row on."""
    values = np.zeros((56, 56), np.uint8)
    values[row : row + 6, 18:38] = PARTS.index("mouth") + 1
    Image.fromarray(values).save(file)


class Bench:
    """Ten aligned crops with label maps of half their size; one of them has none."""

    def __init__(self, folder: Path, synthetic: SimpleNamespace) -> None:
        self.folder = folder
        self.photos, self.maps = folder / "photos", folder / "maps"
        self.photos.mkdir()
        self.maps.mkdir()
        for number in range(PHOTOS):
            data = synthetic.encoded(synthetic.picture(112, 112, SURE[number]))
            (self.photos / f"{number}.png").write_bytes(data)
            if number != WITHOUT:
                draw_map(self.maps / f"{number}.png", 36 + number % 3)

    def prepared(self, out: str, **changes: Any) -> Context:
        source = {"kind": "label_maps", "path": str(self.photos), "labels": str(self.maps), "name": "s"}
        recipe = {
            "name": "x", "sources": [source], "faces": {"assume": "aligned", "min_size": 0},
            "masks": [{"kind": "polygon", "shape": "A"}], "guide": {"attribute": "Smiling", "missing": "empty"},
            "lowres": {"mode": "realistic", "upsampled": True}, "split": {"shares": {"train": 1}},
            "output": {"image": "png"},
        }  # fmt: skip
        return prepare(parse_recipe({**recipe, **changes}), str(self.folder / out))

    def run(self, out: str, *, workers: int = 1, **changes: Any) -> BuildResult:
        return run_build(self.prepared(out, **changes), workers=workers, resume=True, watcher=Watcher())

    def samples(self, out: str) -> dict[str, dict[str, bytes]]:
        """The members of each sample by the name of its photo."""
        storage = Storage(str(self.folder / out))
        rows = [
            (shard.name, row)
            for shard in read_record(storage).shards
            for row in read_index(storage, shard_index(shard.name))
        ]
        return {row.uri: read_sample(storage, shard, row) for shard, row in rows}


@pytest.fixture
def bench(tmp_path: Path, synthetic: SimpleNamespace) -> Bench:
    return Bench(tmp_path, synthetic)


def guide_of(sample: dict[str, bytes]) -> np.ndarray:
    return np.asarray(decode_member("guide.png", sample["guide.png"]))


def guide_facts(sample: dict[str, bytes]) -> dict[str, Any]:
    return next(step for step in steps_of(json.loads(sample["json"])) if step["name"] == "guide")


def test_guides_are_those_of_the_label_files(bench: Bench) -> None:
    report = bench.run("out")
    samples = bench.samples("out")
    assert report.record.written == PHOTOS == len(samples)
    for number in range(PHOTOS):
        wanted = np.zeros((112, 112), bool)
        if number != WITHOUT:
            row = 2 * (36 + number % 3)
            wanted[row : row + 12, 36:76] = True
        sample = samples[f"{number}.png"]
        assert np.array_equal(guide_of(sample) == 255, wanted)
        assert guide_facts(sample)["from"] == ("labels" if wanted.any() else "empty")
        assert guide_facts(sample)["label_order"] == ("celebamask_hq" if wanted.any() else None)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_real_sizes_are_read_once_for_all_workers(bench: Bench, workers: int) -> None:
    sizes = bench.folder / "sizes.txt"
    sizes.write_text("20\n28\n")
    context = bench.prepared("out", lowres={"mode": "area", "sizes_from": str(sizes)})
    sizes.unlink()
    assert run_build(context, workers=workers, resume=True, watcher=Watcher()).record.written == PHOTOS
    heights = {np.shape(decode_member("lr.png", sample["lr.png"]))[0] for sample in bench.samples("out").values()}
    assert heights == {20, 28}


@pytest.mark.slow
def test_one_and_two_workers_give_the_same_bytes(bench: Bench) -> None:
    bench.run("one")
    bench.run("two", workers=2)
    one, two = (bench.folder / name for name in ("one", "two"))
    files = sorted(
        path.relative_to(one) for path in one.glob("*/*") if path.parts[-2] in ("shards", "index", "rejects")
    )
    assert len(files) > 3
    for file in (Path("build.json"), *files):
        assert (one / file).read_bytes() == (two / file).read_bytes(), file


@pytest.mark.parametrize("change", ["drawn anew", "drawn at last", "taken away"])
def test_a_changed_label_file_renders_its_own_part_only(bench: Bench, change: str) -> None:
    bench.run("out")
    before = bench.samples("out")
    number = WITHOUT if change == "drawn at last" else 3
    file = bench.maps / f"{number}.png"
    if change == "taken away":
        file.unlink()
    else:
        draw_map(file, 44)
    report = bench.run("out")
    after = bench.samples("out")
    assert 0 < report.rendered <= 2, "a part holds two photos here"
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {f"{number}.png"}
    guide = guide_of(after[f"{number}.png"])
    assert guide[88:100, 36:76].all() if change != "taken away" else not guide.any()
    assert after[f"{number}.png"]["face.png"] == before[f"{number}.png"]["face.png"]
    assert bench.run("out").rendered == 0


def test_without_a_guide_label_files_are_no_concern(bench: Bench) -> None:
    bench.run("out", guide=None)
    draw_map(bench.maps / "3.png", 44)
    assert bench.run("out", guide=None).rendered == 0
    assert "guide.png" not in bench.samples("out")["3.png"]


def spoil(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """Have the disk refuse one photo's label map; returns the names of those that are asked for."""
    asked = []
    read = LabelMaps.read_labels

    def refuse(source: LabelMaps, uri: str) -> LabelFiles | None:
        asked.append(uri)
        if uri == name:
            raise PhotoError("unreadable", "cannot be read (Input/output error)", where=uri)
        return read(source, uri)

    monkeypatch.setattr(LabelMaps, "read_labels", refuse)
    return asked


def test_without_a_guide_label_files_are_not_even_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = spoil(monkeypatch, "3.png")
    assert bench.run("out", guide=None).record.written == PHOTOS
    assert asked == []
    monkeypatch.undo()
    monkeypatch.setattr(planner, "PART_PHOTOS", 2)
    assert bench.run("out").record.written == PHOTOS, "the face table of before does not say that there are none"
    assert guide_of(bench.samples("out")["3.png"]).any()


def test_a_label_file_that_cannot_be_read_rejects_its_own_photo_until_it_can(bench: Bench) -> None:
    with pytest.MonkeyPatch.context() as patch:
        spoil(patch, "3.png")
        for _ in range(2):
            assert bench.run("out").record.rejects == {"plan": {"bad_labels": 1}}
        [reject] = read_rejects(Storage(str(bench.folder / "out")), "rejects/plan.parquet")
        assert reject.uri == "3.png" and "Input/output error" in reject.message
        assert "3.png" not in bench.samples("out")
    report = bench.run("out")  # although no name, size or time has changed
    assert report.record.written == PHOTOS and not report.record.rejects
    assert guide_of(bench.samples("out")["3.png"]).any()
    assert bench.run("out").analysed == 0


def test_what_to_do_without_labels_is_done_to_that_photo_alone(bench: Bench) -> None:
    guide = {"attribute": "Smiling", "missing": "reject"}
    report = bench.run("out", guide=guide)
    assert report.record.rejects == {"render": {"no_labels": 1}}
    assert (report.record.planned, report.record.written) == (PHOTOS, PHOTOS - 1)
    [reject] = read_rejects(Storage(str(bench.folder / "out")), "rejects/render.parquet")
    assert (reject.uri, reject.code) == (f"{WITHOUT}.png", "no_labels")
    again = bench.run("out", guide={**guide, "missing": "landmarks"})
    assert again.record.written == PHOTOS
    by_photo = {uri: guide_facts(sample)["from"] for uri, sample in bench.samples("out").items()}
    assert by_photo == {f"{n}.png": "landmarks" if n == WITHOUT else "labels" for n in range(PHOTOS)}


def test_a_spoilt_label_file_rejects_its_own_photo(bench: Bench) -> None:
    (bench.maps / "2.png").write_bytes(b"no picture")
    odd = io.BytesIO()
    Image.fromarray(np.full((56, 56), 200, np.uint8)).save(odd, "PNG")
    (bench.maps / "4.png").write_bytes(odd.getvalue())
    report = bench.run("out")
    assert report.record.rejects == {"render": {"bad_labels": 2}}
    assert {"2.png", "4.png"}.isdisjoint(bench.samples("out"))


def test_hair_of_the_label_files_stays_in_front_of_masks(bench: Bench) -> None:
    for number in range(PHOTOS):
        values = np.full((56, 56), PARTS.index("skin") + 1, np.uint8)
        values[:44, 10:17] = PARTS.index("hair") + 1  # hangs over the cheek, twice as large in the photo
        Image.fromarray(values).save(bench.maps / f"{number}.png")
    bench.run("out", guide=None, lowres=None, masks=[{"kind": "template", "template": "cloth", "straps": False}])
    covered = 0
    assert len(bench.samples("out")) == PHOTOS
    for sample in bench.samples("out").values():
        face, masked, mask = (
            np.asarray(decode_member(f"{n}.png", sample[f"{n}.png"])) for n in ("face", "masked", "mask")
        )
        hair = np.s_[4:80, 24:30]
        assert not mask[hair].any() and np.abs(masked[hair].astype(int) - face[hair]).max() <= 1
        covered += int((mask[4:80, 40:46] > 0).sum())
        assert (
            next(step for step in steps_of(json.loads(sample["json"])) if step["name"] == "labels")["from"] == "labels"
        )
    assert covered > 50 * PHOTOS, "the mask lies beside it"
