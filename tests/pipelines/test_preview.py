"""Facts about an output folder and about a plan."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from faceloom.pipelines.build import plan_build, prepare, run_build
from faceloom.pipelines.preview import Preview, all_rejects, look, preview
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.recipe import Recipe, parse_recipe


def recipe_for(table: Path, **changes: object) -> Recipe:
    masks = [{"kind": "polygon", "shape": "A"}, {"kind": "polygon", "shape": "C", "weight": 2.0}]
    plain = {"name": "try", "sources": [{"path": str(table), "name": "set"}], "masks": masks, "per_face": 2}
    return parse_recipe({**plain, "faces": {"min_size": 10}, **changes})


def planned(recipe: Recipe, out: Path) -> Preview:
    context = prepare(recipe, str(out))
    survey, plan = plan_build(context, workers=1, watcher=Watcher())
    return preview(context, survey, plan)


def build(recipe: Recipe, out: Path) -> None:
    run_build(prepare(recipe, str(out)), workers=1, resume=True, watcher=Watcher())


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, synthetic: SimpleNamespace) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    path: Path = synthetic.lay_photos(folder, range(6), people=4)
    shutil.copy(folder / "001.png", folder / "005.png")  # the same bytes twice
    return path


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, table: Path) -> Path:
    out = tmp_path_factory.mktemp("out")
    build(recipe_for(table), out)
    return out


def test_a_preview_counts_what_will_be_written(table: Path, out: Path, tmp_path: Path) -> None:
    found = planned(recipe_for(table), tmp_path)
    record = look(Storage(str(out))).record
    assert (found.photos, found.faces, found.samples) == (6, 5, 10) == (record.photos, record.faces, record.written)
    assert found.by_mask == record.by_mask and sum(found.by_mask.values()) == 10
    assert found.by_split == record.by_split and found.by_source == {"set": 10} == record.by_source
    assert found.rejects == {"plan": {"duplicate_photo": 1}} == record.rejects
    assert found.analysed == 6 and found.samples_ready == found.parts_ready == found.shards_ready == 0


def test_a_preview_writes_the_face_table_and_no_more(table: Path, tmp_path: Path) -> None:
    planned(recipe_for(table), tmp_path)
    written = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {"faces", "faceloom.json", ".lock"}
    assert planned(recipe_for(table), tmp_path).analysed == 0


def test_a_preview_without_masks(table: Path, tmp_path: Path) -> None:
    found = planned(recipe_for(table, masks=[], per_face=1), tmp_path)
    assert found.by_mask == {"none": 5} and found.samples == 5


def test_a_preview_of_a_finished_build_has_nothing_to_do(table: Path, out: Path) -> None:
    found = planned(recipe_for(table), out)
    assert found.shards_ready == found.shards > 0
    assert found.parts_ready == found.parts > 0
    assert found.samples_ready == found.samples


def test_a_preview_knows_parts_that_older_shards_hold(
    synthetic: SimpleNamespace, tmp_path: Path, out: Path, table: Path
) -> None:
    """One more photo: its own split is made anew, the others stay."""
    folder = tmp_path / "photos"
    shutil.copytree(table.parent, folder)
    shutil.copytree(out, tmp_path / "out")
    grown = synthetic.lay_photos(folder, range(7), people=4)
    shutil.copy(folder / "001.png", folder / "005.png")
    found = planned(recipe_for(grown), tmp_path / "out")
    assert found.samples == 12 and found.samples_ready < 12
    assert found.shards_ready == found.shards - 1


def test_disk_adds_up(out: Path) -> None:
    disk = look(Storage(str(out))).disk
    files = [path for path in out.rglob("*") if path.is_file()]
    assert disk.shards == sum(path.stat().st_size for path in files if path.suffix == ".tar")
    assert disk.superseded == disk.work == 0
    outside = sum(path.stat().st_size for path in files if path.parent == out or path.parent.name == "logs")
    assert disk.total == sum(path.stat().st_size for path in files) - outside


def test_superseded_shards_are_told_apart(table: Path, out: Path, tmp_path: Path) -> None:
    shutil.copytree(out, tmp_path / "out")
    before = look(Storage(str(out))).disk
    build(recipe_for(table, masks=[{"kind": "polygon", "shape": "F"}]), tmp_path / "out")
    after = look(Storage(str(tmp_path / "out")))
    assert after.disk.superseded == before.shards
    assert after.disk.shards == sum(shard.bytes for shard in after.record.shards)


@pytest.mark.parametrize("data", [None, b"short"])
def test_every_file_of_another_length_is_a_fault(out: Path, tmp_path: Path, data: bytes | None) -> None:
    shutil.copytree(out, tmp_path / "out")
    assert look(Storage(str(tmp_path / "out"))).faults == ()
    damaged = [min((tmp_path / "out" / folder).iterdir()) for folder in ("shards", "index")]
    for path in damaged:
        path.unlink()
        if data:
            path.write_bytes(data)
    faults = look(Storage(str(tmp_path / "out"))).faults
    assert [fault.file for fault in faults] == [f"{path.parent.name}/{path.name}" for path in damaged]
    assert all(("5 bytes" if data else "missing") in fault.what for fault in faults)
    assert all("`faceloom build` again" in fault.remedy for fault in faults)


def test_last_run_is_the_last_that_worked(table: Path, out: Path, tmp_path: Path) -> None:
    shutil.copytree(out, tmp_path / "out")
    build(recipe_for(table), tmp_path / "out")
    last = look(Storage(str(tmp_path / "out"))).last_run
    assert last is not None and last.samples_rendered == 10 and last.photos_analysed == 6
    (tmp_path / "out" / "logs" / "last_run.json").unlink()
    assert look(Storage(str(tmp_path / "out"))).last_run is None


def test_rejects_come_in_the_order_of_the_stages(out: Path) -> None:
    rejects = all_rejects(Storage(str(out)))
    assert [(reject.stage, reject.code, reject.uri) for reject in rejects] == [("plan", "duplicate_photo", "005.png")]
    assert all_rejects(Storage("/nowhere/at/all")) == []


def test_no_build_no_facts(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no finished build"):
        look(Storage(str(tmp_path)))


LIMITS = {
    "max_yaw": ("yaw", "face_turned"),
    "max_pitch": ("pitch", "face_turned"),
    "min_sharpness": ("sharpness", "face_blurred"),
    "min_brightness": ("brightness", "face_too_dark"),
    "max_brightness": ("brightness", "face_too_bright"),
    "min_contrast": ("contrast", "face_flat"),
}


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory, synthetic: SimpleNamespace) -> Path:
    """Five photos of heads that are turned by different angles."""
    folder = tmp_path_factory.mktemp("heads")
    rows = []
    for number in range(5):
        points = synthetic.landmarks((48, 46), 32)
        points[27:36] += (1.5 * number, 1.0 * number)  # the nose moves as on a head that turns
        (folder / f"{number}.png").write_bytes(synthetic.encoded(synthetic.picture(96, 112, number)))
        rows.append((f"{number}.png", "Ada", points))
    path: Path = synthetic.write_table(folder, rows)
    return path


@pytest.mark.parametrize("key", LIMITS)
def test_a_limit_from_the_figures_of_a_plan_drops_the_faces_beyond_it(key: str, heads: Path, tmp_path: Path) -> None:
    figure, code = LIMITS[key]
    every = planned(recipe_for(heads), tmp_path)
    figures = every.figures[figure]
    assert figures.faces == every.faces == 5 and figures.min < figures.median < figures.max
    limited = recipe_for(heads, faces={"min_size": 10, key: figures.median + (0.002 if key[:3] == "max" else -0.002)})
    build(limited, tmp_path)
    record = look(Storage(str(tmp_path))).record
    assert record.faces == 3 and record.rejects["plan"] == {code: 2}
    bound = record.figures[figure].max if key.startswith("max") else record.figures[figure].min
    assert bound == figures.median and record.figures[figure].faces == 3


def test_a_limit_that_drops_no_face_changes_no_sample(table: Path, tmp_path: Path) -> None:
    loose = {"max_yaw": 90, "max_pitch": 90, "min_sharpness": 0, "min_brightness": 0, "max_brightness": 255}
    contexts = [prepare(recipe_for(table, faces={"min_size": 10, **more}), str(tmp_path)) for more in ({}, loose)]
    one, other = (plan_build(context, workers=1, watcher=Watcher())[1] for context in contexts)
    assert one.digest == other.digest and one.faces
