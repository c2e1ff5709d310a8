"""Exact nearest neighbours: bounds from sketches exclude most pairs, and the others are compared in full.

Bounds come from float32 matrix products; their last digits depend on the size of blocks. The bounds are widened by more
than the maximum error of such a product, so they only exclude pairs. Every distance that is kept or returned is
computed separately, always in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from faceloom.transforms.neighbours.faces import Faces, Metric, Neighbour, compare
from faceloom.transforms.neighbours.sketch import split_at

Float32 = NDArray[np.float32]
SameIdentity = Literal["allow", "forbid"]

CHUNK = 1024
"""Candidates per chunk; with as many queries, bounds take about 30 MB."""
PENDING = 512
"""Average number of pending pairs per query; above it they are compared before the next chunk."""


def nearest(
    queries: Faces, candidates: Iterable[Faces], metric: Metric, count: int, same_identity: SameIdentity = "forbid"
) -> list[Neighbour]:
    """Find the nearest candidates of each query.

    The result does not depend on the division into blocks or the order of candidate blocks. If textures are memory
    maps, memory holds the sketches of the query block and of one candidate block, and bounds for `CHUNK` candidates;
    rows of earlier blocks may be read until the end.

    Args:
        queries: faces to find neighbours of.
        candidates: blocks of faces to choose from, with or without the queries; each is read once.
        metric: the distance.
        count: maximum number of neighbours per query.
        same_identity: whether faces of the query's own identity may be neighbours.

    Returns:
        Rows in the order of the queries, nearest first; equal distances in the order of the keys.
    """
    search = _Search(queries, metric, count, same_identity)
    for block in candidates:
        for start in range(0, len(block), CHUNK):
            search.look_at(block[start : start + CHUNK])
    search.settle()
    return [row for number in range(len(queries)) for row in search.rows(number)]


def rank(
    queries: Faces,
    number: int,
    faces: Faces,
    candidates: Iterable[tuple[float, int]],
    metric: Metric,
    count: int,
    same_identity: SameIdentity = "forbid",
) -> list[Neighbour]:
    """Find the rows of one query among some candidates.

    Args:
        number: of the query in its block.
        faces: among them the candidates.
        candidates: lower bound of the distance, and number in `faces`; by rising bound.
    """
    best: list[tuple[float, str, float, float]] = []
    for low, other in candidates:
        if len(best) == count and low > best[-1][0]:
            break
        same = same_identity == "forbid" and faces.identities[other] == queries.identities[number]
        if faces.photos[other] != queries.photos[number] and not same:
            distance, landmark, texture = compare(queries, number, faces, other, metric)
            best.append((distance, faces.keys[other], landmark, texture))
            best.sort()
            del best[count:]
    return [_row(queries.keys[number], place, entry) for place, entry in enumerate(best)]


@dataclass
class Vectors:
    """Vectors (N, D) in some precision, with their squared lengths, float64 (N,)."""

    values: NDArray[np.floating]
    squares: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[np.floating]) -> Vectors:
        """Vectors (N, D), whose lengths are computed."""
        return cls(values, np.einsum("nd,nd->n", values, values, dtype=np.float64))

    def __getitem__(self, part: slice | NDArray[np.integer]) -> Vectors:
        """Some of the vectors."""
        return Vectors(self.values[part], self.squares[part])

    def squared_distances(self, other: Vectors) -> tuple[Float32, Float32]:
        """Squared distances to other vectors (M, D), float32 (N, M), and the maximum error of each."""
        sums = np.add.outer(self.squares, other.squares).astype(np.float32)
        products = np.asarray(self.values @ other.values.T, np.float32)
        # |fl(x.y) - x.y| <= n u |x| |y| / (1 - n u), whatever the order of summing (Higham, Accuracy and Stability,
        # section 3.1); twice a product of lengths is at most the sum of their squares. The other steps add a few u.
        unit = float(np.finfo(self.values.dtype).eps)
        share = np.float32(1.1 * (self.values.shape[1] + 8) * unit + 8 * np.finfo(np.float32).eps)
        return sums - 2 * products, share * sums


@dataclass
class _Search:
    queries: Faces
    metric: Metric
    count: int
    same_identity: SameIdentity
    waiting: list[tuple[Faces, NDArray[np.intp], NDArray[np.intp], Float32]] = field(default_factory=list)

    def __post_init__(self) -> None:
        size = len(self.queries)
        self.best: list[list[tuple[float, str, float, float]]] = [[] for _ in range(size)]
        self.limit = np.full((size, self.count), np.inf, np.float32)  # smallest upper bounds so far, sorted
        self.landmarks, self.sketches, self.details = self._vectors(self.queries)
        self.photos = _numbers_by_name(self.queries.photos)
        self.people = _numbers_by_name(self.queries.identities if self.same_identity == "forbid" else ())

    def _vectors(self, faces: Faces) -> tuple[Vectors, Vectors, Float32]:
        landmarks = faces.landmarks.reshape(len(faces), 136).astype(np.float64)
        sketches = np.ascontiguousarray(faces.sketches)
        return Vectors.of(landmarks), Vectors.of(sketches), sketches[:, split_at(faces.textures.shape) :]

    def look_at(self, chunk: Faces) -> None:
        """Add candidates that may be among the nearest to the pending pairs, and drop the others."""
        low, high = self._bounds(chunk)
        for numbers, other in self._forbidden(chunk):
            low[numbers, other] = high[numbers, other] = np.inf
        self.limit = np.partition(np.hstack([self.limit, high]), self.count - 1, axis=1)[:, : self.count]
        self.limit.sort(axis=1)
        rows, columns = np.nonzero((low <= self.limit[:, -1:]) & np.isfinite(low))
        without_sketches = replace(chunk, sketches=chunk.sketches[:0].copy())
        self.waiting.append((without_sketches, rows, columns, low[rows, columns]))
        if sum(len(entry[1]) for entry in self.waiting) > PENDING * len(self.queries):
            self.settle()

    def _bounds(self, chunk: Faces) -> tuple[Float32, Float32]:
        """Lower and upper bounds of all distances to a chunk, float32 (queries, candidates)."""
        landmarks, sketches, details = self._vectors(chunk)
        shape, wrong_shape = self.landmarks.squared_distances(landmarks)
        look, wrong_look = self.sketches.squared_distances(sketches)
        across = (4 * 1.001) * (self.details @ details.T)  # lengths are not negative: 0.1 % covers any rounding
        weight, white = np.float32(self.metric.weight), np.float32(1 / self.metric.white)
        low = weight * _root(shape - wrong_shape) + white * _root(look - wrong_look)
        high = weight * _root(shape + wrong_shape) + white * _root(look + wrong_look + across)
        return low * np.float32(1 - 1e-6), high * np.float32(1 + 1e-6)

    def _forbidden(self, chunk: Faces) -> Iterable[tuple[NDArray[np.intp], int]]:
        """Queries that must not have a candidate as a neighbour, for each candidate with such queries."""
        for known, names in ((self.photos, chunk.photos), (self.people, chunk.identities)):
            for column, name in enumerate(names if known else ()):
                if name in known:
                    yield known[name], column

    def settle(self) -> None:
        """Compare the pending pairs, most promising first, as long as they can be among the nearest."""
        if not self.waiting:
            return
        chunks = [entry[0] for entry in self.waiting]
        chunk = np.concatenate([np.full(len(entry[1]), place) for place, entry in enumerate(self.waiting)])
        row, column, low = (np.concatenate([entry[part] for entry in self.waiting]) for part in (1, 2, 3))
        self.waiting = []
        order = np.lexsort((low, row))
        ends = np.searchsorted(row[order], np.arange(len(self.queries) + 1))
        for number in range(len(self.queries)):
            best = self.best[number]
            for place in order[ends[number] : ends[number + 1]].tolist():
                if len(best) == self.count and float(low[place]) > best[-1][0]:
                    break
                others, other = chunks[chunk[place]], int(column[place])
                distance, landmark, texture = compare(self.queries, number, others, other, self.metric)
                best.append((distance, others.keys[other], landmark, texture))
                best.sort()
                del best[self.count :]
            if len(best) == self.count:
                exact = np.array([found[0] for found in best], np.float32)
                self.limit[number] = np.nextafter(exact, np.float32(np.inf))

    def rows(self, number: int) -> list[Neighbour]:
        """The rows of one query."""
        return [_row(self.queries.keys[number], place, entry) for place, entry in enumerate(self.best[number])]


def _row(query: str, place: int, entry: tuple[float, str, float, float]) -> Neighbour:
    distance, key, landmark, texture = entry
    return Neighbour(query, key, place, distance, landmark, texture)


def _root(squares: Float32) -> Float32:
    return np.sqrt(np.maximum(squares, 0, out=squares), out=squares)


def _numbers_by_name(names: Iterable[str]) -> dict[str, NDArray[np.intp]]:
    numbers: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        numbers.setdefault(name, []).append(number)
    return {name: np.array(found, np.intp) for name, found in numbers.items()}
