"""Cost of low-resolution partners per face of 112 x 112, on one core: median by mode.

    python benchmarks/lowres.py [--rounds 200]

Each round draws the parameters and makes the small and the upsampled picture of one face.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import get_args

import cv2
import numpy as np

from faceloom.schemas.lowres import LowRes, Mode
from faceloom.transforms.lowres.degrade import make_small

LIMIT_MS = {"askd": 1.0, "realistic": 5.0}


def main() -> None:
    """Measure every mode."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    face = cv2.resize(rng.integers(0, 256, (14, 14, 3), np.uint8), (112, 112), interpolation=cv2.INTER_CUBIC)
    print(f"load {os.getloadavg()[0]:.1f}")
    for mode in get_args(Mode):
        spec = LowRes(mode=mode, upsampled=True)
        seconds = []
        for _ in range(rounds + 5):
            begin = time.perf_counter()
            make_small(face, spec, rng)
            seconds.append(time.perf_counter() - begin)
        limit = f", limit {LIMIT_MS[mode]:g} ms" if mode in LIMIT_MS else ""
        print(f"{mode:10} {1000 * statistics.median(seconds[5:]):.3f} ms{limit}")


if __name__ == "__main__":
    main()
