"""Benchmarks run and print the figures that docs/performance.md explains; three photos do not show real speed."""

from __future__ import annotations

import contextlib
import io
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from faceloom.pipelines import demo
from faceloom.schemas.keys import generator

pytest.importorskip("matplotlib")
pytest.importorskip("skimage")

ROOT = Path(__file__).parents[2]


def run(script: str, *arguments: object) -> str:
    command = [sys.executable, str(ROOT / "benchmarks" / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_here(script: str, *arguments: object) -> str:
    """Run a benchmark in this process, without the seconds that imports take."""
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as printed:
        patch.setattr(sys, "argv", [script, *map(str, arguments)])
        runpy.run_path(str(ROOT / "benchmarks" / script), run_name="__main__")
    return printed.getvalue()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    (name, portrait), *_ = demo.load_portraits().items()
    for number in range(3):
        view = demo.draw_view(portrait, name, generator(2, str(number), "demo"))
        (folder / f"{number}.jpg").write_bytes(demo.encode_jpeg(view.resize((240, 300)), 90))
    return folder


@pytest.mark.slow
def test_speed_holds_builds_against_the_floor(photos: Path) -> None:
    lines = [line.strip() for line in run("speed.py", "--small", photos, "--rounds", 1).splitlines() if line.strip()]
    assert re.match(r"small: 3 photos, 3 faces, load \d", lines[0])
    assert [line.split()[0] for line in lines[1:]] == ["floor", "polygon", "template", "Beam's", "polygon", "template"]
    assert all(float(number) > 0 for line in lines[1:4] for number in re.findall(r"\d+\.\d+", line))
    for stage in ("decode", "detect", "landmarks", "paint", "encode", "write"):
        assert all(f"{stage} " in line for line in lines[-2:]), stage


def test_records_are_listed_and_read() -> None:
    lines = run_here("recordio.py", "--records", 200, "--bytes", 50).splitlines()
    assert lines[0].startswith("200 records of 50 bytes, load ")
    rates = re.compile(r"([\w ]+?) +([\d,]+) listed/s +([\d,]+) read/s +([\d,]+) both/s, limit 3,000")
    found = [match for line in lines[1:] if (match := rates.fullmatch(line))]
    assert [match[1] for match in found] == ["plain", "packed", "without index"]


def test_every_way_of_making_pictures_small_is_timed() -> None:
    lines = run_here("lowres.py", "--rounds", 3).splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["askd", "fskd", "adaface", "area", "realistic"]
    assert all(float(line.split()[1]) > 0 for line in lines)


@pytest.mark.slow
def test_guides_are_timed_and_compared_with_what_was_drawn(photos: Path, tmp_path: Path) -> None:
    for photo in photos.glob("*.jpg"):
        cv2.imwrite(str(tmp_path / f"{photo.stem}.png"), np.full((300, 240), 1, np.uint8))
    lines = run_here("guide.py", "--rounds", 3, "--labelmaps", photos, tmp_path).splitlines()
    assert re.fullmatch(r"from labels +\d+\.\d+ ms, limit 2 ms", lines[1])
    assert "label maps: 3 faces" in lines
    (skin,) = [line.split() for line in lines if line.startswith("skin ")]
    assert skin[1] == "3" and 0.1 < float(skin[2]) < 0.9


def test_a_floor_of_aligned_crops_needs_no_detector(photos: Path) -> None:
    facts: dict[str, Any] = json.loads(run_here("floor.py", photos, "--aligned"))
    assert facts["photos"] == facts["faces"] == 3 and facts["seconds"] > 0


@pytest.mark.slow
def test_scale_compares_workers_and_sizes(photos: Path) -> None:
    printed = run("scale.py", photos, "--small", 4, "--large", 0)
    assert re.search(r"4 photos: 1 worker \d+\.\d s, 2 workers \d+\.\d s", printed)
    assert re.search(r"peak MB .*: \[\d+\], \[\d+, \d+\]", printed)
    assert "20000" not in printed


@pytest.mark.slow
def test_two_dask_workers_are_held_against_one(photos: Path) -> None:
    pytest.importorskip("distributed")
    first, last = run("on_dask.py", photos, "--photos", 6, "--rounds", 1).splitlines()
    assert re.match(r"load \d+\.\d: 1 worker \d+\.\d s, 2 workers .* times as fast; by processor time \d", first)
    assert re.match(r"6 photos, medians: \d+\.\d\d times as fast, .*; two plain processes \d", last)


@pytest.mark.slow
def test_neighbours_are_held_against_the_loop(tmp_path: Path) -> None:
    printed = run("neighbours.py", "--faces", 40, 60, "--scratch", tmp_path)
    for faces in (40, 60):
        assert re.search(rf"\n{faces} faces, load .*, sketches .* s, miss \d+\.\d %", printed)
    for name in ("texture 0 to 1", "grey levels"):
        assert (
            len(re.findall(rf"{name} +search [\d.]+ s processor, .* compared in full per face, own memory", printed))
            == 2
        )
        assert len(re.findall(rf"{name} +loop \d+ s processor, \d+ times as long", printed)) == 2
    assert list(tmp_path.iterdir()) == [], "the synthetic faces are taken away again"


@pytest.mark.slow
def test_tasks_of_a_search_are_measured(tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    printed = run("neighbour_tasks.py", tmp_path, "--faces", 150, "--some", 1)
    for stage in ("centroids", "sample", "pieces", "ivf", "all", "command"):
        assert re.search(rf"\n  {stage} +1 x +\d+\.\d s = +\d+ s, peak \d+ MB", printed), stage
    assert re.search(r"bytes per face: textures 150,528, .*\n  recall \d+\.\d %", printed)


@pytest.mark.slow
def test_plans_are_timed(tmp_path: Path) -> None:
    printed = run_here("planning.py", tmp_path, "--faces", 60, "--per-file", 20)
    assert re.match(r"60 photos in 3 files, run 1, load \d", printed)
    [plan] = {found[1] for found in re.finditer(r"114 samples, \d+ shards, \d+ tasks, plan (\w{12})", printed)}
    assert plan
    assert len(re.findall(r"  all +\d+\.\d s processor, \d+\.\d s wall", printed)) == 2


def test_morphs_are_timed_whole_and_by_step() -> None:
    printed = run_here("morph.py", "--rounds", 2)
    for name in ("plain", "gradient", "plain, from 896 x 896"):
        assert re.search(rf"  {name} +\d+\.\d\d ms processor, +\d+\.\d\d ms wall", printed), name
    for step in ("mesh", "fold check", "map", "read, cubic", "mix", "paste"):
        assert re.search(rf"  {step} +\d+\.\d\d ms processor\n", printed), step


@pytest.mark.slow
def test_the_reader_is_held_against_bare_webdataset() -> None:
    pytest.importorskip("webdataset")
    lines = run("read.py", "--megabytes", 2, "--rounds", 1).splitlines()
    assert [line.split(", load")[0] for line in lines if "load" in line] == [
        "4 samples of 250 kB",
        "100 samples of 16 kB",
    ]
    ratios = re.compile(r"  (bare webdataset|verify=False|verify=True) .*; \d+\.\d\d and \d+\.\d\d of bare")
    assert [match[1] for line in lines if (match := ratios.match(line))] == [
        "bare webdataset",
        "verify=False",
        "verify=True",
    ] * 2
    assert len(re.findall(r"by key +\d+\.\d\d ms median", "\n".join(lines))) == 2


def test_verifying_a_release_is_timed() -> None:
    lines = run_here("verify.py", "--shards", 20, "--samples", 10, "--rounds", 2).splitlines()
    assert lines[0].startswith("20 shards of 10 samples, load ")
    timed = [re.fullmatch(r"verified in (\d+\.\d\d) s, limit 5 s for 1,000 shards", line) for line in lines[1:3]]
    assert all(match and float(match[1]) < 5 for match in timed)
    assert re.fullmatch(r"--deep compares [\d,]+ MB/s with one thread", lines[3])


@pytest.mark.slow
def test_latency_of_a_store() -> None:
    lines = run_here("latency.py", "--photos", 6, "--latency", 5, "--work", 5).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["folder", "table", "tar", "records", "morphs,", "morphs,"]
