"""Near-duplicate photos in different splits, found by perceptual hashes of their faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from faceloom.pipelines.read.sample_members import decode_member
from faceloom.pipelines.store.build_record import ShardRecord
from faceloom.pipelines.store.checked_shards import read_places, read_samples
from faceloom.pipelines.store.parquet_tables import read_index_table
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.release import ReleaseShard
from faceloom.transforms.types import Image

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SIDE = 16
"""Frequencies of a perceptual hash along each side; a hash has SIDE² bits.

The usual 8 are too few for large sets: hashes of aligned faces of different people then differ in 24 of 64 bits on
average, with a standard deviation of 5, so that among a million faces each has a near one by chance. With 16 they
differ in 109 of 256 bits, with a standard deviation of 14.
"""
BITS = SIDE * SIDE
DISTANCE = 16
"""Bits in which the hashes of near-duplicates differ at most: one photo scaled, compressed, blurred or brightened."""
LEAST_CONTRAST = 2.0
"""Standard deviation in grey levels. The hash of a picture with less is noise."""
_WORD = 64
_PAIRS = 2**18  # compared at a time, so that they fit into the cache


class Hashed(NamedTuple):
    """The hashes of the faces of a release.

    Attributes:
        keys: of one sample for each face.
        splits: of these samples, as the number of their split's name in sorted order.
        hashes: uint64 (N, 4).
        flat: number of faces that are left out, because they show hardly any structure.
        without: number of faces that are left out, because their samples have no `face`.
    """

    keys: list[str]
    splits: npt.NDArray[np.int8]
    hashes: npt.NDArray[np.uint64]
    flat: int
    without: int


class Near(NamedTuple):
    """Which pictures have a near-duplicate in another group.

    Attributes:
        near: bool (N,), one value for each hash.
        examples: numbers of a few pairs.
    """

    near: npt.NDArray[np.bool_]
    examples: list[tuple[int, int]]


def perceptual_hash(picture: Image) -> bytes | None:
    """The perceptual hash of a picture (`imagehash.phash`), 32 bytes; None if the picture shows hardly any structure.

    Args:
        picture: uint8 (H, W, 3), RGB.
    """
    import imagehash
    import numpy as np
    from PIL import Image as pillow

    grey = pillow.fromarray(picture).convert("L")
    if float(np.asarray(grey).std()) < LEAST_CONTRAST:
        return None
    return np.packbits(imagehash.phash(grey, hash_size=SIDE).hash).tobytes()


def hash_faces(
    storage: Storage, shards: Sequence[ReleaseShard | ShardRecord], on_count: Callable[[int], None] = lambda _: None
) -> Hashed:
    """Hash the `face` of one sample for each face of each photo. Morphs are left out: they resemble their parents.

    Args:
        storage: the folder that holds the shards.
        shards: to read.
        on_count: called with the number of shards that are read.

    Raises:
        StorageError: a shard is damaged, or a picture cannot be decoded.
    """
    import numpy as np

    names = sorted({shard.split for shard in shards})
    keys: list[str] = []
    splits: list[int] = []
    hashes: list[bytes] = []
    flat, without = 0, 0
    seen: set[tuple[int, bytes, int]] = set()
    for count, shard in enumerate(shards, 1):
        split = names.index(shard.split)
        columns = read_index_table(storage, shard_index(shard.name), ("photo_sha256", "face", "parents")).to_pydict()
        picked = []
        for row, (photo, face, parents) in enumerate(zip(*columns.values(), strict=True)):
            one = (split, photo.encode(), face)
            if not parents and one not in seen:
                seen.add(one)
                picked.append(row)
        places = read_places(storage, shard.name)
        for key, files in read_samples(storage, shard.name, [places[row] for row in picked], verify=False):
            name = next((name for name in files if name.startswith("face.")), None)
            if name is None:
                without += 1
                continue
            hashed = perceptual_hash(decode_member(name, files[name], f"{shard_tar(shard.name)}::{key}"))
            if hashed is None:
                flat += 1
                continue
            keys.append(key)
            splits.append(split)
            hashes.append(hashed)
        on_count(count)
    words = np.frombuffer(b"".join(hashes), np.uint64).reshape(-1, BITS // _WORD)
    return Hashed(keys, np.array(splits, np.int8), words, flat, without)


def find_near(
    hashes: npt.NDArray[np.uint64], groups: npt.NDArray[np.int8], distance: int = DISTANCE, examples: int = 3
) -> Near:
    """Find the hashes that have a near one in another group.

    Two hashes that differ in at most `distance` of their bits agree in at least one of `distance + 1` bands of bits. So
    only hashes with an equal band are compared, once for each band.

    Args:
        hashes: uint64 (N, W), a hash of 64 W bits in each row.
        groups: int8 (N,), group of each hash.
        distance: most bits in which near hashes differ.
        examples: most pairs to return as examples.
    """
    import numpy as np

    rows = np.empty(len(hashes), [("hash", np.uint64, hashes.shape[1]), ("group", np.int8)])
    rows["hash"], rows["group"] = hashes, groups
    _, first, inverse = np.unique(rows.view(f"V{rows.itemsize}"), return_index=True, return_inverse=True)
    unique, group = np.ascontiguousarray(hashes[first]), groups[first]
    near = np.zeros(len(unique), np.bool_)
    found: list[tuple[int, int]] = []
    bits = np.unpackbits(unique.view(np.uint8), axis=1)
    for band in range(distance + 1):
        # Neighbouring bits, which stand for similar frequencies, go to different bands: this keeps buckets small.
        words = _words(bits[:, band :: distance + 1])
        order = np.lexsort((group, *words.T))
        sorted_words, sorted_group = words[order], group[order]
        ends = np.flatnonzero((sorted_words[1:] != sorted_words[:-1]).any(axis=1)) + 1
        begins, ends = np.append(0, ends), np.append(ends, len(order))
        mixed = sorted_group[begins] != sorted_group[ends - 1] if len(order) else np.zeros(0, np.bool_)
        for begin, end in zip(begins[mixed].tolist(), ends[mixed].tolist()):
            _compare(order[begin:end], unique, group, distance, near, found, examples)
    return Near(near[inverse], [(int(first[one]), int(first[other])) for one, other in found])


def _words(bits: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Rows of single bits as rows of whole numbers."""
    import numpy as np

    packed = np.packbits(bits, axis=1)
    padded = np.zeros((len(bits), max(1, -(-packed.shape[1] // 8)) * 8), np.uint8)
    padded[:, : packed.shape[1]] = packed
    return padded.view(np.uint64)


def _compare(
    bucket: npt.NDArray[np.int64],
    hashes: npt.NDArray[np.uint64],
    group: npt.NDArray[np.int8],
    distance: int,
    near: npt.NDArray[np.bool_],
    found: list[tuple[int, int]],
    examples: int,
) -> None:
    """Compare the hashes of a bucket, sorted by group, with those of later groups."""
    import numpy as np

    cuts = [0, *(np.flatnonzero(np.diff(group[bucket])) + 1).tolist()]
    for begin, end in pairwise([*cuts, len(bucket)]):
        others = bucket[end:]
        if not len(others):
            return
        step = max(1, _PAIRS // len(others))
        for at in range(begin, end, step):
            ours = bucket[at : min(at + step, end)]
            differing = np.bitwise_count(hashes[ours][:, None] ^ hashes[others]).sum(axis=2, dtype=np.int32)
            close = differing <= distance
            if close.any():
                near[ours] |= close.any(axis=1)
                near[others] |= close.any(axis=0)
                if len(found) < examples:
                    pairs = [(int(ours[i]), int(others[j])) for i, j in np.argwhere(close)[:examples].tolist()]
                    found.extend(pair for pair in pairs if pair not in found)
                    del found[examples:]
