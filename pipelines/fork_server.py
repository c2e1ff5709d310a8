"""A process that imports once what every worker needs and then forks them, so that they start at once.

Only on Linux: elsewhere forking a process that has loaded system libraries is not safe, and nothing would end a server
whose master was killed. Without a server workers start as they are.
"""

from __future__ import annotations

import contextlib
import gc
import os
import secrets
import signal
import socket
import struct
import subprocess
import sys
import traceback
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from faceloom.pipelines import beam_worker
from faceloom.pipelines.fork_client import DONE, STARTED
from faceloom.schemas.errors import FaceloomError

PRELOADED = (
    "apache_beam.runners.worker.sdk_worker_main",
    "cv2",
    "dlib",
    "pyarrow.parquet",
    "faceloom.pipelines.build",
)


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def fork_server(recipe: Path, workers: int) -> Iterator[None]:
    """Have all workers that this process starts meanwhile forked from one server, which gets ready beside it.

    Args:
        recipe: a recipe's file, whose landmark model the server loads, and Albumentations if it has `augment`; no
            error if these are not to be had.
        workers: how many there will be; for one, which works in this process, there is no server.
    """
    if workers == 1 or sys.platform != "linux":
        yield
        return
    address = f"faceloom-{secrets.token_hex(16)}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{address}")  # clients may knock before the server is ready
        listener.listen(128)
        command = [sys.executable, "-m", __name__, str(listener.fileno()), str(os.getpid()), str(recipe)]
        # Ctrl-C reaches the whole process group, but it is the master that ends its workers: they and their server
        # never hear of it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            # Threads do not survive a fork; those of OpenBLAS would start with the import.
            environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
            server = subprocess.Popen(command, pass_fds=[listener.fileno()], env=environment)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        with beam_worker.forked_by(address, server.pid):
            yield
    finally:
        server.kill()
        server.wait()


def main(descriptor: int, master: int, recipe: Path) -> NoReturn:
    """Get ready, then fork a worker for everyone who connects, until the master dies."""
    beam_worker.die_with(master)
    gc.disable()  # nothing that is loaded now is ever garbage; looking for some takes a tenth of the time
    _preload(recipe)
    gc.freeze()  # what all share stays shared
    gc.enable()
    signal.signal(signal.SIGCHLD, _reap)
    own = os.getpid()
    with socket.socket(fileno=descriptor) as listener:
        while True:
            client, _ = listener.accept()
            with client:
                if _is_fork():
                    listener.close()
                    _work(client, own)


def _is_fork() -> bool:
    """Fork, if there are memory and processes for it; whether this is the new process.

    A client that is turned away starts its worker itself. Were the server to end, so would all that it has forked.
    """
    try:
        return not os.fork()
    except OSError:
        return False


def _preload(recipe: Path) -> None:
    beam_worker.quiet_beam()
    with contextlib.suppress(FaceloomError, ImportError):  # those who need it will say what is missing
        for module in PRELOADED:
            import_module(module)
        from faceloom.pipelines.model_files import find_landmark_model, load_detector, load_predictor
        from faceloom.schemas.recipe import load_recipe

        load_detector()
        loaded = load_recipe(recipe)
        load_predictor(find_landmark_model(loaded.faces.landmark_model))
        if loaded.augment:
            from faceloom.transforms.augment import load_albumentations

            load_albumentations()


def _reap(*_: object) -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _work(client: socket.socket, server: int) -> NoReturn:
    """Be the worker that a client asked for, with its environment."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _, user, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if user == os.getuid():  # the abstract namespace knows no permissions
            with client.makefile("rb") as stream:
                environment = dict(pair.split(b"=", 1) for pair in stream.read().split(b"\0"))
            os.environ.clear()
            os.environb.update(environment)
            client.sendall(STARTED)
            beam_worker.work(server, lambda: client.sendall(DONE))
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
