"""Neighbours through an inverted file index (FAISS), for sets in which even bounds of all pairs take too long.

Vectors hold landmarks and coarse sketches under the L2 norm, which is within a factor of the root of two of the
published distance. k-means groups them in lists around centroids; a query is compared with the vectors of the lists
whose centroids are nearest. What it finds is compared in full, so distances are right; some neighbours may be missed.

The vectors are cut into pieces, a few of them in memory at a time. A piece does not depend on the
others, and the candidates are those of an index over all vectors.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceloom.schemas.errors import FaceloomError
from faceloom.transforms.neighbours.exact import SameIdentity, Vectors, rank
from faceloom.transforms.neighbours.faces import Faces, Metric, Neighbour
from faceloom.transforms.neighbours.sketch import MIDDLE, coarser

OVERSAMPLE = 8
"""Candidates taken from the index for each neighbour wanted, before they are compared in full."""
PROBED = 0.1
"""Share of the lists that a query looks into, and at least `PROBED_LISTS`."""
PROBED_LISTS = 8
MOST_LISTS = 400
"""In four pieces of 10,000 vectors a list has 100 then. Products of smaller matrices take longer for each pair."""
JOINED = 4
"""Pieces that are in memory at the same time."""
TRAINED = 64
"""Vectors of each list that k-means is trained with, at least, if there are so many."""

Rows = NDArray[np.float32]
Lists = NDArray[np.int64]


def reduced(faces: Faces, metric: Metric) -> Rows:
    """The vectors of the index, float32 (N, D): landmarks and coarse textures in the metric's units."""
    landmarks = faces.landmarks.reshape(len(faces), 136) * np.float32(metric.weight)
    textures = coarser(faces.sketches, faces.textures.shape) / np.float32(metric.white)
    return np.ascontiguousarray(np.hstack([landmarks, textures]))


def list_count(faces: int) -> int:
    """Number of lists for an index over so many faces."""
    return max(1, min(round(4 * math.sqrt(faces)), faces // 40, MOST_LISTS))


def train(blocks: Iterable[Faces], faces: int, metric: Metric) -> Rows:
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


def nearest_lists(centroids: Rows, vectors: Rows, count: int = 1) -> Lists:
    """Numbers of the lists with the nearest centroids, int64 (N, count), nearest first.

    The last digits of distances depend on how many vectors are given at once.
    """
    return np.asarray(_quantizer(centroids).search(vectors, count)[1], np.int64)


def find_candidates(
    centroids: Rows, queries: Rows, pieces: Iterable[tuple[Rows, Lists]], count: int
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
    wanted, size = OVERSAMPLE * count + 8, len(queries)
    probed = min(len(centroids), max(PROBED_LISTS, math.ceil(PROBED * len(centroids))))
    probes = nearest_lists(centroids, queries, probed)
    visitors = [places // probed for places in _members(probes.ravel(), len(centroids))]
    best, found = np.full((size, wanted), np.inf, np.float32), np.full((size, wanted), -1, np.int64)
    waiting = enumerate(pieces)
    known = False  # whether each query has as many candidates as wanted: then the farthest one excludes most pairs
    while some := list(islice(waiting, JOINED if known else 1)):
        blocks = _blocks(centroids, queries, visitors, some)
        pairs = _within(blocks, best[:, -1]) if known else _nearest(list(blocks), best[:, -1], wanted)
        ids = _padded(*pairs, size)
        for number, (vectors, _) in some:
            rows = np.where(ids >> 32 == number, ids & 0xFFFFFFFF, -1)
            best = np.hstack([best, _squared_distances(queries, vectors, rows)])
            found = np.hstack([found, np.where(rows < 0, -1, ids)])
            order = np.lexsort((found, best))[:, :wanted]
            best, found = np.take_along_axis(best, order, 1), np.take_along_axis(found, order, 1)
        known = bool(np.isfinite(best[:, -1]).all())
    return found, best


def _members(lists: Lists, count: int) -> list[NDArray[np.intp]]:
    """The places at which each of `count` lists is named, ascending."""
    order = np.argsort(lists, kind="stable")
    return np.split(order, np.searchsorted(lists[order], np.arange(1, count)))


class _Block(NamedTuple):
    """Pairs of some queries and the vectors of a list that they look into.

    FAISS compares one pair after another. A product of matrices bounds the squared distances that it gives, in less
    time, so that it need not see most pairs.

    Attributes:
        queries: their numbers, (M,). ids: numbers of the vectors as in `find_candidates`, (K,).
        low: lower bounds of the squared distances, (M, K).
        width: how far a squared distance may lie above its bound, (M,).
    """

    queries: NDArray[np.intp]
    ids: NDArray[np.int64]
    low: Rows
    width: Rows


def _blocks(
    centroids: Rows, queries: Rows, visitors: Sequence[NDArray[np.intp]],
    pieces: Sequence[tuple[int, tuple[Rows, Lists]]],
) -> Iterator[_Block]:  # fmt: skip
    """All pairs of queries and vectors of some pieces, which have numbers. `visitors`: who looks into each list."""
    middle = centroids.mean(axis=0)  # short vectors lose less in float32
    own = Vectors.of(queries - middle)
    members = zip(*(_members(lists, len(centroids)) for _, (_, lists) in pieces), strict=True)
    for some, of_pieces in zip(visitors, members, strict=True):
        ids = np.concatenate([(number << 32) + rows for (number, _), rows in zip(pieces, of_pieces, strict=True)])
        if not len(some) or not len(ids):
            continue
        held = np.concatenate([vectors[rows] for (_, (vectors, _)), rows in zip(pieces, of_pieces, strict=True)])
        squares, error = own[some].squared_distances(Vectors.of(held - middle))
        error *= 3  # once for this product, and once for the sum of FAISS and for vectors around another origin
        yield _Block(some, ids, squares - error, 2 * error.max(axis=1))


Pairs = tuple[NDArray[np.intp], NDArray[np.int64]]


def _within(blocks: Iterable[_Block], limit: Rows) -> Pairs:
    """Queries and vectors of the pairs that may be as near as the limit of the query; ascending queries."""
    query, vector = [np.zeros(0, np.intp)], [np.zeros(0, np.int64)]
    for block in blocks:
        row, column = np.nonzero(block.low <= limit[block.queries][:, None])
        query.append(block.queries[row])
        vector.append(block.ids[column])
    queries = np.concatenate(query)
    order = np.argsort(queries, kind="stable")
    return queries[order], np.concatenate(vector)[order]


def _nearest(blocks: Sequence[_Block], limit: Rows, wanted: int) -> Pairs:
    """As `_within`, of the pairs that may also be among the `wanted` nearest ones of a query."""
    queries = len(limit)
    counts, width = np.zeros(queries, np.int64), np.zeros(queries, np.float32)
    for block in blocks:
        counts[block.queries] += len(block.ids)
        width[block.queries] = np.maximum(width[block.queries], block.width)
    low = np.full((queries, int(counts.max(initial=0))), np.inf, np.float32)
    ids, filled = np.full(low.shape, -1, np.int64), np.zeros(queries, np.int64)
    for block in blocks:
        at = block.queries[:, None], filled[block.queries][:, None] + np.arange(len(block.ids))
        low[at], ids[at] = block.low, block.ids
        filled[block.queries] += len(block.ids)
    if low.shape[1] >= wanted:
        limit = np.minimum(limit, np.partition(low, wanted - 1, axis=1)[:, wanted - 1] + width)
    kept = (low <= limit[:, None]) & (ids >= 0)
    return np.nonzero(kept)[0], ids[kept]


def _padded(queries: NDArray[np.intp], ids: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Pairs in a row for each of `count` queries, (count, K); -1 where there are no more."""
    counts = np.bincount(queries, minlength=count)
    found = np.full((count, int(counts.max(initial=0))), -1, np.int64)
    found[queries, np.arange(len(queries)) - np.repeat(np.cumsum(counts) - counts, counts)] = ids
    return found


def _squared_distances(queries: Rows, vectors: Rows, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Squared distances between each query and some vectors, (Q, K), as FAISS gives them; infinite for rows of -1.

    Each pair is compared by itself, so that the digits do not depend on the others.
    """
    faiss = _faiss()
    found = np.full(rows.shape, np.inf, np.float32)
    faiss.fvec_L2sqr_by_idx(
        *map(faiss.swig_ptr, (found, queries, vectors, rows)), queries.shape[1], len(queries), rows.shape[1]
    )
    return found


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


def _quantizer(centroids: Rows) -> Any:
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
