"""The shards of a split of a release, and their paths for webdataset and other tools."""

from __future__ import annotations

from pathlib import Path

from faceloom.pipelines.release.manifest import AGAIN
from faceloom.pipelines.release.resolve import usable
from faceloom.pipelines.store.build_record import ShardRecord
from faceloom.pipelines.store.file_faults import find_shard_faults
from faceloom.pipelines.store.paths import shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import ReleaseError, StorageError
from faceloom.schemas.urls import url_of


def usable_shards(root: Storage, reference: str, split: str) -> tuple[ShardRecord, ...]:
    """Return the shards of a split of a release that is not yanked. Each exists with the length that is listed.

    Args:
        root: the folder of releases.
        reference: such as `masked-faces@1.0.0`.
        split: such as `train`.

    Raises:
        ReleaseError: there is no such release or split, or the release is yanked.
        StorageError: a shard or its index is missing or has another length.
    """
    found = usable(root, reference)
    shards = tuple(shard for shard in found.shards if shard.split == split)
    if not shards:
        remedy = f"It has: {', '.join(found.release.splits)}"
        raise ReleaseError("the release has no such split", where=reference, value=split, remedy=remedy)
    if faults := find_shard_faults(root, shards, AGAIN, digests=False):
        raise StorageError(faults[0].what, where=faults[0].file, remedy=faults[0].remedy)
    return shards


def release_urls(root: Storage, reference: str, split: str) -> list[str]:
    """List the paths of the tar files of a split, in order. Arguments and errors as `usable_shards`.

    webdataset takes the list as it is; a path with braces must not be given alone, since braces in a text are expanded.
    """
    folder = root.root if url_of(root.root) else Path(root.root).absolute()
    return [f"{folder}/{shard_tar(shard.name)}" for shard in usable_shards(root, reference, split)]
