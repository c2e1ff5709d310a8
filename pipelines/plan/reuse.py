"""Find samples of a plan that older shards of this output hold, so that they are copied and not rendered."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass

from faceloom.pipelines.context import Context
from faceloom.pipelines.plan.inputs import sample_inputs, settings_digest
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
    settings = settings_digest(context.recipe, context.file_digests)
    part_of = {
        inputs: part.digest
        for shard in missing
        for part in shard.parts
        for face in part.faces
        for inputs in sample_inputs(face, settings, context.mask_digests)
    }
    shards: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    for path in older if part_of else ():
        shard = shard_of_index(path)
        with contextlib.suppress(StorageError):
            if path != shard_index(shard) or not is_finished(storage, shard):
                continue
            for inputs in read_index_columns(storage, path, ["inputs"])["inputs"]:
                if part := part_of.pop(inputs, None):  # two shards may hold the same sample
                    shards.setdefault(part, set()).add(shard)
                    counts[part] = counts.get(part, 0) + 1
    return {part: Reuse(tuple(sorted(names)), counts[part]) for part, names in shards.items()}
