"""Memory that runs out once, in any stage: the run ends with the place, and the next one makes the same bytes."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from faceloom.pipelines.build import prepare, run_build
from faceloom.pipelines.cli.app import app
from faceloom.pipelines.plan import textures
from faceloom.pipelines.run.watcher import Watcher
from faceloom.schemas.errors import FaceloomError
from faceloom.schemas.recipe import parse_recipe
from tests.pipelines.building import Tree, make_small_parts

STAGES = {
    "read": ("sources.table", "read_span", 6),
    "header": ("analyse.photo_task", "read_header", 6),
    "decode in analysis": ("transforms.analyse", "decode_grey", 6),
    "landmarks": ("transforms.analyse", "measure_face", 6),
    "face table": ("analyse.photo_task", "write_faces", 1),
    "decode of textures": ("plan.textures", "decode_rgb", 3),
    "textures": ("plan.textures", "warp_image", 3),
    "sketch": ("plan.textures", "sketch", 3),
    "decode": ("render.render_photos", "decode_rgb", 4),
    "crop matrix": ("render.render_photos", "crop_matrix", 4),
    "cut": ("render.render_photos", "cut_working", 4),
    "morph": ("render.render_photos", "morph_working", 4),
    "align": ("render.render_photos", "bare_crop", 4),
    "paint": ("render.mask_painter", "paint_polygon", 4),
    "masked": ("render.sample", "masked_crops", 4),
    "augment": ("render.sample", "augmented", 4),
    "small": ("render.sample", "small_files", 4),
    "encode": ("transforms.sample.products", "encode", 9),
    "record": ("render.sample", "json_bytes", 4),
    "write": ("render.part_task", "append_sample", 4),
    "index of a part": ("render.part_task", "write_index", 2),
    "join": ("render.join_shard", "write_index", 1),
}
"""Module, function and the number of the call that finds no memory."""
QUICK = ("decode of textures", "decode", "morph", "encode", "write", "join")
"""Stages of `make test`; the others run with all tests."""


class MemoryBench:
    """Eight photos, and builds with morphs, augmentation and small partners of them."""

    def __init__(self, folder: Path, synthetic: SimpleNamespace) -> None:
        self.folder = folder
        self.table: Path = synthetic.lay_photos(folder / "photos", range(8))

    def run(self, out: str) -> None:
        recipe = {
            "name": "x", "sources": [{"path": str(self.table), "name": "s"}], "faces": {"min_size": 0},
            "masks": [{"kind": "polygon", "shape": "A"}, {"kind": "polygon", "shape": "C"}],
            "align": {"mode": "face_box", "size": 32}, "morph": {"neighbours": 1, "texture_size": 32},
            "augment": [{"kind": "HorizontalFlip"}, {"kind": "Affine"}], "lowres": {"sizes": [8]},
            "output": {"image": "png", "shards": {"samples": 8}},
        }  # fmt: skip
        run_build(prepare(parse_recipe(recipe), str(self.folder / out)), workers=1, resume=True, watcher=Watcher())

    def tree(self, out: str) -> Tree:
        return tree(self.folder / out)


def tree(root: Path) -> Tree:
    """Everything that must not depend on the way there."""
    files = [root / "build.json", *(f for top in ("shards", "index", "rejects") for f in (root / top).rglob("*"))]
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in sorted(files)}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, synthetic: SimpleNamespace) -> tuple[MemoryBench, Tree]:
    """Photos, and what a build of them makes."""
    bench = MemoryBench(tmp_path_factory.mktemp("memory"), synthetic)
    with pytest.MonkeyPatch.context() as patch:
        make_small_parts(patch)
        patch.setattr(textures, "BLOCK", 4)
        bench.run("undisturbed")
    return bench, bench.tree("undisturbed")


@pytest.mark.parametrize(
    "stage", [one if one in QUICK else pytest.param(one, marks=pytest.mark.slow) for one in STAGES]
)
def test_memory_that_runs_out_once_changes_nothing(
    undisturbed: tuple[MemoryBench, Tree], small_parts: None, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(textures, "BLOCK", 4)
    bench, expected = undisturbed
    place, name, number = STAGES[stage]
    module = importlib.import_module(f"faceloom.{'' if place.startswith('transforms') else 'pipelines.'}{place}")
    real, calls = getattr(module, name), [0]

    def scarce(*args: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == number:
            raise MemoryError("no room")
        return real(*args, **named)

    monkeypatch.setattr(module, name, scarce)
    out = stage.replace(" ", "-")
    with pytest.raises(FaceloomError) as caught:
        bench.run(out)
    assert "memory ran out" in caught.value.what and caught.value.where and caught.value.remedy
    assert not (bench.folder / out / "build.json").exists()
    bench.run(out)
    assert bench.tree(out) == expected


@pytest.mark.parametrize("debug", [False, True])
def test_the_command_ends_with_the_place_and_shows_the_trace_on_demand(
    undisturbed: tuple[MemoryBench, Tree],
    small_parts: None,
    tmp_path: Path,
    debug: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def odd(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("faceloom.pipelines.render.render_photos.cut_working", odd)
    (tmp_path / "x.yaml").write_text("name: x\nfaces: {min_size: 0}\nmasks: [{kind: polygon, shape: A}]\n")
    words = ["build", str(tmp_path / "x.yaml"), "--source", str(undisturbed[0].table), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*words, "--workers", "1", *(["--debug"] if debug else [])])
    assert done.exit_code == 1
    assert "Error: photos.csv/00" in done.stderr and "png: unexpected ZeroDivisionError" in done.stderr
    assert "`exclude`" in done.stderr
    assert ("Traceback" in done.stderr) == debug


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are those of Linux")
def test_a_build_within_too_little_memory_is_finished_by_the_next_as_if_nothing_had_been(
    synthetic: SimpleNamespace, tmp_path: Path
) -> None:
    """Two photos of 64 megapixels; how much memory a build needs before them differs between machines."""
    (tmp_path / "photos").mkdir()
    rows = []
    for number, ending in enumerate((".png", ".jpg")):
        photo = synthetic.encoded(synthetic.picture(8000, 8000, number, 400), ending)
        (tmp_path / "photos" / f"{number}{ending}").write_bytes(photo)
        rows.append((f"{number}{ending}", f"person {number}", synthetic.landmarks((4000, 3400), 1600)))
    table = synthetic.write_table(tmp_path / "photos", rows)
    recipe = "name: x\nmasks: [{kind: polygon, shape: A}]\nalign: {mode: face_box, size: 256}\n"
    (tmp_path / "x.yaml").write_text(recipe)

    def build(out: str, kilobytes: int | None = None) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "faceloom", "build", str(tmp_path / "x.yaml"), "--source", str(table)]
        words += ["--out", str(tmp_path / out), "--workers", "1"]
        limit = f"ulimit -v {kilobytes}; " if kilobytes else ""
        return subprocess.run(
            ["bash", "-c", f'{limit}exec "$@"', "bash", *words], capture_output=True, text=True, timeout=300
        )

    assert build("undisturbed").returncode == 0
    for kilobytes in (2_600_000, 2_400_000, 2_200_000, 2_000_000, 1_800_000):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        scarce = build("out", kilobytes)
        if scarce.returncode:
            break
        assert tree(tmp_path / "out") == tree(tmp_path / "undisturbed")
    assert scarce.returncode == 1 and "memory ran out" in scarce.stderr and "photos.csv/" in scarce.stderr
    assert build("out").returncode == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "undisturbed")
