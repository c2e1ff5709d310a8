"""Neighbours through an inverted file index (FAISS), for sets in which even bounds of all pairs take too long.

The index holds landmarks and coarse sketches under the L2 norm, which is within a factor of the root of two of the
published distance. What it returns is compared in full, so distances are right; some neighbours may be missed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.schemas.errors import FaceloomError
from faceloom.transforms.neighbours.exact import SameIdentity, rank
from faceloom.transforms.neighbours.faces import Faces, Metric, Neighbour
from faceloom.transforms.neighbours.sketch import coarser

OVERSAMPLE = 8
"""Candidates taken from the index for each neighbour wanted, before they are compared in full."""
PROBED = 0.1
"""Share of the index's lists that a query looks into, and at least `PROBED_LISTS`."""
PROBED_LISTS = 8


def reduced(faces: Faces, metric: Metric) -> NDArray[np.float32]:
    """The vectors of the index, float32 (N, D): landmarks and coarse textures in the metric's units."""
    landmarks = faces.landmarks.reshape(len(faces), -1) * np.float32(metric.weight)
    textures = coarser(faces.sketches, faces.textures.shape) / np.float32(metric.white)
    return np.ascontiguousarray(np.hstack([landmarks, textures]))


def build_index(blocks: Sequence[Faces], metric: Metric) -> NDArray[np.uint8]:
    """An index over all faces of the blocks, numbered through from 0, as bytes.

    The same blocks in the same order give the same index: it is trained in one thread, from a fixed seed.

    Raises:
        FaceloomError: FAISS is not installed.
    """
    faiss = _faiss()
    total = sum(map(len, blocks))
    lists = max(1, min(round(4 * math.sqrt(total)), total // 40))
    every = max(1, total // (64 * lists))
    sample = np.concatenate([reduced(block[::every], metric) for block in blocks])
    index = faiss.index_factory(sample.shape[1], f"IVF{lists},Flat")
    index.train(sample)
    for block in blocks:
        index.add(reduced(block, metric))
    index.nprobe = max(PROBED_LISTS, math.ceil(PROBED * lists))
    return np.asarray(faiss.serialize_index(index), np.uint8)


def nearest_by_index(
    queries: Faces,
    index: NDArray[np.uint8],
    blocks: Sequence[Faces],
    metric: Metric,
    count: int,
    same_identity: SameIdentity = "forbid",
) -> list[Neighbour]:
    """As `nearest`, among the candidates that an index finds for each query.

    Args:
        index: of `build_index`, from the same blocks.
    """
    faiss = _faiss()
    opened = faiss.deserialize_index(index)
    wanted = min(opened.ntotal, OVERSAMPLE * count + 8)
    numbers = opened.search(reduced(queries, metric), wanted)[1]
    starts = np.cumsum([0, *map(len, blocks)])
    rows = []
    for query, found in enumerate(numbers):
        found = found[found >= 0]
        homes = np.searchsorted(starts, found, side="right") - 1
        candidates = [(blocks[home], at) for home, at in zip(homes.tolist(), (found - starts[homes]).tolist())]
        rows += rank(queries, query, candidates, metric, count, same_identity)
    return rows


def recall(found: Sequence[Neighbour], exact: Sequence[Neighbour]) -> float:
    """Share of the exact rows whose pair was found, 0..1; 1 if there are none."""
    pairs = {(row.query, row.neighbour) for row in found}
    return sum((row.query, row.neighbour) in pairs for row in exact) / len(exact) if exact else 1.0


def _faiss() -> Any:
    try:
        import faiss
    except ImportError:
        remedy = "Install it with pip install 'faceloom[ivf]', or set candidates: all in the recipe"
        raise FaceloomError("candidates: ivf needs FAISS, which is not installed", remedy=remedy) from None
    faiss.omp_set_num_threads(1)  # sums in another order would give another index
    return faiss
