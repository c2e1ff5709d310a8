"""Forked workers: the same work, the same deaths, the same silence as workers that start on their own."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.beam_run import run_tasks
from faceloom.pipelines.beam_worker import worker_command
from faceloom.pipelines.fork_server import fork_server, processors
from faceloom.schemas.errors import FaceloomError, SourceError

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a fork server")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text("name: forked\nmasks:\n- {kind: polygon, shape: A}\n")
    return path


@pytest.fixture
def served(recipe: Path) -> Iterator[None]:
    with fork_server(recipe, 2):
        yield


def tells(folder: Path) -> Callable[[int], tuple[str, None, dict[str, float]]]:
    """A task that writes down who does it and what it finds."""

    def do(task: int) -> tuple[str, None, dict[str, float]]:
        import cv2

        from faceloom.pipelines.model_files import load_detector, load_predictor

        loaded = f"{load_detector.cache_info().currsize}{load_predictor.cache_info().currsize}"
        told = (os.getpid(), os.getppid(), loaded, cv2.getNumThreads(), os.environ.get("TOLD_LATE", "-"))
        (folder / f"{task}.told").write_text(" ".join(map(str, told)))
        return "", None, {"work": 1.0}

    return do


def told(folder: Path) -> list[tuple[str, ...]]:
    return [tuple(path.read_text().split()) for path in sorted(folder.glob("*.told"))]


def dies(_: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def fails(_: Any) -> Any:
    raise SourceError("gone", where="a/b")


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@linux
def test_workers_are_forked_ready_and_with_the_environment_of_now(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fork_server(recipe, 2):
        monkeypatch.setenv("TOLD_LATE", "yes")
        for _ in range(2):  # both pipelines of a build
            assert run_tasks(range(6), tells(tmp_path), workers=2) == {"work": 6.0}
            workers, parents, loaded, threads, late = map(set, zip(*told(tmp_path), strict=True))
            assert len(workers) == 2 and len(parents) == 1 and not workers & parents
            assert parents != {str(os.getpid())}, "the server's children, not ours"
            assert (loaded, threads, late) == ({"11"}, {"1"}, {"yes"})
        assert is_alive(int(*parents))
        assert not any(is_alive(int(worker)) for worker in workers)
    assert not is_alive(int(*parents))
    assert "fork_client" not in worker_command()


@linux
@pytest.mark.parametrize("augment", [True, False])
def test_albumentations_is_loaded_ahead_only_where_the_recipe_augments(
    augment: bool, recipe: Path, tmp_path: Path
) -> None:
    if augment:
        recipe.write_text(recipe.read_text() + "augment:\n- {kind: ToGray}\n")

    def do(task: int) -> tuple[str, None, dict[str, float]]:
        (tmp_path / f"{task}.told").write_text(f"{os.getppid()} {'albumentations' in sys.modules}")
        return "", None, {}

    with fork_server(recipe, 2):
        run_tasks(range(4), do, workers=2)
    parents, loaded = map(set, zip(*told(tmp_path), strict=True))
    assert parents != {str(os.getpid())} and loaded == {str(augment)}


@linux
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # in threads of Beam
def test_a_forked_worker_that_dies_is_an_error_and_the_next_ones_live(served: None, tmp_path: Path) -> None:
    with pytest.raises(FaceloomError, match="a worker process died"):
        run_tasks(range(4), dies, workers=2)
    assert run_tasks(range(4), tells(tmp_path), workers=2) == {"work": 4.0}


@linux
def test_an_error_of_ours_comes_through_from_forked_workers(served: None) -> None:
    with pytest.raises(SourceError) as caught:
        run_tasks(range(4), fails, workers=2)
    assert vars(caught.value) == vars(SourceError("gone", where="a/b"))


@linux
def test_without_its_server_a_worker_starts_on_its_own(served: None, tmp_path: Path) -> None:
    run_tasks(range(4), tells(tmp_path), workers=2)
    [server] = {int(parent) for _, parent, *_ in told(tmp_path)}
    os.kill(server, signal.SIGKILL)
    assert run_tasks(range(4), tells(tmp_path), workers=2) == {"work": 4.0}
    assert {parent for _, parent, *_ in told(tmp_path)} == {str(os.getpid())}


NO_FORK = """
import errno, os, sys
fork, calls = os.fork, []
def first_fails():
    calls.append(1)
    if len(calls) == 1:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return fork()
if "faceloom.pipelines.fork_server" in sys.orig_argv:
    os.fork = first_fails
"""


@linux
def test_a_server_that_cannot_fork_for_now_turns_one_worker_away_and_serves_the_next(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(NO_FORK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    with fork_server(recipe, 2):
        assert run_tasks(range(6), tells(tmp_path), workers=2) == {"work": 6.0}
        parents = {int(parent) for _, parent, *_ in told(tmp_path)}
        assert len(parents) == 2 and os.getpid() in parents
        assert run_tasks(range(6), tells(tmp_path), workers=2) == {"work": 6.0}
        assert {int(parent) for _, parent, *_ in told(tmp_path)} == parents - {os.getpid()}
    assert capfd.readouterr() == ("", "")


@linux
def test_ctrl_c_leaves_the_server_to_its_master(served: None, tmp_path: Path) -> None:
    run_tasks(range(4), tells(tmp_path), workers=2)
    [server] = {int(parent) for _, parent, *_ in told(tmp_path)}
    os.kill(server, signal.SIGINT)
    time.sleep(0.1)
    assert is_alive(server)


@linux
def test_a_recipe_that_cannot_be_read_keeps_no_worker_from_starting(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with fork_server(tmp_path / "none.yaml", 2):
        assert run_tasks(range(4), tells(tmp_path), workers=2) == {"work": 4.0}
    assert {loaded for _, _, loaded, *_ in told(tmp_path)} == {"10"}, "only the landmark model is missing"
    assert capfd.readouterr() == ("", "")


@linux
def test_processors_are_those_that_we_may_use() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert processors() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert processors() == len(allowed)


def test_one_worker_needs_no_server(recipe: Path) -> None:
    before = worker_command()
    with fork_server(recipe, 1):
        assert worker_command() == before


def test_elsewhere_workers_start_as_they_are(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    before = worker_command()
    with fork_server(recipe, 2):
        assert worker_command() == before
        assert shlex.split(before)[2:4] == ["-m", "faceloom.pipelines.beam_worker"]
