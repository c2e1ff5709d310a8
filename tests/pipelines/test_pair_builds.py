"""Builds from pairs of photos: the sample holds the masked photo and the map that were put in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceloom.pipelines import build
from faceloom.pipelines.analyse import photo_task
from faceloom.pipelines.build import BuildResult, prepare, run_build
from faceloom.pipelines.demo import draw_view, load_portraits
from faceloom.pipelines.export.export_samples import read_sample
from faceloom.pipelines.plan import shard_layout as planner
from faceloom.pipelines.release.build_erasure import erase_from_build
from faceloom.pipelines.release.traces import traces_of
from faceloom.pipelines.render.part_task import render_part
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.parquet_tables import read_index, read_rejects
from faceloom.pipelines.store.paths import shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import PhotoError, RecipeError, StorageError
from faceloom.schemas.recipe import parse_recipe
from faceloom.transforms.align import warp_alpha, warp_image
from tests.object_stores import s3_server
from tests.pipelines.conftest import decoded, encoded
from tests.pipelines.rendering import steps_of

PEOPLE = ("Eileen_Collins", "Grace_Hopper")
MODES: dict[str, dict[str, Any]] = {
    "eye_level": {"size": 96},
    "arcface": {"size": 96},
    "face_box": {"size": 96, "margin": 0.3, "beyond": "fit"},
    "frame": {"max_side": 200},
}


def lay(folder: Path) -> None:
    """A pair and a map of each portrait: the mask is an ellipse with a chequered print."""
    rows, columns = np.mgrid[:400, :400]
    where = ((columns - 200) / 70) ** 2 + ((rows - 240) / 50) ** 2 <= 1
    paint = np.where(((rows // 8 + columns // 8) % 2 == 0)[..., None], (0, 190, 160), (0, 130, 150))
    for number, name in enumerate(PEOPLE):
        bare = np.array(draw_view(load_portraits()[name], name, np.random.default_rng(number)))
        masked = np.where(where[..., None], paint, bare).astype(np.uint8)
        drawn = np.repeat(where[..., None], 3, axis=2).astype(np.uint8) * 255
        for top, pixels in (("a", bare), ("b", masked), ("c", drawn)):
            (folder / top / name).mkdir(parents=True, exist_ok=True)
            (folder / top / name / "1.png").write_bytes(encoded(pixels))


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    lay(folder)
    return folder


@pytest.fixture
def pairs(laid: Path, tmp_path: Path) -> Path:
    for file in laid.rglob("*.png"):
        (tmp_path / file.relative_to(laid)).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file.relative_to(laid)).write_bytes(file.read_bytes())
    return tmp_path


def recipe(top: Path | str, *, maps: bool = True, **changes: Any) -> Any:
    source = {"kind": "pairs", "bare": f"{top}/a", "masked": f"{top}/b", "name": "s", "licence": "CC0"}
    plain = {
        "name": "x", "sources": [source | ({"maps": f"{top}/c"} if maps else {})], "masks": [{"kind": "real"}],
        "align": {"mode": "face_box", **MODES["face_box"]}, "split": {"shares": {"train": 1}},
        "output": {"image": "png"},
    }  # fmt: skip
    return parse_recipe({**plain, **changes})


def run(how: Any, out: Path | str, **options: Any) -> BuildResult:
    return run_build(prepare(how, str(out)), **{"workers": 1, "resume": True, "watcher": Watcher(), **options})


def samples(out: Path | str) -> dict[str, dict[str, bytes]]:
    """The members of each sample by the folder of its photo."""
    storage = Storage(str(out))
    rows = [
        (shard.name, row)
        for shard in read_record(storage).shards
        for row in read_index(storage, shard_index(shard.name))
    ]
    return {row.uri.partition("/")[0]: read_sample(storage, shard, row) for shard, row in rows}


def rejects(out: Path) -> dict[str, str]:
    return {
        row.uri: row.code for path in Storage(str(out)).list("rejects") for row in read_rejects(Storage(str(out)), path)
    }


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("maps", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_a_sample_holds_the_masked_photo_and_its_map(laid: Path, mode: str, maps: bool) -> None:
    report = run(recipe(laid, maps=maps, align={"mode": mode, **MODES[mode]}), laid / "out")
    assert (report.record.written, report.record.by_mask) == (2, {"real": 2})
    for name, files in samples(laid / "out").items():
        record = json.loads(files["json"])
        steps = {step["name"]: step for step in steps_of(record)}
        matrix, size = np.array(steps["align"]["matrix"]), tuple(steps["align"]["size"])
        assert (record["mask"], record["identity"], record["licence"]) == ("real", name, "CC0")
        assert steps["mask"]["map"] == ("drawn" if maps else "difference")
        put_in = [decoded((laid / top / name / "1.png").read_bytes()) for top in "abc"]
        bare, masked = (warp_image(one, matrix, size).astype(int) for one in put_in[:2])
        truth = warp_alpha(put_in[2][..., 0].astype(np.float32) / np.float32(255), matrix, size) >= 0.5
        face, found, mask = (decoded(files[member]).astype(int) for member in ("face.png", "masked.png", "mask.png"))
        known = (face - bare).max(axis=2) < 30  # not what lies outside the photo
        assert iou(mask[known] > 0, truth[known]) > (0.97 if maps else 0.9)
        assert np.abs(found - masked)[known].mean() < 1.5
        assert np.abs(found - face)[truth & known].mean() > 20


def test_faults_of_pairs_are_rejects(pairs: Path) -> None:
    (pairs / "b" / "Grace_Hopper" / "1.png").write_bytes(b"no picture")
    (pairs / "c" / "Eileen_Collins" / "1.png").write_bytes(encoded(np.zeros((400, 400, 3), np.uint8)))
    (pairs / "b" / "Alone").mkdir()
    (pairs / "b" / "Alone" / "1.png").write_bytes(b"x")
    report = run(recipe(pairs), pairs / "out")
    assert report.record.rejects == {"scan": {"no_partner": 1}, "render": {"bad_partner": 1, "empty_map": 1}}
    assert rejects(pairs / "out") == {
        "masked::Alone/1.png": "no_partner", "Grace_Hopper/1.png": "bad_partner", "Eileen_Collins/1.png": "empty_map",
    }  # fmt: skip


def test_other_masks_are_painted_on_faces_without_a_pair_and_on_those_with_a_bad_one(pairs: Path) -> None:
    """A photo of another source never wears a real mask."""
    (pairs / "d" / "Ada").mkdir(parents=True)
    ada = np.array(draw_view(load_portraits()["Grace_Hopper"], "Grace_Hopper", np.random.default_rng(9)))
    (pairs / "d" / "Ada" / "1.png").write_bytes(encoded(ada))
    alone = {"kind": "people", "path": str(pairs / "d"), "name": "alone"}
    sources = [*(spec.model_dump(exclude_unset=True) for spec in recipe(pairs).sources), alone]
    report = run(recipe(pairs, sources=sources), pairs / "out")
    assert report.record.rejects == {"plan": {"not_a_pair": 1}} and report.record.by_mask == {"real": 2}
    masks = [{"kind": "real", "weight": 1e6}, {"kind": "polygon", "shape": "A"}]
    report = run(recipe(pairs, sources=sources, masks=masks), pairs / "out")
    assert report.record.by_mask == {"real": 2, "polygon-A": 1}


def test_a_partner_that_analysis_could_not_read_rejects_only_the_samples_with_its_mask(
    pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks = [{"kind": "real"}, {"kind": "polygon", "shape": "A"}]
    how = recipe(pairs, masks=masks, per_face=3)
    worn = run(how, pairs / "fine").record.by_mask

    def labels_of(source: Any, uri: str) -> Any:
        raise PhotoError("vanished", "gone")

    monkeypatch.setattr(photo_task, "labels_of", labels_of)
    record = run(how, pairs / "out").record
    assert set(worn) == {"real", "polygon-A"}
    assert record.by_mask == {"polygon-A": worn["polygon-A"]}
    assert record.rejects == {"render": {"bad_partner": worn["real"]}}


class Changing(Watcher):
    """Changes a file when the render begins."""

    def __init__(self, file: Path, data: bytes) -> None:
        self.file, self.data = file, data

    def stage(self, name: str, total: int | None, unit: str) -> None:
        if name == "render":
            self.file.write_bytes(self.data)


@pytest.mark.parametrize("folder", ["b", "c"])
def test_a_partner_that_changes_before_the_render_fails_its_part(
    pairs: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "PART_PHOTOS", 1)
    file = pairs / folder / "Grace_Hopper" / "1.png"
    pixels = decoded(file.read_bytes()).copy()
    pixels[250:270, 180:220] = 0
    changing = Changing(file, encoded(pixels))
    with pytest.raises(Exception, match="masked photo or map changed") as caught:
        run(recipe(pairs), pairs / "out", watcher=changing)
    assert "Grace_Hopper/1.png" in str(caught.value)
    report = run(recipe(pairs), pairs / "out")
    assert report.record.written == 2
    run(recipe(pairs), pairs / "fresh")
    assert samples(pairs / "out") == samples(pairs / "fresh")
    before = samples(pairs / "out")
    file.write_bytes(encoded(np.flipud(pixels) if folder == "c" else pixels // 2))
    assert run(recipe(pairs), pairs / "out").rendered == 1
    changed = {name for name, files in samples(pairs / "out").items() if files != before[name]}
    assert changed == {"Grace_Hopper"}


def test_a_build_goes_on_after_a_stop(pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "PART_PHOTOS", 1)
    rendered = render_part
    calls: list[object] = []

    def stop(*values: Any, **named: Any) -> Any:
        calls.append(values)
        if len(calls) == 2:
            raise StorageError("the disk broke")
        return rendered(*values, **named)

    with monkeypatch.context() as patch:
        patch.setattr(build, "render_part", stop)
        with pytest.raises(StorageError, match="the disk broke"):
            run(recipe(pairs), pairs / "out")
    again = run(recipe(pairs), pairs / "out")
    assert (again.analysed, again.record.written) == (0, 2)
    run(recipe(pairs), pairs / "fresh")
    assert samples(pairs / "out") == samples(pairs / "fresh")


def test_pairs_in_an_object_store(laid: Path, tmp_path: Path) -> None:
    with s3_server() as bucket:
        for file in laid.rglob("*.png"):
            with Storage(bucket).write(file.relative_to(laid).as_posix()) as stream:
                stream.write(file.read_bytes())
        run(recipe(bucket), tmp_path / "stored")
    run(recipe(laid), tmp_path / "local")
    assert samples(tmp_path / "stored") == samples(tmp_path / "local")


def test_an_erased_person_leaves_with_the_masked_photo(pairs: Path) -> None:
    (pairs / "c" / "Grace_Hopper" / "2.png").write_bytes(encoded(np.zeros((4, 4, 3), np.uint8)))
    run(recipe(pairs), pairs / "out")
    storage = Storage(str(pairs / "out"))
    erase_from_build(storage, traces_of("Grace_Hopper"))
    for path in storage.list():
        assert b"Grace_Hopper" not in storage.read_bytes(path), path
    for top in "abc":
        shutil.rmtree(pairs / top / "Grace_Hopper")
    report = run(recipe(pairs), pairs / "out")
    assert (report.record.written, report.record.rejects) == (1, {})
    assert samples(pairs / "out").keys() == {"Eileen_Collins"}


def test_a_real_mask_needs_a_source_of_pairs(laid: Path) -> None:
    with pytest.raises(RecipeError, match="kind: pairs"):
        recipe(laid, sources=[{"path": str(laid / "a")}])
    with pytest.raises(RecipeError, match="no masked photo shows a morph"):
        recipe(laid, morph={"neighbours": 1})
    assert parse_recipe({"name": "x", "masks": [{"kind": "real"}]}).wears_real, "sources may come with the command"


def test_without_a_real_mask_partners_are_not_read(pairs: Path) -> None:
    (pairs / "b" / "Grace_Hopper" / "1.png").write_bytes(b"no picture")
    report = run(recipe(pairs, masks=[]), pairs / "out")
    assert (report.record.written, report.record.rejects) == (2, {})
