"""Find samples of a plan that older shards of this output hold, so that they are copied and not rendered."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.context import Context
from faceloom.pipelines.store.parquet_tables import read_index_columns
from faceloom.pipelines.store.paths import INDEX, shard_index, shard_of_index
from faceloom.pipelines.store.shard_files import is_finished
from faceloom.schemas.errors import StorageError
from faceloom.schemas.plan import Shard


@dataclass(frozen=True, slots=True)
class Reuse:
    """What a part can take from older shards: their names, and the number of samples."""

    shards: tuple[str, ...]
    samples: int


def find_reuse(context: Context, missing: Iterable[Shard]) -> dict[str, Reuse]:
    """Find samples of missing shards in finished ones.

    Args:
        context: of the build.
        missing: shards that are not finished.

    Returns:
        A `Reuse` by part digest, for parts with at least one such sample. Shards with a damaged index are ignored.
        The samples themselves are not read, so the copy must check them.
    """
    storage = context.storage
    older = storage.list(INDEX)
    if not older:
        return {}
    wanted = _Wanted(missing)
    shards: dict[str, set[str]] = {}
    counts: Counter[str] = Counter()
    for path in older if wanted else ():
        shard = shard_of_index(path)
        with contextlib.suppress(StorageError):
            if path != shard_index(shard) or not is_finished(storage, shard):
                continue
            for part in wanted.take(read_index_columns(storage, path, ["inputs"])["inputs"]):
                shards.setdefault(part, set()).add(shard)
                counts[part] += 1
    return {part: Reuse(tuple(sorted(names)), counts[part]) for part, names in shards.items()}


class _Wanted:
    """The samples of missing shards by the digest of their inputs, 16 bytes each."""

    def __init__(self, missing: Iterable[Shard]) -> None:
        parts = [part for shard in missing for part in shard.parts]
        self._parts = [part.digest for part in parts]
        lengths = [len(part.heads) // 8 for part in parts]
        everything = np.frombuffer(b"".join(part.heads for part in parts), ">u8").astype(np.uint64)
        order = np.argsort(everything, kind="stable")
        self._keys = everything[order]
        self._part_of = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)[order]
        self._taken = np.zeros(len(order), bool)

    def __len__(self) -> int:
        return len(self._keys)

    def take(self, inputs: Sequence[str]) -> list[str]:
        """The part of each of these samples that is wanted, and was not taken before: two shards may hold one."""
        heads = np.unique(_heads(inputs))
        at = np.minimum(np.searchsorted(self._keys, heads), len(self) - 1)
        found = at[(self._keys[at] == heads) & ~self._taken[at]]
        self._taken[found] = True
        return [self._parts[part] for part in self._part_of[found].tolist()]


def _heads(inputs: Sequence[str]) -> npt.NDArray[np.uint64]:
    """The first 64 bits of each digest, enough for a guess: the copy checks all bits."""
    return np.frombuffer(bytes.fromhex("".join(one[:16].ljust(16, "0") for one in inputs)), ">u8").astype(np.uint64)
