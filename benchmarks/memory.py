"""Peak memory of a process and of the processes below it, read from /proc (Linux).

`getrusage` knows finished children only. Worker processes are children of the server that they are forked from, so it
never counts them.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS = 0.1
"""Between two samples. VmHWM is a peak that the kernel keeps, so only growth in a process's last moments is missed."""


@contextmanager
def watched(root: int) -> Iterator[dict[int, int]]:
    """Watch a process and all its descendants while the block runs.

    Yields:
        Peak resident set in MB by process id; it fills while the block runs.
    """
    peaks: dict[int, int] = {}
    done = threading.Event()

    def sample() -> None:
        last = False
        while not last:
            last = done.wait(SECONDS)  # and one more time at the end
            for process in descendants(root):
                peaks[process] = max(peaks.get(process, 0), peak_of(process))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        done.set()
        thread.join()


def descendants(root: int) -> set[int]:
    """A process and all processes below it."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # the process ended meanwhile
            continue
    found = {root}
    while more := {process for process, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def peak_of(process: int) -> int:
    """Peak resident set of a process in MB; 0 if it has ended."""
    try:
        match = re.search(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(match[1]) // 1024 if match else 0
