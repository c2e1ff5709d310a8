"""How a build grows: workers against one, and peak memory from a small set to a large one.

    python benchmarks/scale.py FOLDER [--small 1000] [--large 20000]

Makes sets of the given sizes from the folder's photos. The files differ by a JPEG comment, and cost as much work as
their originals. Prints the time of one and two workers on the small set, start-up included; how much two plain
processes do at once, which is the machine's own limit; and the peak memory of a worker process on both sets (Linux).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from memory import watched

RECIPE = "name: scale\nmasks:\n- {kind: template, template: surgical}\n- {kind: polygon, shape: C}\n"


def make_set(photos: list[bytes], count: int, to: Path) -> None:
    """Write `count` JPEGs that all differ."""
    to.mkdir()
    for number in range(count):
        data = photos[number % len(photos)]
        comment = b"\xff\xfe\x00\x0a%08d" % number
        (to / f"{number:06d}.jpg").write_bytes(data[:2] + comment + data[2:])


def build(source: Path, out: Path, recipe: Path, workers: int) -> tuple[float, list[int]]:
    """Seconds and peak MB (the process, its largest worker process) of one run of the command line."""
    arguments = ["build", str(recipe), "--source", str(source), "--out", str(out), "--workers", str(workers), "--json"]
    begin = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", "from faceloom.pipelines.cli.app import main; main()", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        with watched(process.pid) as peaks:
            _, complaint = process.communicate()
        seconds = time.perf_counter() - begin
    if process.returncode:
        raise SystemExit(complaint)
    own = peaks.pop(process.pid)
    return seconds, [own, max(peaks.values(), default=0)]


def two_at_once(command: list[str]) -> float:
    """How much two plain processes do in the time of one: the machine's own limit for the speed-up."""
    begin = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    alone = time.perf_counter() - begin
    begin = time.perf_counter()
    both = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]
    for process in both:
        process.wait()
    return 2 * alone / (time.perf_counter() - begin)


def main() -> None:
    """Measure one folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--small", type=int, default=1000)
    parser.add_argument("--large", type=int, default=20000)
    asked = parser.parse_args()
    photos = [path.read_bytes() for path in sorted(asked.folder.rglob("*.jpg"))]
    photos = [data for data in photos if data[:2] == b"\xff\xd8"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        recipe = folder / "recipe.yaml"
        recipe.write_text(RECIPE)
        make_set(photos, asked.small, folder / "small")
        print(f"load {os.getloadavg()[0]:.1f}")
        floor = [sys.executable, str(Path(__file__).parent / "floor.py"), str(folder / "small")]
        print(f"two plain processes at once do {two_at_once(floor):.2f} times the work of one")
        one, peaks_one = build(folder / "small", folder / "one", recipe, 1)
        two, peaks_two = build(folder / "small", folder / "two", recipe, 2)
        print(f"{asked.small} photos: 1 worker {one:.1f} s, 2 workers {two:.1f} s: {one / two:.2f} times as fast")
        print(f"peak MB (1 worker in the process; 2 workers: process, largest worker): {peaks_one[:1]}, {peaks_two}")
        if asked.large:
            make_set(photos, asked.large, folder / "large")
            three, peaks_large = build(folder / "large", folder / "three", recipe, 2)
            print(f"{asked.large} photos: 2 workers {three:.1f} s, peak MB (process, largest worker): {peaks_large}")


if __name__ == "__main__":
    main()
