"""Builds against the floor, side by side in one run: ratios, Beam's share, and where the time goes.

    python benchmarks/speed.py --large FOLDER --small FOLDER --aligned FOLDER [--rounds 3]

Each round runs the floor, a polygon build, a template build, the same polygon build without Beam, and the floor again,
each in a process of its own with one OpenCV thread; a build's ratio is taken to the mean of the two floors around it.
Figures are medians over rounds. Report the machine's load with them: it is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

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
            work[masks] = build["work_ms"]
        shares.append(1 - bare["seconds"] / builds["polygon"]["seconds"])
        floor = after
    print(f"\n{name}: {floor['photos']} photos, {floor['faces']} faces, load {os.getloadavg()[0]:.1f}")
    print(f"  floor      {1000 * statistics.median(floors):6.2f} ms/photo")
    for masks, values in ratios.items():
        shown = ", ".join(f"{value:.2f}" for value in sorted(values))
        print(f"  {masks:10} {statistics.median(values):6.2f} x floor  ({shown})")
    print(f"  Beam's share of the polygon build {100 * statistics.median(shares):.0f} %")
    for masks, stages in work.items():
        print(f"  {masks:10} ms/photo: " + ", ".join(f"{stage} {value:.2f}" for stage, value in stages.items()))


def main() -> None:
    """Measure the folders that are given."""
    parser = argparse.ArgumentParser()
    for name in ("large", "small", "aligned"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    for name in ("large", "small", "aligned"):
        if folder := getattr(asked, name):
            measure(name, folder, asked.rounds)


if __name__ == "__main__":
    main()
