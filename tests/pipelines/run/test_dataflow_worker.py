"""What happens on a Dataflow worker."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.analyse.photo_task import AnalyseTask
from faceloom.pipelines.plan.index_search import IndexTask
from faceloom.pipelines.plan.neighbour_search import SearchTask
from faceloom.pipelines.plan.textures import TextureTask
from faceloom.pipelines.render.part_task import PartTask, ShardTask
from faceloom.pipelines.run import dataflow_worker as module
from faceloom.pipelines.run.dask_worker import versions
from faceloom.pipelines.run.dataflow_worker import Work, do_task, do_then, read_task, write_tasks
from faceloom.schemas.errors import SourceError, StorageError, WorkerError, error_from_json
from faceloom.schemas.photos import Photo
from tests.pipelines.run.tasks import count_group, fail, leave_a_file

pytest.importorskip("apache_beam")
ATTRIBUTES = (("age", 31.0), ("n", 3), ("smiling", True), ("word", "3"))
PHOTO = Photo("s", "ä/1.jpg", None, "train", "CC0", None, ATTRIBUTES, b"\xff\x00" * 272, 5, "stamp")


@pytest.fixture(autouse=True)
def unchecked() -> None:
    module._check.cache_clear()


def work_of(folder: Path, tasks: list[Any]) -> Work:
    work = Work(str(folder / "out"), "1", type(tasks[0]), len(tasks), tuple(versions().items()))
    write_tasks(work, tasks)
    return work


@pytest.mark.parametrize(
    "tasks",
    [
        [AnalyseTask("faces/a.parquet", (PHOTO, PHOTO), "t"), AnalyseTask("faces/b.parquet", ())],
        [PartTask(ShardTask("s", ("a", "b")), "a", ("old",)), PartTask(ShardTask("s", ("a", "b")), "b")],
        [TextureTask("t", 3, b"\x80\xff")],
        [SearchTask("s", 0), SearchTask("s", 1)],
        [IndexTask("s", "centroids"), IndexTask("s", "piece", 3, (30, 37))],
        [("a", 1), ("b", 2), ("c", 3)],
    ],
    ids=lambda tasks: type(tasks[0]).__name__,
)
def test_every_kind_of_task_is_read_as_it_was_written(tasks: list[Any], tmp_path: Path) -> None:
    work = work_of(tmp_path, tasks)
    assert [read_task(work, number) for number in range(len(tasks))] == tasks
    text = (tmp_path / "out" / work.tasks).read_bytes()
    assert text.startswith(b"[") and b"pickle" not in text, "workers unpickle nothing from a bucket"


@pytest.mark.parametrize("damage", [b"", b"[", b"\x00" * 100, b"[{}]" + b"\x00" * 8 + b"\x04" + b"\x00" * 7])
def test_a_damaged_file_of_tasks_is_an_error(damage: bytes, tmp_path: Path) -> None:
    work = work_of(tmp_path, [SearchTask("s", 0)])
    (tmp_path / "out" / work.tasks).write_bytes(damage)
    with pytest.raises(StorageError, match=r"dataflow-1.tasks: |file of tasks is damaged"):
        read_task(work, 0)
    (tmp_path / "out" / work.tasks).unlink()
    with pytest.raises(StorageError):
        read_task(work, 0)


def test_a_task_is_done_and_counted(tmp_path: Path) -> None:
    from apache_beam.metrics.execution import MetricsContainer
    from apache_beam.runners.worker.statesampler import StateSampler, set_current_tracker
    from apache_beam.utils.counters import CounterFactory

    work = work_of(tmp_path, [("a", 1), ("a", 2)])
    sampler = StateSampler("x", CounterFactory())
    container = MetricsContainer("Do")
    set_current_tracker(sampler)
    state = sampler.scoped_state("Do", "process", metrics_container=container)
    try:
        sampler.start()
        with state:
            done = do_task(1, work, partial(leave_a_file, folder=tmp_path))
    finally:
        sampler.stop()
        set_current_tracker(None)
    assert done == ("a", ("a", 2)) and (tmp_path / "a-2").exists()
    counted = {(k.metric.namespace, k.metric.name): v for k, v in container.get_cumulative().counters.items()}
    assert counted == {
        ("faceloom", "items"): 1,
        ("faceloom_seconds", "work"): 500_000,
        ("faceloom_seconds", "of a"): 250_000,
    }
    do_then(("a", iter([("a", 1), ("a", 2)])), work, partial(count_group, folder=tmp_path))
    assert (tmp_path / "a.then").read_text() == "1\n"


@pytest.mark.parametrize("step", ["do", "then"])
def test_an_error_is_left_where_the_driver_finds_it(step: str, tmp_path: Path) -> None:
    work = work_of(tmp_path, [("a", 1)])
    function = partial(fail, error=SourceError("gone", where="a/b", remedy="Bring it"))
    with pytest.raises(SourceError, match="gone"):
        if step == "do":
            do_task(0, work, function)
        else:
            do_then(("a", [("a", 1)]), work, function)
    found = error_from_json((tmp_path / "out" / work.fault).read_text())
    assert isinstance(found, SourceError) and (found.where, found.remedy) == ("a/b", "Bring it")


def test_an_image_with_other_versions_does_no_task(tmp_path: Path) -> None:
    work = Work(str(tmp_path / "out"), "1", tuple, 1, (("numpy", "0.1"),))
    with pytest.raises(WorkerError, match=r"^the image of the workers: other versions than here .got numpy .* 0\.1"):
        do_task(0, work, partial(leave_a_file, folder=tmp_path))
    assert json.loads((tmp_path / "out" / work.fault).read_text())["kind"] == "WorkerError"
    assert not (tmp_path / "a-1").exists()
