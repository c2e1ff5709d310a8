"""Two Dask workers against one, on this machine: time on the clock and of the processor.

    python benchmarks/on_dask.py FOLDER [--photos 800] [--rounds 3]

Makes a set of the JPEGs, each a different file. A round builds it with one worker and with two, on a cluster of
processes on loopback and a local disk; the workers are warm, the command line starts anew. Prints both times of each
round, their ratio, and the ratio by processor time, which other programs disturb less: that of one worker, divided by
that of the busier one of two. The last line compares with two plain processes at once, the machine's own limit, and
with worker processes.

It is not called dask.py, because Dask would import it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scale import RECIPE, make_set, two_at_once

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.dask_cluster import Cluster, cluster_of

TICKS = os.sysconf("SC_CLK_TCK")
QUIET = {"DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}
"""Environment of the workers, as docs/clusters.md recommends."""


@dataclass(frozen=True)
class Run:
    """Seconds of one build: on the clock, of the processor in each worker, and in the command itself."""

    wall: float
    workers: tuple[float, ...]
    driver: float


def processor_seconds(pid: int) -> float:
    """Processor time of a process so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def build(words: Sequence[object], pids: Sequence[int]) -> Run:
    """Run the command line once."""
    code = "from faceloom.pipelines.cli.app import main; main()"
    before, children = [processor_seconds(pid) for pid in pids], os.times()
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, "build", *map(str, words)], capture_output=True, text=True)
    wall = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(done.stderr)
    after = os.times()
    driver = after.children_user + after.children_system - children.children_user - children.children_system
    return Run(wall, tuple(processor_seconds(pid) - start for pid, start in zip(pids, before)), driver)


def on_cluster(cluster: Cluster, folder: Path, out: str) -> Run:
    """Build on a cluster."""
    words = (folder / "recipe.yaml", "--source", folder / "photos", "--out", folder / out)
    pids = [worker.pid for worker in cluster.workers]
    return build((*words, "--runner", "dask", "--dask-scheduler", cluster.address), pids)


def main() -> None:
    """Measure one folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=800)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    photos = [path.read_bytes() for path in sorted(asked.folder.rglob("*.jpg"))]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "recipe.yaml").write_text(RECIPE)
        make_set([data for data in photos if data[:2] == b"\xff\xd8"], asked.photos, folder / "photos")
        make_set([data for data in photos if data[:2] == b"\xff\xd8"], 4, folder / "few")
        ratios, bounds = [], []
        with cluster_of(folder / "one", 1, **QUIET) as one, cluster_of(folder / "two", 2, **QUIET) as two:
            for cluster in (one, two):  # so that imports and models are loaded
                few = (folder / "recipe.yaml", "--source", folder / "few", "--out", cluster.folder / "out")
                for _ in range(2):
                    build((*few, "--runner", "dask", "--dask-scheduler", cluster.address, "--no-resume"), [])
            for number in range(asked.rounds):
                alone, both = (on_cluster(c, folder, f"{c.folder.name}{number}") for c in (one, two))
                ratios.append(alone.wall / both.wall)
                bounds.append(alone.workers[0] / max(both.workers))
                print(
                    f"load {os.getloadavg()[0]:.1f}: 1 worker {alone.wall:.1f} s, 2 workers {both.wall:.1f} s: "
                    f"{ratios[-1]:.2f} times as fast; by processor time {bounds[-1]:.2f} ({alone.workers[0]:.1f} s; "
                    f"{', '.join(f'{spent:.1f} s' for spent in both.workers)}; command {both.driver:.1f} s)",
                    flush=True,
                )
        words = (folder / "recipe.yaml", "--source", folder / "photos", "--out", folder / "local", "--workers", 2)
        local = build(words, [])
        floor = [sys.executable, str(Path(__file__).parent / "floor.py"), str(folder / "photos")]
        print(
            f"{asked.photos} photos, medians: {statistics.median(ratios):.2f} times as fast, by processor time "
            f"{statistics.median(bounds):.2f}; two plain processes {two_at_once(floor):.2f}; "
            f"2 worker processes of this machine {local.wall:.1f} s"
        )


if __name__ == "__main__":
    main()
