"""Time and memory of the search for near-duplicates across splits, on one core.

    python benchmarks/near_duplicates.py [--hashes 1000000] [--faces 200]

The first run uses random hashes; one in a thousand has a near copy in another split. The second run uses bits as uneven
as those of aligned faces, which fill some buckets far more than others. With `--faces` it also times the hash itself.
"""

from __future__ import annotations

import argparse
import os
import resource
import time

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.release.near_duplicates import BITS, DISTANCE, find_near, perceptual_hash

LIMIT = 300


def draw(count: int, chances: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.uint64]:
    """Hashes whose bits are set with given chances; the last thousandth are copies of the first, two bits flipped."""
    bits = np.concatenate(
        [rng.random((len(part), BITS), np.float32) < chances for part in np.array_split(range(count), 20)]
    )
    copies = max(1, count // 1000)
    bits[-copies:] = bits[:copies]
    bits[-copies:, 5] ^= True
    bits[-copies:, 140] ^= True
    return np.packbits(bits, axis=1).view(np.uint64)


def main() -> None:
    """Search twice, and time the hash."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--hashes", type=int, default=1_000_000)
    parser.add_argument("--faces", type=int, default=200)
    asked = parser.parse_args()
    rng = np.random.default_rng(0)
    print(f"{asked.hashes:,} hashes of {BITS} bits, distance {DISTANCE}, load {os.getloadavg()[0]:.1f}")
    skewed = np.clip(rng.beta(2, 2, BITS), 0.05, 0.95)
    for name, chances in (("even bits", np.full(BITS, 0.5)), ("uneven bits", skewed)):
        hashes = draw(asked.hashes, chances, rng)
        splits = rng.choice(np.array([0, 1, 2], np.int8), asked.hashes, p=[0.8, 0.1, 0.1])
        copies = max(1, asked.hashes // 1000)
        splits[:copies], splits[-copies:] = 0, 1
        begin, cpu = time.perf_counter(), time.process_time()
        near = find_near(hashes, splits).near
        cpu, seconds = time.process_time() - cpu, time.perf_counter() - begin
        assert near[:copies].all() and near[-copies:].all()
        print(f"{name:12} {cpu:6.1f} s processor, {seconds:6.1f} s wall, limit {LIMIT} s; {near.sum():,} near")
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")
    faces = rng.integers(0, 255, (asked.faces, 112, 112, 3), np.uint8)
    perceptual_hash(faces[0])
    cpu = time.process_time()
    for face in faces:
        perceptual_hash(face)
    print(f"hash of a face of 112 x 112: {(time.process_time() - cpu) / len(faces) * 1000:.2f} ms processor")


if __name__ == "__main__":
    main()
