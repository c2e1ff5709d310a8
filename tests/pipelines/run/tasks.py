"""Functions for worker processes, which must find them by name."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from faceloom.pipelines.run.progress import tick
from faceloom.pipelines.run.unforeseen import naming
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, StorageError

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
    time.sleep(600)


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


def tick_until(task: Task, folder: Path) -> tuple[str, Task, dict[str, float]]:
    """Tick twenty times a second until a file `go` is there, for a minute at most, and leave a file."""
    (folder / f"began-{task[1]}").touch()
    end = time.monotonic() + 60
    while not (folder / "go").exists() and time.monotonic() < end:
        time.sleep(0.05)
        tick()
    (folder / f"ended-{task[1]}").touch()
    return pass_on(task)


def die_once(task: Task, folder: Path) -> Any:
    """Kill the process of the first attempt at task 1, in the middle of a file."""
    with Storage(str(folder)).write(f"work/{task[1]}") as stream:
        stream.write(b"half")
        if task[1] == 1 and not (folder / "died").exists():
            (folder / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        stream.write(b" and half")
    return leave_a_file(task, folder)


def take_memory(task: Task, folder: Path) -> Any:
    """Take more memory than some processes may have, without touching it."""
    import numpy as np

    with (folder / f"tried-{task[0]}-{task[1]}").open("a") as stream:
        stream.write("x")
    with naming(f"part {task[1]}"):
        np.zeros(2**33, np.uint8)
    return leave_a_file(task, folder)


def fill_memory(task: Task) -> Any:
    """Take more and more memory, and use it."""
    held = []
    for _ in range(40):
        held.append(bytearray(os.urandom(2**20) * 50))
        time.sleep(0.05)
    return pass_on(task)


def fail_then_die_elsewhere(task: Task, folder: Path) -> Any:
    """Fail in the first process, kill the second one, and succeed in the first one again."""
    failed = folder / "failed"
    if not failed.exists():
        failed.write_text(str(os.getpid()))
        raise StorageError("cannot be written", where="x")
    if failed.read_text() != str(os.getpid()):
        os.kill(os.getpid(), signal.SIGKILL)
    return leave_a_file(task, folder)
