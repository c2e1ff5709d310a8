"""Read a split of a release in a training job."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from faceloom.pipelines.read.pipeline import ReadOptions, make_pipeline
from faceloom.pipelines.read.sample_members import Missing
from faceloom.pipelines.release.root import open_root
from faceloom.pipelines.release.urls import usable_shards

if TYPE_CHECKING:
    from faceloom.pipelines.read.sized_pipeline import SizedPipeline


def open_release(
    root: str | Path,
    reference: str,
    split: str,
    *,
    shuffle: int = 0,
    seed: int = 0,
    decode: bool = True,
    tensors: bool = False,
    members: Sequence[str] | None = None,
    missing: Missing = "error",
    verify: bool = True,
    epoch: int | None = None,
) -> SizedPipeline:
    """Open one split of a release for training, as `open_split` opens one of a build.

    Example:
        samples = open_release("releases", "masked-faces@1.0.0", "train", shuffle=2000, members=["face", "masked"])
        loader = torch.utils.data.DataLoader(samples, batch_size=64, num_workers=4)

    Args:
        root: the folder of releases.
        reference: `NAME@VERSION`, `NAME@latest` or `NAME@CHANNEL`. A version always gives the same samples.
        split: `train`, `val`, `test`, or a split name of the source.
        shuffle, seed, decode, tensors, members, missing, verify, epoch: as in `open_split`.

    Returns:
        A pipeline of samples, as `open_split` returns it.

    Raises:
        ReleaseError: there is no such release or split, or the release is yanked; the message names the reason and what
            to use in its place.
        StorageError: a shard is missing or of another length than listed; while reading, a shard or its index is
            damaged.
        FaceloomError: an option has an impossible value, or webdataset is not installed.
    """
    options = ReadOptions(
        shuffle=shuffle, seed=seed, decode=decode, tensors=tensors, members=members, missing=missing, verify=verify,
        epoch=epoch,
    )  # fmt: skip
    storage = open_root(root)
    return make_pipeline(storage, usable_shards(storage, reference, split), options)
