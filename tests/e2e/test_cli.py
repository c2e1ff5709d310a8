"""The real command line on real portraits."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from faceloom.pipelines.export.folder_layouts import file_paths
from faceloom.pipelines.store.parquet_tables import read_index, read_rejects
from faceloom.pipelines.store.storage import Storage
from tests.patience import on_busy_machine

GOOD, BAD = 6, 4


def total(rejects: dict[str, dict[str, int]]) -> int:
    return sum(sum(codes.values()) for codes in rejects.values())


def picture(path: Path, flag: int = cv2.IMREAD_COLOR) -> npt.NDArray[np.uint8]:
    read = cv2.imread(str(path), flag)
    assert read is not None
    return np.asarray(read, np.uint8)


@pytest.mark.slow
def test_every_photo_ends_as_a_sample_or_as_a_reject(built: Any) -> None:
    assert built.build.code == 0, built.build.err
    said = built.build.json
    assert said["photos"] == GOOD + BAD == said["written"] + total(said["rejects"])
    assert said["written"] == GOOD == sum(said["by_split"].values()) == sum(said["by_mask"].values())
    assert said["by_split"].keys() == {"train", "test"}
    codes = {code for stage in said["rejects"].values() for code in stage}
    assert {"no_face", "duplicate_photo"} <= codes and len(codes) == BAD


def test_plan_and_build_agree(built: Any) -> None:
    assert built.plan.code == 0, built.plan.err
    planned, said = built.plan.json, built.build.json
    assert planned["samples"] == said["planned"] == said["written"]
    for key in ("photos", "faces", "by_split", "by_mask", "by_source", "rejects"):
        assert planned[key] == said[key], key
    assert planned["shards"] == len(said["shards"]) and planned["shards_ready"] == planned["parts_ready"] == 0
    size = sum(shard["bytes"] for shard in said["shards"])
    assert size / 2 < planned["bytes"] < size * 2


def test_faces_are_analysed_once_by_plan(built: Any) -> None:
    assert built.plan.json["analysed"] == GOOD + BAD - built.plan.json["rejects"].get("scan", {}).get("empty", 0)
    assert built.build.json["run"]["photos_analysed"] == 0
    assert built.build.json["run"]["samples_rendered"] == GOOD


def test_with_json_all_else_goes_to_stderr_and_libraries_are_silent(built: Any) -> None:
    lines = built.build.err.splitlines()
    begun = [line.split(":")[0] for line in lines if " of " not in line]  # a busy machine prints progress as well
    stages = [name for name in begun if name in ("scan", "analyse", "plan", "render")]
    assert stages == ["scan", "plan", "render"]  # nothing is left to analyse, and a stage gets one line
    terms = [said.err.count("68-point landmark model was trained") for said in (built.plan, built.build)]
    assert terms == [1, 0]  # plan used the model
    assert not any(word in built.build.err for word in ("WARNING", "INFO", "Traceback", "apache_beam", "apitools"))


def test_a_second_build_does_no_work(built: Any, run: Any, photos: Path, recipe: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in built.out.rglob("*") if path.is_file() and path.name != ".lock"}
    again = run("build", recipe, "--source", photos, "--out", built.out, "--json")
    assert again.code == 0
    assert again.json["run"]["photos_analysed"] == again.json["run"]["samples_rendered"] == 0
    assert again.json["plan"] == built.build.json["plan"] and again.json["shards"] == built.build.json["shards"]
    after = {path: path.stat().st_mtime_ns for path in built.out.rglob("*") if path.is_file() and path.name != ".lock"}
    assert {path: when for path, when in after.items() if "rejects" not in path.parts} == {
        path: when for path, when in before.items() if "rejects" not in path.parts
    }


def test_plan_knows_what_is_there(built: Any, run: Any, photos: Path, recipe: Path) -> None:
    said = run("plan", recipe, "--source", photos, "--out", built.out)
    assert said.code == 0
    assert "6 (6 already exist)" in said.out and "duplicate_photo" in said.out
    assert "the same bytes as" in said.out


def test_build_for_people(run: Any, photos: Path, recipe: Path, tmp_path: Path) -> None:
    said = run("build", recipe, "--source", photos, "--out", tmp_path / "out")
    assert said.code == 0
    assert "10 photos analysed" in said.out or "9 photos analysed" in said.out
    assert "6 samples rendered" in said.out and "grace" not in said.out
    for word in ("Built", "By split", "By mask", "polygon-A", "Rejected", "no_face"):
        assert word in said.out
    assert f"faceloom show {tmp_path / 'out'} --rejects" in said.err


def test_show(built: Any, run: Any) -> None:
    said = run("show", built.out, "--rejects", "--json")
    assert said.code == 0
    shown = said.json
    assert shown["written"] == GOOD and shown["by_mask"] == built.build.json["by_mask"]
    assert Counter(reject["stage"] for reject in shown["rejected"]) == {
        stage: sum(codes.values()) for stage, codes in shown["rejects"].items()
    }
    assert all(reject["message"] and reject["uri"] for reject in shown["rejected"])
    files = list(built.out.glob("shards/*"))
    assert shown["disk"]["shards"] == sum(path.stat().st_size for path in files) and shown["disk"]["superseded"] == 0
    assert shown["disk"]["total"] == sum(value for key, value in shown["disk"].items() if key != "total")
    assert shown["last_run"]["samples_rendered"] == GOOD and shown["last_run"]["work_seconds"]["paint"] > 0


def test_show_for_people(built: Any, run: Any) -> None:
    said = run("show", built.out, "--rejects")
    assert said.code == 0
    for word in (
        "By source",
        "Disk",
        "face table",
        "superseded shards",
        "Wall time",
        "paint",
        "render",
        "noise.png",
        "share",
    ):
        assert word in said.out, word
    assert f"{built.out}/rejects/" in said.out + said.err


def test_export_gives_the_files_that_the_index_names(built: Any, run: Any, tmp_path: Path) -> None:
    said = run("export", built.out, "--to", tmp_path / "files", "--json")
    assert said.code == 0 and said.json["written"] == GOOD, said.err
    storage = Storage(str(built.out))
    rows = [row for path in storage.list("index") for row in read_index(storage, path)]
    assert len(rows) == GOOD
    for row in rows:
        paths = file_paths(row)
        assert paths["masked.jpg"].endswith(f"{row.identity}/{row.key}.jpg")
        for member in row.members:
            data = (tmp_path / "files" / paths[member.name]).read_bytes()
            assert len(data) == member.size and hashlib.sha256(data).hexdigest() == member.sha256
    written = [path for path in (tmp_path / "files").rglob("*") if path.is_file() and path.name != "export.json"]
    assert len(written) == sum(len(row.members) for row in rows)


def test_exported_pairs_are_pairs(built: Any, run: Any, tmp_path: Path) -> None:
    assert run("export", built.out, "--to", tmp_path, "--split", "train").code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"export.json", "members", "train"}
    truths = sorted(tmp_path.rglob("*.mask.png"))
    assert len(truths) == built.build.json["by_split"]["train"]
    for truth in truths:
        stem = truth.name.removesuffix(".mask.png")
        mask = picture(truth, cv2.IMREAD_GRAYSCALE) > 0
        place = tmp_path / truth.parent.relative_to(tmp_path / "members")
        paths = place / f"{stem}.jpg", truth.with_name(f"{stem}.face.jpg")
        masked, face = (picture(path).astype(int) for path in paths)
        changed = np.abs(masked - face).max(axis=2)
        assert 0.1 < mask.mean() < 0.7
        assert changed[mask].mean() > 5 * changed[~mask].mean()
        assert np.load(truth.with_name(f"{stem}.landmarks.npy")).shape == (68, 2)


def test_export_goes_on_and_mends(built: Any, run: Any, tmp_path: Path) -> None:
    run("export", built.out, "--to", tmp_path)
    landmarks = sorted(tmp_path.rglob("*.npy"))
    landmarks[0].unlink()
    landmarks[1].write_bytes(bytes(landmarks[1].stat().st_size))  # of the right length, but something else
    said = run("export", built.out, "--to", tmp_path, "--json")
    assert said.json["written"] == 2 and said.json["skipped"] == GOOD - 2
    assert np.load(landmarks[0]).any() and np.load(landmarks[1]).any()


@pytest.mark.slow
def test_export_does_not_mix_builds(own: Path, run: Any, photos: Path, tmp_path: Path) -> None:
    files, changed = tmp_path / "files", tmp_path / "changed.yaml"
    assert run("export", own, "--to", files, "--split", "test").code == 0
    assert run("export", own, "--to", files).code == 0
    before = {path: path.stat().st_mtime_ns for path in files.rglob("*")}
    changed.write_text("name: changed\nsplit: {shares: {train: 0, val: 1, test: 0}}\n")
    assert run("build", changed, "--source", photos, "--out", own, "--replace").code == 0
    refused(run("export", own, "--to", files), 2, "samples of another build", "rm -r")
    assert {path: path.stat().st_mtime_ns for path in files.rglob("*")} == before
    assert run("export", own, "--to", tmp_path / "other").code == 0
    assert {path.name for path in (tmp_path / "other").iterdir()} == {"export.json", "members", "val"}


def test_export_spoils_neither_the_build_nor_its_source(own: Path, run: Any, photos: Path) -> None:
    before = sorted(path for folder in (own, photos) for path in folder.rglob("*"))
    refused(run("export", own, "--to", own / "shards"), 2, "output folder")
    refused(run("export", own, "--to", photos / "grace_hopper"), 2, "among the photos")
    assert sorted(path for folder in (own, photos) for path in folder.rglob("*")) == before


def test_export_names_a_damaged_sample(own: Path, run: Any, tmp_path: Path) -> None:
    shard = max(own.glob("shards/*.tar"), key=lambda path: path.stat().st_size)
    storage = Storage(str(own))
    row = read_index(storage, f"index/{shard.stem}.parquet")[0]
    data = bytearray(shard.read_bytes())
    data[row.members[0].offset + 50] ^= 1
    shard.write_bytes(data)
    said = run("export", own, "--to", tmp_path / "files")
    assert said.code == 1
    assert row.key in said.err and shard.name in said.err and row.members[0].name in said.err
    assert "Traceback" not in said.err


def test_clean_removes_what_a_changed_recipe_left(own: Path, run: Any, photos: Path, tmp_path: Path) -> None:
    assert "holds only its build" in run("clean", own).out
    changed = tmp_path / "changed.yaml"
    changed.write_text("name: changed\nmasks: [{kind: polygon, shape: C}]\n")
    record = (own / "build.json").read_bytes()
    refused(run("build", changed, "--source", photos, "--out", own), 2, "of another recipe", "$.masks", "--replace")
    assert (own / "build.json").read_bytes() == record
    replaced = run("build", changed, "--source", photos, "--out", own, "--replace")
    assert replaced.code == 0 and "of earlier builds remain" in replaced.err
    (own / "shards" / "x.tar.partial-1-2").write_bytes(b"left by a crash")
    listed = run("clean", own, "--json").json
    assert not listed["deleted"] and all((own / path).exists() for path in listed["files"])
    assert "--yes" in run("clean", own).out
    assert run("show", own, "--json").json["disk"]["superseded"] > 0
    assert run("clean", own, "--yes").code == 0
    assert not any((own / path).exists() for path in listed["files"])
    assert run("clean", own, "--json").json["files"] == {}
    shown = run("show", own, "--json").json
    assert shown["disk"]["superseded"] == 0 and shown["written"] == GOOD
    assert run("export", own, "--to", tmp_path / "files").code == 0


def refused(said: Any, code: int, *words: str) -> None:
    assert said.code == code, said.err
    assert "Traceback" not in said.err
    for word in words:
        assert word in said.err.replace("\n", ""), (word, said.err)


def test_a_bad_recipe_is_refused_with_its_path_before_any_work(run: Any, photos: Path, tmp_path: Path) -> None:
    recipe, out = tmp_path / "bad.yaml", tmp_path / "out"
    recipe.write_text("name: bad\nmasks:\n  - {kind: polygon, shape: A, coluor: red}\n")
    refused(run("build", recipe, "--source", photos, "--out", out), 2, "$.masks[0].coluor", "colour")
    recipe.write_text("name: bad\nper_face: many\n")
    refused(run("plan", recipe, "--source", photos, "--out", out), 2, "$.per_face")
    recipe.write_text("name: bad\nfaces: {landmark_model: nowhere.dat}\n")
    refused(run("build", recipe, "--source", photos, "--out", out), 2, "nowhere.dat")
    assert not out.exists()


def test_bad_arguments_are_refused(run: Any, photos: Path, recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refused(run("build", recipe, "--out", out), 2, "$.sources", "--source")
    refused(run("build", recipe, "--source", tmp_path / "nowhere", "--out", out), 2, "nowhere")
    refused(run("build", recipe, "--source", photos), 2, "--out")
    refused(run("build", tmp_path / "no.yaml", "--source", photos, "--out", out), 2, "no.yaml")
    refused(run("build", recipe, "--source", photos, "--out", out, "--workers", 0), 2, "--workers")
    refused(run("build", recipe, "--source", "", "--out", out), 2, "--source: the source has no path")
    refused(run("build", recipe, "--source", photos, "--out", "ftp://x"), 2, "URLs of this kind are not supported")
    refused(run("show", tmp_path / "nowhere"), 2, "nowhere")
    assert not out.exists()


def test_two_folders_of_one_name_are_told_apart_by_names(run: Any, photos: Path, recipe: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "set", tmp_path / "b" / "set"
    for folder, person in zip((first, second), sorted(path for path in photos.iterdir() if path.is_dir())):
        folder.mkdir(parents=True)
        for photo in sorted(person.iterdir()):
            (folder / photo.name).write_bytes(photo.read_bytes())
    out = str(tmp_path / "out")
    refused = run("plan", recipe, "--source", first, "--source", second, "--out", out)
    assert refused.code == 2 and "NAME=PATH" in refused.err
    planned = run("plan", recipe, "--source", first, "--source", f"other={second}", "--out", out, "--json")
    assert planned.code == 0 and set(planned.json["by_source"]) == {"set", "other"}


def test_errors_are_json_too(run: Any, recipe: Path, tmp_path: Path) -> None:
    said = run("build", recipe, "--source", tmp_path / "nowhere", "--out", tmp_path / "out", "--json")
    assert said.code == 2
    assert said.json["error"] == "SourceError" and said.json["where"].endswith("nowhere") and said.json["remedy"]


def test_an_output_that_cannot_be_written(run: Any, photos: Path, recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file in the way")
    said = run("build", recipe, "--source", photos, "--out", tmp_path / "out")
    refused(said, 2, "out: a file exists where a folder is needed", "choose another folder")


def test_nothing_written_is_a_failure(run: Any, recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "text.jpg").write_text("no photo")
    said = run("build", recipe, "--source", tmp_path / "photos", "--out", tmp_path / "out")
    refused(said, 1, "Nothing was written", "--rejects")
    assert sum(len(read_rejects(Storage(str(tmp_path / "out")), path.relative_to(tmp_path / "out").as_posix()))
               for path in (tmp_path / "out" / "rejects").iterdir()) == 1  # fmt: skip
    refused(run("show", tmp_path), 1, "no finished build")
    (tmp_path / "empty").mkdir()
    refused(
        run("build", recipe, "--source", tmp_path / "empty", "--out", tmp_path / "out2"), 1, "the source holds no files"
    )


def test_unknown_split_and_format(built: Any, run: Any, tmp_path: Path) -> None:
    refused(run("export", built.out, "--to", tmp_path, "--split", "dev"), 2, "dev", "test, train")
    refused(run("export", built.out, "--to", tmp_path, "--format", "zip"), 2, "zip", "folder")


@pytest.mark.parametrize(
    ("workers", "wait"),
    [pytest.param(1, 0.3, marks=pytest.mark.slow), pytest.param(2, 0, marks=pytest.mark.slow), (2, 0.4)],
)
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_a_stopped_build_says_how_to_go_on(
    number: int, code: int, workers: int, wait: float, photos: Path, recipe: Path, tmp_path: Path, run: Any
) -> None:
    words = ["build", recipe, "--source", photos, "--out", tmp_path / "out", "--workers", workers]
    # With more patience, a busy machine does not look like a build that waits for its end.
    code_of_command = "from faceloom.pipelines.cli import app, stopping; stopping.PATIENCE_SECONDS = 300.0; app.main()"
    command = [sys.executable, "-c", code_of_command, *map(str, words)]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("analyse"):
                break
        time.sleep(wait)
        os.killpg(process.pid, number)  # as a terminal does: workers hear it too
        begin = time.perf_counter()
        rest = process.stderr.read()
    assert time.perf_counter() - begin < on_busy_machine(4), "it does not wait until its patience ends"
    assert process.returncode == code
    [*lines, last] = rest.splitlines()
    assert last == "Interrupted. Rerun the same command to resume."
    assert [line for line in lines if not line.startswith(("analyse", "plan", "render"))] == []
    assert run(*words).code == 0


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    code = """
import sys, time
opened = set()
sys.addaudithook(lambda event, _: opened.add(event) if event.startswith("socket.") else None)
begin = time.process_time()
from faceloom.pipelines.cli.app import app
try:
    app(["--help"])
except SystemExit:
    pass
heavy = {"apache_beam", "torch", "cv2", "dlib", "pyarrow", "numpy", "pydantic"}
heavy &= {name.split(".")[0] for name in sys.modules}
print(sorted(heavy | opened), time.process_time() - begin, file=sys.stderr)
"""
    seconds = []
    for _ in range(3):  # the quickest run counts: others share the caches; processor time, which leaves out waiting
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        heavy, spent = done.stderr.rsplit(maxsplit=1)
        assert heavy == "[]" and "build" in done.stdout and "export" in done.stdout
        seconds.append(float(spent))
    assert min(seconds) < on_busy_machine(0.5)


def test_version(run: Any) -> None:
    assert run("--version").out.split()[0] == "faceloom"
