"""Builds against the floor, side by side in one run: ratios, Beam's share, and where the time goes.

    python benchmarks/speed.py --large FOLDER --small FOLDER --aligned FOLDER [--rounds 3] [--sizes 600 1200 2400]

Each round runs the floor, a polygon build, a template build, the same polygon build without Beam, and the floor again,
each in a process of its own with one OpenCV thread; a build's ratio is taken to the mean of the two floors around it.
Figures are medians over rounds, on the clock and in processor time. Report the machine's load with them: it is printed.
With --sizes, template builds of so many files from each folder show what a build costs once, and what a photo costs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scale import make_set

HERE = Path(__file__).parent


def run(script: str, *arguments: str) -> dict[str, Any]:
    """Run one measurement in its own process."""
    command = [sys.executable, str(HERE / script), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return facts


def measure(name: str, folder: str, rounds: int) -> None:
    """Measure one folder and print its rows."""
    aligned = ["--aligned"] if name == "aligned" else []
    ratios: dict[str, list[float]] = {"polygon": [], "template": []}
    by_cpu: dict[str, list[float]] = {"polygon": [], "template": []}
    shares, floors = [], []
    work: dict[str, dict[str, float]] = {}
    floor = run("floor.py", folder, *aligned)
    for _ in range(rounds):
        builds = {masks: run("one_build.py", folder, masks, *aligned) for masks in ratios}
        bare = run("one_build.py", folder, "polygon", *aligned, "--without-beam")
        after = run("floor.py", folder, *aligned)
        around = (floor["seconds"] + after["seconds"]) / 2
        floors.append(around)
        for masks, build in builds.items():
            ratios[masks].append(build["seconds"] / around)
            by_cpu[masks].append(2 * build["cpu"] / (floor["cpu"] + after["cpu"]))
            work[masks] = build["work_ms"]
        shares.append(1 - bare["seconds"] / builds["polygon"]["seconds"])
        floor = after
    print(f"\n{name}: {floor['photos']} photos, {floor['faces']} faces, load {os.getloadavg()[0]:.1f}")
    print(f"  floor      {1000 * statistics.median(floors):6.2f} ms/photo")
    for masks, values in ratios.items():
        shown = ", ".join(f"{value:.2f}" for value in sorted(values))
        cpu = statistics.median(by_cpu[masks])
        print(f"  {masks:10} {statistics.median(values):6.2f} x floor  ({shown}), {cpu:.2f} in processor time")
    print(f"  Beam's share of the polygon build {100 * statistics.median(shares):.0f} %")
    for masks, stages in work.items():
        print(f"  {masks:10} ms/photo: " + ", ".join(f"{stage} {value:.2f}" for stage, value in stages.items()))


def measure_growth(name: str, folder: str, sizes: list[int], rounds: int) -> None:
    """Print what a template build costs once and for each photo: least squares over sets of some sizes."""
    photos = [path.read_bytes() for path in sorted(Path(folder).rglob("*.jpg"))]
    aligned = ["--aligned"] if name == "aligned" else []
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for size in sizes:
            make_set(photos, size, Path(temporary) / str(size))
        for _ in range(rounds):
            for size in sizes:
                set_of_size = str(Path(temporary) / str(size))
                floor = run("floor.py", set_of_size, *aligned)["cpu"]
                build = run("one_build.py", set_of_size, "template", *aligned)["cpu"]
                rows.append((size, floor, build))
                print(
                    f"  {name}, {size} photos: floor {1000 * floor:.2f}, build {1000 * build:.2f} ms of processor time"
                )
    each, once = np.polyfit([size for size, _, _ in rows], [size * build for size, _, build in rows], 1)
    floor = statistics.median(floor for _, floor, _ in rows)
    print(f"  {name}: once {once:.2f} s, each photo {1000 * each:.2f} ms, {each / floor:.2f} x floor; ", end="")
    print(f"load {os.getloadavg()[0]:.1f}")


def main() -> None:
    """Measure the folders that are given."""
    parser = argparse.ArgumentParser()
    for name in ("large", "small", "aligned"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[])
    asked = parser.parse_args()
    for name in ("large", "small", "aligned"):
        if folder := getattr(asked, name):
            if asked.sizes:
                measure_growth(name, folder, asked.sizes, asked.rounds)
            else:
                measure(name, folder, asked.rounds)


if __name__ == "__main__":
    main()
