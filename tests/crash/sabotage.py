"""The command line with one fault in it: `python sabotage.py build …`, for tests.

The environment variable FACELOOM_SABOTAGE names the fault as JSON: `call`, a key of CALLS; `at`, the number of the call
that fails, counted over all processes of the build; `error`, an errno or "memory"; `folder`, where calls are counted.
With `clock`, a seed, time.time() jumps by years instead. Without `call`, all calls are only counted.
"""

from __future__ import annotations

import functools
import json
import os
import random
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

VARIABLE = "FACELOOM_SABOTAGE"
ORDERED = json.loads(os.environ.get(VARIABLE, "{}"))

DISK = {"fsync": "os", "replace": "os"}
STAGES = {
    "analyse_photo": "faceloom.transforms.analyse",
    "write_faces": "faceloom.pipelines.store.parquet_tables",
    "choose_faces": "faceloom.pipelines.plan.choose",
    "make_plan": "faceloom.pipelines.plan.shard_layout",
    "write_planned": "faceloom.pipelines.store.planned_rows",
    "decode_rgb": "faceloom.transforms.decode",
    "compose_sample": "faceloom.pipelines.render.sample",
    "encode_sample": "faceloom.pipelines.render.sample",
    "write_index": "faceloom.pipelines.store.parquet_tables",
    "join_shard": "faceloom.pipelines.render.join_shard",
    "make_record": "faceloom.pipelines.store.build_record",
    "write_record": "faceloom.pipelines.store.build_record",
}
WRITE = "write"
"""Calls of `write` on a file of `Storage.write`."""
CALLS = {**DISK, **STAGES}
"""Functions that can fail, with their modules."""


def main() -> None:
    """Run the command line with the fault, here and in worker processes."""
    from faceloom.pipelines import build
    from faceloom.pipelines.cli.app import main as run
    from faceloom.pipelines.run import worker_pool

    real = worker_pool.start_server

    def start_server(modules: Any = ()) -> None:
        real([*modules, Path(__file__).stem])  # the server of worker processes imports this file last

    for module in (worker_pool, build):
        vars(module)["start_server"] = start_server
    break_it()
    run()


def break_it() -> None:
    """Replace functions in all modules that have them."""
    if "clock" in ORDERED:
        chance, clock = random.Random(ORDERED["clock"]), time.time
        time.time = lambda: clock() + chance.uniform(-5, 5) * 365 * 86400
        return
    import_module("faceloom.pipelines.build")
    import_module("faceloom.transforms.analyse")
    for name, place in CALLS.items():
        if ORDERED.get("call", name) == name:
            real = getattr(import_module(place), name)
            broken = _counted(name, real)
            for module in list(sys.modules.values()):
                if getattr(module, name, None) is real:
                    setattr(module, name, broken)
    if ORDERED.get("call", WRITE) == WRITE:
        _break_write()


def _counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def call(*arguments: Any, **options: Any) -> Any:
        _fail_in_turn(name)
        return real(*arguments, **options)

    return call


def _fail_in_turn(name: str) -> None:
    # The place where an appended byte lands is the number of the call, whatever the process.
    handle = os.open(Path(ORDERED["folder"], name), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(handle, b".")
    number = os.lseek(handle, 0, os.SEEK_CUR)
    os.close(handle)
    if number == ORDERED.get("at"):
        if ORDERED["error"] == "memory":
            raise MemoryError
        raise OSError(ORDERED["error"], os.strerror(ORDERED["error"]))


def _break_write() -> None:
    from contextlib import contextmanager

    from faceloom.pipelines.store.storage import Storage

    real: Any = Storage.write

    @contextmanager
    def write(self: Storage, *arguments: Any, **options: Any) -> Any:
        with real(self, *arguments, **options) as stream:
            yield _Stream(stream)

    Storage.write = write  # type: ignore[method-assign]


class _Stream:
    """A file whose `write` is counted."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, data: Any) -> Any:
        _fail_in_turn(WRITE)
        return self._stream.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


if __name__ == "__main__":
    main()
elif ORDERED:  # in the server of worker processes
    break_it()
