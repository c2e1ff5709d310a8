"""Milliseconds per morph of 224 x 224 pixels on one core, whole and by step.

    python benchmarks/morph.py [--rounds 200]

The two faces are synthetic and of full size; their content does not change the cost. Other work on the machine does not
affect the processor time of one thread; wall time is printed beside it, with the load.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np

from faceloom.transforms.geometry import similarity
from faceloom.transforms.morph.blend import face_hull, feathered, mix, paste
from faceloom.transforms.morph.mesh import folded_triangles, triangulate, with_border
from faceloom.transforms.morph.morph import Background, morph_faces
from faceloom.transforms.morph.warp import remap_coordinates, sample, triangle_map

SIZE = (224, 224)


def ellipse(centre: tuple[float, float], radii: tuple[float, float], angles: np.ndarray) -> np.ndarray:
    """Points on an ellipse; angles in degrees, from right to down."""
    turned = np.radians(angles)
    return np.column_stack([centre[0] + radii[0] * np.cos(turned), centre[1] + radii[1] * np.sin(turned)])


def face(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture and 68 landmarks of about a face's layout, moved a little by the seed."""
    rng = np.random.default_rng(seed)
    around = np.linspace(180, 540, 7)[:-1]
    parts = [
        ellipse((112, 95), (72, 105), np.linspace(180, 0, 17)),
        ellipse((80, 80), (22, 10), np.linspace(200, 340, 5)),
        ellipse((144, 80), (22, 10), np.linspace(200, 340, 5)),
        np.column_stack([np.full(4, 112.0), np.linspace(92, 124, 4)]),
        ellipse((112, 132), (14, 5), np.linspace(180, 0, 5)),
        ellipse((80, 94), (12, 5), around),
        ellipse((144, 94), (12, 5), around),
        ellipse((112, 162), (24, 10), np.linspace(180, 540, 13)[:-1]),
        ellipse((112, 162), (18, 4), np.linspace(180, 540, 9)[:-1]),
    ]
    landmarks = np.concatenate(parts) + rng.normal(size=(68, 2)) * 0.7 + rng.normal(size=2) * 3
    coarse = rng.integers(60, 200, (14, 14, 3), dtype=np.uint8)
    grain = rng.integers(0, 12, (224, 224, 3), dtype=np.uint8)
    return cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC) + grain, landmarks.astype(np.float32)


def clocked(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median milliseconds of processor time and on the wall."""
    work()
    spent, passed = [], []
    for _ in range(rounds):
        before, start = time.thread_time(), time.perf_counter()
        work()
        spent.append(time.thread_time() - before)
        passed.append(time.perf_counter() - start)
    return 1000 * statistics.median(spent), 1000 * statistics.median(passed)


def main() -> None:
    """Print a table of whole morphs, then one of their steps."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    cv2.setNumThreads(1)
    (image, here), (other, there) = face(1), face(2)
    same = similarity(1, 0)
    large = cv2.resize(other, (896, 896), interpolation=cv2.INTER_CUBIC)
    from_large = similarity(0.25, 0, (-0.5, -0.5), (-0.5, -0.5))
    there_large = ((there + 0.5) * 4 - 0.5).astype(np.float32)

    def morph(background: Background) -> Callable[[], object]:
        return lambda: morph_faces(image, here, other, there, same, background=background)

    print(f"one morph of 224 x 224, median of {rounds}, load {os.getloadavg()[0]:.1f}")
    whole: dict[str, Callable[[], object]] = {
        "plain": morph("target"),
        "gradient": morph("gradient"),
        "plain, from 896 x 896": lambda: morph_faces(image, here, large, there_large, from_large),
    }
    for name, work in whole.items():
        spent, passed = clocked(work, rounds)
        print(f"  {name:24} {spent:6.2f} ms processor, {passed:6.2f} ms wall")
    mesh_here, mesh_there = with_border(here, SIZE, there)
    mesh = ((mesh_here + mesh_there) / 2).astype(np.float32)
    triangles = triangulate(mesh)
    labels, inside = triangle_map(mesh, triangles, SIZE), face_hull(mesh[:68], SIZE)
    where, alpha = remap_coordinates(labels, triangles, mesh, mesh_here), feathered(inside, 15)
    steps: dict[str, Callable[[], object]] = {
        "mesh": lambda: triangulate(mesh),
        "fold check": lambda: folded_triangles(mesh_here, triangles),
        "triangle of each pixel": lambda: triangle_map(mesh, triangles, SIZE),
        "map": lambda: remap_coordinates(labels, triangles, mesh, mesh_here),
        "read, cubic": lambda: sample(image, where),
        "hull and soft edge": lambda: feathered(face_hull(mesh[:68], SIZE), 15),
        "mix": lambda: mix(image, other, alpha, 0.5, 18),
        "paste": lambda: paste(image, other, inside, alpha, 0.5),
    }
    print("steps, on the whole picture")
    for name, work in steps.items():
        print(f"  {name:24} {clocked(work, rounds)[0]:6.2f} ms processor")


if __name__ == "__main__":
    main()
