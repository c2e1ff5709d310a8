"""Exact nearest neighbours against the naive loop: the factor, and growth of time and memory with the set.

    python benchmarks/neighbours.py [--faces 2000 8000 20000] [--scratch FOLDER]

Faces are synthetic, made in the scratch folder (150 kB each): mixtures of 200 smooth patterns with the falling strength
of eigenfaces, a tint, and detail with the spectrum of natural pictures. They are somewhat harder than 228 real crops:
the means of 8 x 8 pixels miss 9 % of a squared distance, not 7, and in grey levels each face needs 23 full comparisons,
not 16. Landmarks are a mean shape, ten modes and noise.

The loop compares float32 pictures in memory, each pair once; it is timed on 1,600 pairs, before and after, and scaled.
The search is timed whole, sketches included, in blocks of 1,000 read from disk. Ratios use processor time, which other
work on the machine hardly affects; limit BLAS to one thread for them (OPENBLAS_NUM_THREADS=1).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.lib.format import open_memmap

from faceloom.transforms.neighbours import exact
from faceloom.transforms.neighbours.exact import nearest
from faceloom.transforms.neighbours.faces import Faces, Metric
from faceloom.transforms.neighbours.sketch import sketch, split_at

SIDE, PATTERNS, BLOCK, WANTED = 224, 200, 1000, 10
METRICS = {"texture 0 to 1": Metric(10, 255), "grey levels": Metric(10, 1)}


def natural_noise(rng: np.random.Generator, side: int, steepness: float) -> np.ndarray:
    """Noise of unit spread whose amplitude falls with frequency."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    frequency[0, 0] = 1
    picture = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((side, side))) / frequency**steepness, s=(side, side))
    return ((picture - picture.mean()) / picture.std()).astype(np.float32)


def draw_faces(count: int) -> Iterator[np.ndarray]:
    """Synthetic faces, uint8 (224, 224, 3), one after another."""
    rng = np.random.default_rng(1)
    patterns = np.stack([natural_noise(rng, 56, 1.5) for _ in range(PATTERNS)]).reshape(PATTERNS, -1)
    strength = ((1 + np.arange(PATTERNS)) ** -0.65).astype(np.float32)
    strength *= 38 / np.sqrt((strength**2).sum())
    details = [natural_noise(rng, SIDE, 0.6) for _ in range(48)]
    for number in range(count):
        if number % 100 == 0:
            mixed = (rng.standard_normal((100, PATTERNS), np.float32) * strength) @ patterns
        face = cv2.resize(mixed[number % 100].reshape(56, 56), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        first, second = rng.integers(0, len(details), 2)
        shift = rng.integers(0, SIDE, 2)
        face += 6.8 * np.roll(details[first], shift, (0, 1)) + 6.8 * details[second][::-1]
        tint = (125 + rng.standard_normal(3) * 9).astype(np.float32)
        yield cv2.merge([cv2.add(face, float(one), dtype=cv2.CV_8U) for one in tint])


def make_textures(path: Path, count: int) -> None:
    """Write `count` synthetic faces, uint8 (count, 224, 224, 3)."""
    out = open_memmap(path, "w+", np.uint8, (count, SIDE, SIDE, 3))
    for number, face in enumerate(draw_faces(count)):
        out[number] = face
    out.flush()


def make_landmarks(count: int) -> np.ndarray:
    """Landmarks of `count` faces, float32 (count, 68, 2)."""
    rng = np.random.default_rng(2)
    modes = rng.standard_normal((10, 136)) * np.linspace(3, 0.8, 10)[:, None]
    shapes = rng.standard_normal((count, 10)) @ modes + 0.8 * rng.standard_normal((count, 136))
    return (rng.random(136) * SIDE + shapes).reshape(count, 68, 2).astype(np.float32)


def load(path: Path, sketches: np.ndarray, landmarks: np.ndarray) -> Faces:
    """All faces as one block, textures and sketches still on disk."""
    count = len(landmarks)
    names = [f"{number:08d}" for number in range(count)]
    people = [f"person {number // 3}" for number in range(count)]
    return Faces(names, names, people, landmarks, np.load(path, mmap_mode="r", allow_pickle=False), sketches)


def blocks(faces: Faces) -> list[Faces]:
    """Blocks of at most `BLOCK` faces."""
    return [faces[start : start + BLOCK] for start in range(0, len(faces), BLOCK)]


@contextmanager
def memory_watched() -> Iterator[list[int]]:
    """Peak of the process's own memory in kB, above what it had; pages of mapped files can be dropped any time."""

    def own() -> int:
        text = Path("/proc/self/status").read_text()
        return int(text.split("RssAnon:")[1].split()[0])

    def watch() -> None:
        while not done.wait(0.01):
            peak[0] = max(peak[0], own() - start)

    peak, start, done = [0], own(), threading.Event()
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def loop_seconds_per_pair(faces: Faces, metric: Metric, size: int = 200, turns: int = 4) -> float:
    """Processor seconds that the naive loop takes for a pair of full pictures, which it has in memory as float32.

    There are more of them than a processor's cache holds, as in the whole set.
    """
    size = min(size, len(faces))
    pictures = np.asarray(faces.textures[:size], np.float32) / np.float32(metric.white)
    shapes = faces.landmarks[:size]
    start = time.process_time()
    for first in range(turns):
        for second in range(size):
            metric.weight * np.linalg.norm(shapes[first] - shapes[second]) + np.linalg.norm(
                pictures[first] - pictures[second]
            )
    return (time.process_time() - start) / (turns * size)


def missed(faces: Faces) -> float:
    """Share of squared texture distances that the means of cells miss."""
    first, second = faces.textures[:200:2].astype(np.float64), faces.textures[1:200:2].astype(np.float64)
    split = split_at(faces.textures.shape)
    seen = (faces.sketches[:200:2, :split] - faces.sketches[1:200:2, :split]).astype(np.float64)
    return 1 - float((seen**2).sum() / ((first - second) ** 2).sum())


def measure(path: Path, count: int, scratch: Path) -> None:
    """Print the rows of one size."""
    landmarks, textures = make_landmarks(count), np.load(path, mmap_mode="r", allow_pickle=False)[:count]
    start = time.process_time()
    sketches = open_memmap(scratch / "sketches.npy", "w+", np.float32, (count, sketch(textures[:1]).shape[1]))
    for place in range(0, count, BLOCK):
        sketches[place : place + BLOCK] = sketch(textures[place : place + BLOCK])
    sketching = time.process_time() - start
    faces = load(path, sketches, landmarks)
    print(
        f"\n{count} faces, load {os.getloadavg()[0]:.1f}, sketches {sketching:.1f} s, miss {100 * missed(faces):.1f} %"
    )
    compared, compare = [0], vars(exact)["compare"]

    def counted(*given: object) -> tuple[float, float, float]:
        compared[0] += 1
        pair: tuple[float, float, float] = compare(*given)
        return pair

    for name, metric in METRICS.items():
        pair = loop_seconds_per_pair(faces, metric)
        compared[0], vars(exact)["compare"] = 0, counted
        with memory_watched() as peak:
            start, spent = time.perf_counter(), time.process_time()
            for part in blocks(faces):
                nearest(part, blocks(faces), metric, WANTED)
            seconds, spent = time.perf_counter() - start, time.process_time() - spent
        vars(exact)["compare"] = compare
        loop = (pair + loop_seconds_per_pair(faces, metric)) / 2 * count * (count - 1) / 2
        memory = f"{compared[0] / count:.1f} compared in full per face, own memory {peak[0] / 1000:.0f} MB"
        print(f"  {name:15} search {spent:.1f} s processor, {seconds:.1f} s wall; {memory}")
        print(f"  {name:15} loop {loop:.0f} s processor, {loop / (spent + sketching):.0f} times as long")


def main() -> None:
    """Make the faces of the largest size, and measure all sizes on them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--faces", type=int, nargs="+", default=[2000, 8000, 20000])
    parser.add_argument("--scratch", type=Path)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory(dir=asked.scratch) as folder:
        path = Path(folder) / "textures.npy"
        make_textures(path, max(asked.faces))
        for count in asked.faces:
            measure(path, count, Path(folder))


if __name__ == "__main__":
    main()
