"""Ways to disturb a build. Each returns what it did, and what was wrong with how the build ended."""

from __future__ import annotations

import errno
import os
import random
import re
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.crash import sabotage
from tests.crash.bench import Bench, Ended, living, photo_files

Disturbance = Callable[[Bench, Path, random.Random], tuple[str, list[str]]]


_INFORMING = re.compile(r"Warning: (README\.md|logs/last_run\.json)")
"""Of files without which a build is whole."""


def faults_of(ended: Ended, *codes: int) -> list[str]:
    """What is wrong with an end, beside an exit code that is none of these."""
    faults = [] if ended.code in codes else [f"exit code {ended.code}: {ended.err[-400:]}"]
    if "Traceback" in ended.err:
        faults.append(f"a traceback: {ended.err[-800:]}")
    if "Error: unexpected" in ended.err:
        faults.append(f"an unexpected error: {ended.err[-400:]}")
    return faults + ([f"{len(ended.left)} processes live on"] if ended.left else [])


def kill(bench: Bench, out: Path, chance: random.Random, *, victim: str) -> tuple[str, list[str]]:
    """Kill the whole group, its master, or one other process of it, at a moment of chance."""
    wait = chance.uniform(0, 1.1) * bench.seconds

    def disturb(process: subprocess.Popen[str]) -> None:
        time.sleep(wait)
        others = sorted(set(living(process.pid)) - {process.pid})
        if process.poll() is not None:
            return
        if victim == "group":
            os.killpg(process.pid, signal.SIGKILL)
        elif victim == "master":
            process.kill()
        elif others:
            os.kill(chance.choice(others), signal.SIGKILL)

    ended = bench.run(out, disturb=disturb)
    codes = (0, 1) if victim == "one process" else (0, -signal.SIGKILL)
    return f"after {wait:.2f} s", faults_of(ended, *codes)


def pause(bench: Bench, out: Path, chance: random.Random) -> tuple[str, list[str]]:
    """Stop all processes for a second, and let them continue."""
    wait = chance.uniform(0, 0.9) * bench.seconds

    def disturb(process: subprocess.Popen[str]) -> None:
        time.sleep(wait)
        for number in (signal.SIGSTOP, signal.SIGCONT):
            if process.poll() is None:
                os.killpg(process.pid, number)
                time.sleep(1)

    return f"after {wait:.2f} s", faults_of(bench.run(out, disturb=disturb), 0)


def fail(
    bench: Bench, out: Path, chance: random.Random, *, calls: tuple[str, ...], errors: tuple[int | str, ...]
) -> tuple[str, list[str]]:
    """Let one call of one function fail."""
    call, error = chance.choice([call for call in calls if bench.calls.get(call)]), chance.choice(errors)
    at, folder = chance.randint(1, bench.calls[call]), out.with_name(f"{out.name}-calls")
    folder.mkdir()
    ended = bench.run(out, fault={"call": call, "at": at, "error": error, "folder": str(folder)})
    count = folder / call
    failed = count.exists() and count.stat().st_size >= at
    name = error if isinstance(error, str) else errno.errorcode[error]
    return f"{name} in call {at} of {call}", faults_of(ended, 1 if failed and not _INFORMING.search(ended.err) else 0)


def fill(bench: Bench, out: Path, chance: random.Random) -> tuple[str, list[str]]:
    """Let no file grow beyond some size, as on a full disk."""
    size = chance.randint(0, 150_000)
    ended = bench.run(out, limit=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
    return f"files of {size:,} bytes at most", faults_of(ended, 0, 1, 2)


def shift_clock(bench: Bench, out: Path, chance: random.Random) -> tuple[str, list[str]]:
    """Let the clock jump by years, and date half of the photos far in the future or in 1970."""
    for file in photo_files(bench, chance):
        os.utime(file, (when := chance.choice([0, 4_102_444_800]), when))
    seed = chance.randrange(2**32)
    return f"seed {seed}", faults_of(bench.run(out, fault={"clock": seed}), 0)


DISK: tuple[str, ...] = (*sabotage.DISK, sabotage.WRITE)
KINDS: dict[str, Disturbance] = {
    "kill group": partial(kill, victim="group"),
    "kill master": partial(kill, victim="master"),
    "kill one process": partial(kill, victim="one process"),
    "pause": pause,
    "EIO": partial(fail, calls=DISK, errors=(errno.EIO,)),
    "full disk": partial(fail, calls=(sabotage.WRITE, "fsync"), errors=(errno.ENOSPC, errno.EDQUOT)),
    "file size": fill,
    "MemoryError": partial(fail, calls=tuple(sabotage.STAGES), errors=("memory",)),
    "clock": shift_clock,
}
