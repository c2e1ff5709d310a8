"""Builds, readers and releases in object stores: the same bytes as in a folder."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from faceloom.pipelines import api, build
from faceloom.pipelines.build import prepare, run_build
from faceloom.pipelines.read.sample_lookup import open_samples
from faceloom.pipelines.release.verify import verify_build
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, StorageError
from tests.object_stores import Fault, gcs_server, s3_server
from tests.pipelines.building import PHOTOS, Bench, make_small_parts

FAULT = Fault()


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_server(FAULT.proxy) as url:
        yield url


@pytest.fixture(scope="module", params=["s3", pytest.param("gs", marks=pytest.mark.slow)])
def bucket(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "s3":
        yield request.getfixturevalue("s3")
        return
    with gcs_server(FAULT.proxy) as url:
        yield url


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, synthetic: SimpleNamespace) -> Bench:
    """A build in a folder."""
    bench = Bench(tmp_path_factory.mktemp("local"), synthetic)
    with pytest.MonkeyPatch.context() as patch:
        make_small_parts(patch)
        bench.run()
    return bench


@pytest.fixture(scope="module")
def out(bucket: str, local: Bench) -> str:
    """The same build in a store."""
    with pytest.MonkeyPatch.context() as patch:
        make_small_parts(patch)
        build_in(f"{bucket}/out", local)
    return f"{bucket}/out"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small_parts(monkeypatch)
    FAULT.answers = lambda method, path: None


def build_in(out: str, bench: Bench, workers: int = 1) -> build.BuildResult:
    return run_build(prepare(bench.recipe(), out), workers=workers, resume=True, watcher=Watcher())


def digests(storage: Storage) -> dict[str, str]:
    """sha256 of every file that must not depend on the way there."""
    passing = ("logs/", ".lock")
    kept = [path for path in storage.list() if not path.startswith(passing)]
    return {path: hashlib.sha256(storage.read_bytes(path)).hexdigest() for path in kept}


def test_a_store_gets_the_bytes_of_a_folder(out: str, local: Bench) -> None:
    storage = Storage(out)
    assert digests(storage) == digests(local.storage())
    assert {"build.json", "README.md", "faceloom.json", "logs/last_run.json"} <= {*storage.list()}
    assert ".lock" not in storage.names() and "work" not in storage.names()
    again = build_in(out, local)
    assert (again.analysed, again.rendered) == (0, 0)


@pytest.mark.slow
def test_worker_processes_write_the_same(s3: str, local: Bench) -> None:
    build_in(f"{s3}/two", local, workers=2)
    assert digests(Storage(f"{s3}/two")) == digests(local.storage())


@pytest.mark.slow
def test_a_build_survives_a_store_with_faults(s3: str, local: Bench) -> None:
    """Every seventh request gets a 503."""
    numbers = iter(range(10**9))
    FAULT.answers = lambda method, path: 503 if next(numbers) % 7 == 3 else None
    build_in(f"{s3}/faults", local)
    FAULT.answers = lambda method, path: None
    assert digests(Storage(f"{s3}/faults")) == digests(local.storage())


@pytest.mark.slow
def test_a_killed_build_is_resumed(s3: str, local: Bench, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.json"
    recipe.write_text(local.recipe().model_dump_json(exclude_unset=True, by_alias=True))
    program = (
        "import sys, pytest\nfrom pathlib import Path\n"
        "from faceloom.pipelines.store import lease\nlease.SECONDS = 5.0\n"
        "from tests.pipelines.building import make_small_parts\nmake_small_parts(pytest.MonkeyPatch())\n"
        "from faceloom.pipelines.build import prepare, run_build\nfrom faceloom.pipelines.run.watcher import Watcher\n"
        "from faceloom.schemas.recipe import Recipe\n"
        "recipe = Recipe.model_validate_json(Path(sys.argv[2]).read_text())\n"
        "run_build(prepare(recipe, sys.argv[1]), workers=1, resume=True, watcher=Watcher())\n"
    )
    url = f"{s3}/killed"
    storage = Storage(url)
    FAULT.delay = 0.02
    with subprocess.Popen([sys.executable, "-c", program, url, str(recipe)]) as process:
        end = time.monotonic() + 200
        while not storage.list("index"):
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.02)
        process.kill()
    FAULT.delay = 0.0
    assert not storage.exists("build.json") and storage.exists(".lock")
    kept = {path: storage.stamp(path) for path in storage.list("index")}
    time.sleep(6.1)  # the lease of the killed process ends
    report = build_in(url, local)
    assert report.analysed == 0 and report.rendered < PHOTOS
    assert {path: storage.stamp(path) for path in kept} == kept, "what was finished stays"
    assert digests(storage) == digests(local.storage())


@pytest.mark.slow
def test_tasks_that_run_twice_at_once_do_no_harm(s3: str, local: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a cluster may do it: each part is rendered and each shard joined by two processes at the same time."""
    twice = ThreadPoolExecutor(2)

    def run_twice(tasks: Any, do: Any, *, then: Any = None, **_: Any) -> dict[str, float]:
        for task in tasks:
            for _done in twice.map(do, [task, task]):
                pass
        if then is not None:
            for shard in {task.shard for task in tasks}:
                for _done in twice.map(then, [shard, shard]):
                    pass
        return {}

    for place in ("build", "analyse.survey"):
        monkeypatch.setattr(f"faceloom.pipelines.{place}.run_tasks", run_twice)
    build_in(f"{s3}/twice", local)
    assert digests(Storage(f"{s3}/twice")) == digests(local.storage())


def test_samples_are_read_by_ranges(out: str, local: Bench) -> None:
    samples, same = open_samples(out), open_samples(local.folder / "out")
    assert len(samples) == PHOTOS and [samples.key(n) for n in range(3)] == [same.key(n) for n in range(3)]
    FAULT.seen.clear()
    one = samples[5]
    assert len(FAULT.seen) == 1 and FAULT.seen[0][0] == "GET"
    assert one["__key__"] == same[5]["__key__"] and (one["face"] == same[5]["face"]).all()
    assert samples.by_key(samples.key(9))["json"] == same[9]["json"]


def test_splits_are_read_as_streams(out: str, local: Bench) -> None:
    pytest.importorskip("webdataset", reason="needs the extra `torch`")
    from faceloom.pipelines.read import open_split

    got, want = (list(open_split(place, "train")) for place in (out, local.folder / "out"))
    assert [one["__key__"] for one in got] == [one["__key__"] for one in want]
    assert all((a["masked"] == b["masked"]).all() for a, b in zip(got, want, strict=True))


def test_commands_read_from_a_store(out: str, local: Bench, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from faceloom.pipelines.cli.app import app

    run = CliRunner()
    for words in (["show", out], ["verify", out], ["view", out, "--no-open", "--to", str(tmp_path / "page.html")]):
        done = run.invoke(app, words)
        assert done.exit_code == 0, done.output
    assert "--to" in run.invoke(app, ["view", out, "--no-open"]).output
    api.export(out, tmp_path / "export")
    api.export(local.folder / "out", tmp_path / "same")
    files = {path.relative_to(tmp_path / "export") for path in (tmp_path / "export").rglob("*")}
    assert files == {path.relative_to(tmp_path / "same") for path in (tmp_path / "same").rglob("*")} and len(files) > 24


@pytest.mark.slow
def test_exports_go_to_a_store(out: str, bucket: str, local: Bench, tmp_path: Path) -> None:
    for layout in ("folder", "recordio"):
        to = f"{bucket}/exports/{layout}"
        done = api.export(out, to, layout=layout)
        api.export(local.folder / "out", tmp_path / layout, layout=layout)
        target = Storage(to)
        assert done.written == PHOTOS and {path: target.read_bytes(path) for path in target.list()} == {
            path.relative_to(tmp_path / layout).as_posix(): path.read_bytes()
            for path in (tmp_path / layout).rglob("*")
            if path.is_file()
        }
    assert api.export(out, f"{bucket}/exports/folder").written == 0, "all is there"
    with pytest.raises(FaceloomError, match="in another layout"):
        api.export(out, f"{bucket}/exports/folder", layout="recordio")
    with pytest.raises(StorageError, match="files that no export wrote"):
        api.export(out, f"{bucket}/exports")
    with pytest.raises(StorageError, match="lies in the output folder"):
        api.export(out, f"{out}/export")


def test_a_page_is_written_to_a_store(out: str, bucket: str, local: Bench) -> None:
    from typer.testing import CliRunner

    from faceloom.pipelines.cli.app import app

    run, pages = CliRunner(), Storage(f"{bucket}/pages")
    for place in (out, str(local.folder / "out")):
        done = run.invoke(app, ["view", place, "--to", pages.place("page.html")])
        assert done.exit_code == 0 and pages.place("page.html") in done.output.replace("\n", ""), done.output
    assert b"faceloom gallery" in pages.read_bytes("page.html")
    with pages.write("other.html") as stream:
        stream.write(b"mine")
    for name, message in ((pages.place("other.html"), "no gallery has this name"), (f"{out}/p.html", "lies in the")):
        done = run.invoke(app, ["view", out, "--to", name])
        assert done.exit_code == 1 and message in done.output.replace("\n", " "), done.output


@pytest.mark.slow
def test_damage_is_found(s3: str, local: Bench) -> None:
    url = f"{s3}/damaged"
    build_in(url, local)
    storage = Storage(url)
    shard = f"shards/{read_record(storage).shards[0].name}.tar"
    data = bytearray(storage.read_bytes(shard))
    data[700] ^= 1
    with storage.write(shard) as stream:
        stream.write(data)
    faults = verify_build(storage).faults
    assert [fault.file for fault in faults] == [shard] and "damaged" in faults[0].what
    storage.remove(shard)
    assert "missing" in verify_build(storage).faults[0].what
    build_in(url, local)
    assert verify_build(storage).faults == () or not verify_build(storage).faults


@pytest.mark.slow
def test_loaders_read_with_spawned_workers(out: str, local: Bench) -> None:
    data = pytest.importorskip("torch.utils.data", reason="needs the extra `torch`")
    pytest.importorskip("webdataset", reason="needs the extra `torch`")
    from faceloom.pipelines.read import open_split

    options: dict[str, Any] = {"batch_size": None, "num_workers": 2, "multiprocessing_context": "spawn"}
    for samples in (open_samples(out, "train", members=["face"]), open_split(out, "train", members=["face"])):
        keys = [one["__key__"] for one in data.DataLoader(samples, **options)]
        assert sorted(keys) == sorted(one["__key__"] for one in open_split(local.folder / "out", "train"))
    with pytest.raises(Exception, match="a forked process cannot use an object store"):
        list(data.DataLoader(samples, batch_size=None, num_workers=1, multiprocessing_context="fork"))
