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

DISTANCE = 4
"""Bits of 64 in which the hashes of near-duplicates differ at most: the same photo scaled, compressed or brightened."""
LEAST_CONTRAST = 2.0
"""Standard deviation in grey levels. The hash of a picture with less is noise."""
_BITS = 64
_PAIRS = 2**22  # compared at a time, so that they fit into the cache


class Hashed(NamedTuple):
    """The hashes of the faces of a release.

    Attributes:
        keys: of one sample for each face.
        splits: of these samples, as the number of their split's name in sorted order.
        hashes: uint64 (N,).
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


def perceptual_hash(picture: Image) -> int | None:
    """The 64-bit perceptual hash of a picture (`imagehash.phash`); None if the picture shows hardly any structure.

    Args:
        picture: uint8 (H, W, 3), RGB.
    """
    import imagehash
    import numpy as np
    from PIL import Image as pillow

    grey = pillow.fromarray(picture).convert("L")
    if float(np.asarray(grey).std()) < LEAST_CONTRAST:
        return None
    return int.from_bytes(np.packbits(imagehash.phash(grey).hash).tobytes())


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
    splits, hashes, flat, without = [], [], 0, 0
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
    return Hashed(keys, np.array(splits, np.int8), np.array(hashes, np.uint64), flat, without)


def find_near(
    hashes: npt.NDArray[np.uint64], groups: npt.NDArray[np.int8], distance: int = DISTANCE, examples: int = 3
) -> Near:
    """Find the hashes that have a near one in another group.

    Two hashes that differ in at most `distance` of their bits agree in at least one of `distance + 1` bands of bits. So
    only hashes with an equal band are compared, once for each band.

    Args:
        hashes: uint64 (N,).
        groups: int8 (N,), group of each hash.
        distance: most bits in which near hashes differ.
        examples: most pairs to return as examples.
    """
    import numpy as np

    rows = np.empty(len(hashes), [("hash", np.uint64), ("group", np.int8)])
    rows["hash"], rows["group"] = hashes, groups
    unique, first, inverse = np.unique(rows, return_index=True, return_inverse=True)
    bits, group = unique["hash"], unique["group"]
    near = np.zeros(len(unique), np.bool_)
    found: list[tuple[int, int]] = []
    for band in range(distance + 1):
        # Neighbouring bits, which stand for similar frequencies, go to different bands: this keeps buckets small.
        mask = np.uint64(sum(1 << bit for bit in range(band, _BITS, distance + 1)))
        order = np.lexsort((group, bits & mask))
        band_bits, band_group = (bits & mask)[order], group[order]
        ends = np.flatnonzero(np.diff(band_bits)) + 1
        begins, ends = np.append(0, ends), np.append(ends, len(order))
        mixed = band_group[begins] != band_group[ends - 1] if len(order) else np.zeros(0, np.bool_)
        for begin, end in zip(begins[mixed].tolist(), ends[mixed].tolist()):
            _compare(order[begin:end], bits, group, distance, near, found, examples)
    return Near(near[inverse], [(int(first[one]), int(first[other])) for one, other in found])


def _compare(
    bucket: npt.NDArray[np.int64],
    bits: npt.NDArray[np.uint64],
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
            close = np.bitwise_count(bits[ours][:, None] ^ bits[others]) <= distance
            near[ours] |= close.any(axis=1)
            near[others] |= close.any(axis=0)
            if len(found) < examples and close.any():
                pairs = [(int(ours[i]), int(others[j])) for i, j in np.argwhere(close)[:examples].tolist()]
                found.extend(pair for pair in pairs if pair not in found)
                del found[examples:]
