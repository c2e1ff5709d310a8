"""Near-duplicates are found as the loop over all pairs finds them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.release.near_duplicates import DISTANCE, find_near, hash_faces, perceptual_hash
from faceloom.pipelines.store.storage import Storage
from tests.pipelines.release.sets import One, picture, write_set

WORDS = 2
BITS = st.integers(0, 2 ** (64 * WORDS) - 1)


@st.composite
def clusters(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Hashes with their groups: some centres, and copies of them with a few bits flipped."""
    rows = []
    for centre in draw(st.lists(BITS, min_size=1, max_size=6)):
        for flips in draw(st.lists(st.lists(st.integers(0, 64 * WORDS - 1), max_size=9), min_size=1, max_size=6)):
            copy = centre
            for bit in flips:
                copy ^= 1 << bit
            rows.append((copy, draw(st.integers(0, 2))))
    return rows


def naive(rows: list[tuple[int, int]], distance: int) -> list[bool]:
    return [
        any(group != other and (bits ^ more).bit_count() <= distance for more, other in rows) for bits, group in rows
    ]


def packed(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    data = b"".join(bits.to_bytes(8 * WORDS) for bits, _ in rows)
    return np.frombuffer(data, np.uint64).reshape(-1, WORDS), np.array([group for _, group in rows], np.int8)


@given(clusters(), st.integers(0, 8))
def test_it_finds_what_the_double_loop_finds(rows: list[tuple[int, int]], distance: int) -> None:
    found = find_near(*packed(rows), distance)
    assert found.near.tolist() == naive(rows, distance)
    assert bool(found.examples) == any(found.near)
    for one, other in found.examples:
        assert rows[one][1] != rows[other][1] and (rows[one][0] ^ rows[other][0]).bit_count() <= distance


def test_a_large_bucket_is_compared_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    from faceloom.pipelines.release import near_duplicates

    monkeypatch.setattr(near_duplicates, "_PAIRS", 7)
    rng = np.random.default_rng(0)
    rows = list(zip((rng.integers(0, 2**6, 60) << 3).tolist(), rng.integers(0, 3, 60).tolist()))
    assert find_near(*packed(rows), 2).near.tolist() == naive(rows, 2)


def test_nothing_has_no_near_duplicates() -> None:
    none = find_near(np.zeros((0, 4), np.uint64), np.zeros(0, np.int8))
    assert none.near.shape == (0,) and none.examples == []


def detailed(seed: int) -> np.ndarray:
    """uint8 (112, 112, 3): structure of all sizes, as photos have it."""
    rng, total = np.random.default_rng(seed), np.zeros((112, 112, 3))
    for blobs in (3, 7, 14, 28, 56):
        layer = rng.normal(0, 40 * 3 / blobs, (blobs, blobs, 3))
        total += cv2.resize(layer, (112, 112), interpolation=cv2.INTER_CUBIC)
    return np.clip(total + 128, 0, 255).astype(np.uint8)


def distance(one: np.ndarray, other: np.ndarray) -> int:
    hashes = perceptual_hash(one), perceptual_hash(other)
    assert None not in hashes
    one_bits, other_bits = (int.from_bytes(bits or b"") for bits in hashes)
    return (one_bits ^ other_bits).bit_count()


def test_the_same_picture_saved_otherwise_is_near_and_another_is_not() -> None:
    face = detailed(1)
    small = cv2.resize(face, (64, 64), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, 60])
    compressed = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    brighter = np.clip(face * 0.8 + 30, 0, 255).astype(np.uint8)
    assert max(distance(face, copy) for copy in (small, compressed, brighter)) <= DISTANCE
    assert min(distance(face, detailed(other)) for other in range(2, 12)) > 3 * DISTANCE


def test_a_picture_without_structure_has_no_hash() -> None:
    assert perceptual_hash(np.full((32, 32, 3), 128, np.uint8)) is None


def test_one_sample_of_each_face_is_hashed_and_no_morph(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    one, other = One(1, "Ada"), One(2, "Grace", "test")
    release = write_set(storage, [one, other, replace(one, other=One(3, "Rosa"))])
    seen: list[int] = []
    hashed = hash_faces(storage, release.shards, seen.append)
    assert sorted(hashed.keys) == sorted([one.key, other.key]) and hashed.splits.tolist() == [0, 1]
    assert (hashed.flat, hashed.without, seen) == (0, 0, [1, 2])
    by_key = dict(zip(hashed.keys, hashed.hashes))
    assert by_key[one.key].tobytes() == perceptual_hash(picture(one))
