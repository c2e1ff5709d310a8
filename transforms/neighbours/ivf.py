"""Neighbours through an inverted file index (FAISS), for sets in which even bounds of all pairs take too long.

Vectors hold landmarks and coarse sketches under the L2 norm, which is within a factor of the root of two of the
published distance. k-means groups them in lists around centroids; a query is compared with the vectors of the lists
whose centroids are nearest. What it finds is compared in full, so distances are right; some neighbours may be missed.

The vectors are cut into pieces, each in memory alone. A piece is the same whoever made the others, and the candidates
are those of an index over all vectors.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.schemas.errors import FaceloomError
from faceloom.transforms.neighbours.exact import SameIdentity, rank
from faceloom.transforms.neighbours.faces import Faces, Metric, Neighbour
from faceloom.transforms.neighbours.sketch import MIDDLE, coarser

OVERSAMPLE = 8
"""Candidates taken from the index for each neighbour wanted, before they are compared in full."""
PROBED = 0.1
"""Share of the lists that a query looks into, and at least `PROBED_LISTS`."""
PROBED_LISTS = 8
TRAINED = 64
"""Vectors of each list that k-means is trained with, at least, if there are so many."""

Vectors = NDArray[np.float32]
Lists = NDArray[np.int64]


def reduced(faces: Faces, metric: Metric) -> Vectors:
    """The vectors of the index, float32 (N, D): landmarks and coarse textures in the metric's units."""
    landmarks = faces.landmarks.reshape(len(faces), 136) * np.float32(metric.weight)
    textures = coarser(faces.sketches, faces.textures.shape) / np.float32(metric.white)
    return np.ascontiguousarray(np.hstack([landmarks, textures]))


def list_count(faces: int) -> int:
    """Number of lists for an index over so many faces."""
    return max(1, min(round(4 * math.sqrt(faces)), faces // 40))


def train(blocks: Iterable[Faces], faces: int, metric: Metric) -> Vectors:
    """The centroids of the lists, float32 (lists, D), of k-means over every k-th face of each block.

    The same blocks in the same order give the same centroids: one thread computes them, from a fixed seed.

    Args:
        blocks: each is read once.
        faces: their number in all.

    Raises:
        FaceloomError: FAISS is not installed.
    """
    faiss, lists = _faiss(), list_count(faces)
    every = max(1, faces // (TRAINED * lists))
    sample = np.concatenate([reduced(block[::every], metric) for block in blocks])
    if not len(sample):
        return sample
    index = faiss.index_factory(sample.shape[1], f"IVF{lists},Flat")
    index.train(sample)
    return np.asarray(index.quantizer.reconstruct_n(0, lists), np.float32)


def nearest_lists(centroids: Vectors, vectors: Vectors, count: int = 1) -> Lists:
    """Numbers of the lists with the nearest centroids, int64 (N, count), nearest first.

    The last digits of distances depend on how many vectors are given at once.
    """
    return np.asarray(_quantizer(centroids).search(vectors, count)[1], np.int64)


def find_candidates(
    centroids: Vectors, queries: Vectors, pieces: Iterable[tuple[Vectors, Lists]], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The nearest vectors of each query, in the lists that it looks into, nearest first.

    Args:
        centroids: of `train`.
        queries: (Q, D).
        pieces: all vectors, and of each the list that `nearest_lists` names, (N, D) and (N,); each is read once.
        count: number of neighbours wanted. More candidates are found, since some may not be neighbours.

    Returns:
        Numbers, int64 (Q, K): of the piece times 2**32, plus in the piece; -1 where there are no more. Squared
        distances, (Q, K).
    """
    faiss, quantizer, wanted = _faiss(), _quantizer(centroids), OVERSAMPLE * count + 8
    probed = min(len(centroids), max(PROBED_LISTS, math.ceil(PROBED * len(centroids))))
    tools: Any = importlib.import_module("faiss.contrib.ivf_tools")
    probes = nearest_lists(centroids, queries, probed)
    best = np.full((len(queries), wanted), np.inf, np.float32)
    found = np.full((len(queries), wanted), -1, np.int64)
    for number, (vectors, lists) in enumerate(pieces):
        index = faiss.IndexIVFFlat(quantizer, queries.shape[1], len(centroids))
        index.is_trained, index.nprobe = True, probed
        numbers = (number << 32) + np.arange(len(vectors))  # FAISS gets its address: it must outlive the call
        tools.add_preassigned(index, vectors, lists, numbers)
        more, ids = tools.search_preassigned(index, queries, wanted, probes)
        more[ids < 0] = np.inf
        best, found = np.hstack([best, more]), np.hstack([found, ids])
        order = np.lexsort((found, best))[:, :wanted]
        best, found = np.take_along_axis(best, order, 1), np.take_along_axis(found, order, 1)
    return found, best


def rank_candidates(
    queries: Faces,
    faces: Faces,
    candidates: NDArray[np.int64],
    squares: NDArray[np.float32],
    metric: Metric,
    count: int,
    same_identity: SameIdentity = "forbid",
) -> list[Neighbour]:
    """As `nearest`, among the candidates of each query alone.

    The distance of two vectors gives a lower bound, so that most candidates need not be compared in full.

    Args:
        faces: among them all candidates.
        candidates: of each query their numbers in `faces`, (Q, K); -1 where there are no more.
        squares: squared distances between the vectors of the queries and of their candidates, (Q, K).
    """
    rows = []
    for number, found in enumerate(candidates):
        there = found >= 0
        low = _least(queries, number, faces, found[there], squares[number][there], metric)
        order = np.argsort(low, kind="stable")
        among = zip(low[order].tolist(), found[there][order].tolist())
        rows += rank(queries, number, faces, among, metric, count, same_identity)
    return rows


def _least(
    queries: Faces, number: int, faces: Faces, found: NDArray[np.int64], squares: NDArray[np.float32], metric: Metric
) -> NDArray[np.float64]:
    """Lower bounds of the distances between a query and other faces.

    The square of a vector's distance is that of the landmarks plus that of the coarse textures, which are no farther
    apart than the textures.
    """
    own, others = queries.landmarks[number].astype(np.float64), faces.landmarks[found].astype(np.float64)
    shape = metric.weight * np.sqrt(np.square(others - own).sum(axis=(1, 2)))
    height, width, channels = faces.textures.shape[1:]
    length = metric.weight * np.sqrt(np.square(others).sum(axis=(1, 2)) + np.square(own).sum())
    length += 2 * MIDDLE * math.sqrt(height * width * channels) / metric.white
    # FAISS sums D squares in float32, each of a difference of numbers that are rounded to float32, in a few steps.
    unit = float(np.finfo(np.float32).eps)
    whole = np.sqrt(squares.astype(np.float64)) * (1 - 1000 * unit) - 16 * unit * length
    texture = np.sqrt(np.maximum(np.maximum(whole, 0) ** 2 - shape**2 * (1 + 1e-9), 0))
    return np.asarray((shape + texture) * (1 - 1e-9), np.float64)


def recall(found: Sequence[Neighbour], exact: Sequence[Neighbour]) -> float:
    """Share of the exact rows whose pair was found, 0..1; 1 if there are none."""
    pairs = {(row.query, row.neighbour) for row in found}
    return sum((row.query, row.neighbour) in pairs for row in exact) / len(exact) if exact else 1.0


def _quantizer(centroids: Vectors) -> Any:
    quantizer = _faiss().IndexFlatL2(centroids.shape[1])
    quantizer.add(centroids)
    return quantizer


def _faiss() -> Any:
    try:
        import faiss
    except ImportError:
        remedy = "Install it with pip install 'faceloom[ivf]', or set candidates: all in the recipe"
        raise FaceloomError("candidates: ivf needs FAISS, which is not installed", remedy=remedy) from None
    faiss.omp_set_num_threads(1)  # sums in another order would give another index
    return faiss
