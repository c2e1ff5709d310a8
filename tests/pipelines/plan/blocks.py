"""Blocks of made-up textures, as the tasks of a build leave them."""

from __future__ import annotations

import json

import cv2
import numpy as np

from faceloom.pipelines.store.array_files import write_arrays
from faceloom.pipelines.store.paths import texture_block, texture_facts
from faceloom.pipelines.store.storage import Storage
from faceloom.transforms.neighbours.sketch import sketch

SIDE = 32


def write_blocks(storage: Storage, faces: int, size: int, seed: int = 1) -> list[str]:
    """Write faces in blocks of `size`: mixtures of a few patterns and shapes, three of each person. Returns names."""
    rng = np.random.default_rng(seed)
    patterns = np.stack([cv2.resize(one, (SIDE, SIDE)) for one in rng.normal(size=(6, 4, 4, 3))])
    shapes, names = rng.normal(size=(6, 68, 2)), []
    for start in range(0, faces, size):
        numbers = range(start, min(start + size, faces))
        mixed = rng.normal(size=(len(numbers), 6))
        pixels = 128 + 30 * np.tensordot(mixed, patterns, 1) + 2 * rng.normal(size=(len(numbers), SIDE, SIDE, 3))
        textures = np.clip(pixels, 0, 255).astype(np.uint8)
        people = [[f"{number:016x}-f00", f"{number:064x}", f"person {number // 3}"] for number in numbers]
        names.append(f"{seed:08x}{start:016x}")
        with storage.write(texture_block(names[-1])) as stream:
            stream.write(textures.tobytes())
        facts: dict[str, np.ndarray] = {
            "side": np.array(SIDE),
            "landmarks": (SIDE / 2 + np.tensordot(mixed, shapes, 1)).astype(np.float32),
            "sketches": sketch(textures),
            **{
                name: np.frombuffer(json.dumps(value).encode(), np.uint8)
                for name, value in (("names", people), ("failed", {}))
            },
        }
        write_arrays(storage, texture_facts(names[-1]), facts)
    return names
