"""Functions for worker processes, which must find them by name."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from faceloom.pipelines.run.progress import tick
from faceloom.schemas.errors import FaceloomError

Task = tuple[str, int]


def leave_a_file(task: Task, folder: Path) -> tuple[str, Task, dict[str, float]]:
    """Leave a line per attempt, so that a task done twice is seen."""
    key, number = task
    with (folder / f"{key}-{number}").open("a") as stream:
        stream.write(f"{os.getpid()}\n")
    tick()
    return key, task, {"work": 0.5, f"of {key}": 0.25}


def count_group(task: Task, folder: Path) -> None:
    done = len(list(folder.glob(f"{task[0]}-*")))
    with (folder / f"{task[0]}.then").open("a") as stream:
        stream.write(f"{done}\n")


def fail(task: Any, error: Exception) -> Any:
    raise error


def fail_at(task: Task, bad: Task, error: FaceloomError, folder: Path) -> Any:
    if task == bad:
        raise error
    return leave_a_file(task, folder)


def pass_on(task: Task) -> tuple[str, Task, dict[str, float]]:
    return task[0], task, {}


def describe(name: str) -> tuple[str | None, str, int]:
    """An environment variable, the working folder and the number of OpenCV's threads."""
    import cv2

    return os.environ.get(name), str(Path.cwd()), cv2.getNumThreads()


def die(task: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def die_if_not_first(task: Task) -> Any:
    if task[1]:
        os.kill(os.getpid(), signal.SIGKILL)
    return pass_on(task)


def sleep(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def sleep_then_pass_on(task: Task, folder: Path) -> Any:
    (folder / str(os.getpid())).touch()
    time.sleep(60)


def process_number(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def tick_and_wait(folder: Path) -> int:
    tick(5)
    (folder / "ticked").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    return 5


def double(number: int) -> int:
    return 2 * number


def refuse(message: str) -> Any:
    raise ValueError(message)
