"""Read a split of a release in a training job."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from faceloom.pipelines.read.pipeline import ReadOptions, make_pipeline
from faceloom.pipelines.read.sample_lookup import Samples
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


def open_release_samples(
    root: str | Path,
    reference: str,
    split: str,
    *,
    decode: bool = True,
    tensors: bool = False,
    members: Sequence[str] | None = None,
    missing: Missing = "error",
    verify: bool = True,
) -> Samples:
    """Open one split of a release for random access, as `open_samples` opens a build.

    Example:
        samples = open_release_samples("releases", "masked-faces@1.0.0", "train", members=["face", "mask"])
        sample = samples.by_key("04a0bb93c2e032ba-f00-m002")

    Args:
        root, reference, split: as in `open_release`.
        decode, tensors, members, missing, verify: as in `open_samples`.

    Returns:
        The samples, as a map-style dataset for PyTorch.

    Raises:
        ReleaseError, StorageError, FaceloomError: as `open_release`.
    """
    options = ReadOptions(decode=decode, tensors=tensors, members=members, missing=missing, verify=verify)
    storage = open_root(root)
    return Samples(storage, usable_shards(storage, reference, split), options)
