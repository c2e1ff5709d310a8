"""Read a split of a finished build in a training job, as a webdataset pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from faceloom.pipelines.read.pipeline import ReadOptions, make_pipeline
from faceloom.pipelines.read.sample_members import Missing
from faceloom.pipelines.read.split_pieces import split_shards
from faceloom.pipelines.store.storage import Storage

if TYPE_CHECKING:
    from faceloom.pipelines.read.sized_pipeline import SizedPipeline


def open_split(
    out: str | Path,
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
    """Open one split of a finished build for training.

    It reads the shards that OUT/build.json lists and ignores other files. Every sample comes exactly once per epoch,
    for any number of ranks and DataLoader workers: each reads its own run of neighbouring samples, and no two runs
    differ by more than one sample, even if there are fewer shards than workers. If all ranks need exactly the same
    number of samples, give `epoch`.

    A sample is a dict: `__key__`, then its members in alphabetical order.

    - `face`, `masked`: uint8 (H, W, 3), RGB, 0..255.
    - `mask`: uint8 (H, W), 0 or 255; `alpha` and `guide`: uint8 (H, W), 0..255.
    - `landmarks`: float32 (68, 2), x and y in pixels of the crop, iBUG order.
    - `upper`, `lower`: uint8 (h, W, 3), RGB, parts of the face; `lower_landmarks`: float32 (68, 2), pixels of `lower`.
    - `lr`, `lr_masked`: uint8 (h, w, 3), RGB, at their own small size. If it differs from sample to sample, the batch
      size must be 1. `lr_mask`: uint8 (h, w), 0 or 255.
    - `lr_upsampled`, `lr_masked_upsampled`: the same enlarged, uint8 (H, W, 3), RGB.
    - `features`: float32 (D,), the output of the recipe's network for the face.
    - `json`: a dict with identity, split, source, and every operation with its parameters and seed. It holds texts and
      lists, which PyTorch cannot collate into a batch: list the other members, or map it to what you need.

    All samples of a build have the same members. The `landmarks` of a face without trusted ones, and of a photo in
    which no face was found, are NaN, and `has_landmarks` in `json` is false. With `members`, `missing` decides about a
    member that a sample lacks.

    Example:
        samples = open_split("out", "train", shuffle=2000, members=["face", "masked", "mask"])
        loader = torch.utils.data.DataLoader(samples, batch_size=64, num_workers=4)

        unknown = np.full((68, 2), np.nan, np.float32)
        samples = open_split("out", "train", members=["face", "landmarks"], missing={"landmarks": unknown})

    Args:
        out: folder of the build.
        split: `train`, `val`, `test`, or a split name of the source.
        shuffle: size of the shuffle buffer in samples; 0 keeps the order of the shards. A shuffled epoch also reads
            pieces of `PIECE` samples in random order. The order differs from epoch to epoch. It repeats with the same
            `seed`, the same number of readers and the same `torch.manual_seed`.
        seed: seed of the shuffling.
        decode: decode the members; otherwise they are bytes under their file names, such as `face.jpg`.
        tensors: return pictures as uint8 torch tensors (C, H, W), masks as (1, H, W), landmarks as a tensor.
        members: names of the members to read, without file ending; None for all.
        missing: what to do with a sample that lacks one of `members`: `error` ends the epoch with an error, `skip`
            leaves the sample out, and a mapping holds the values to use, by member: arrays of the usual shape if they
            go into batches. With `skip`, the runs of readers may differ by more than one sample.
        verify: compare every byte that is read with the index: keys, names, and the sha256 of each member. Damage ends
            the epoch with an error that names shard, sample and member.
        epoch: number of samples that each rank reads in an epoch, whatever the number of its workers. A rank reads its
            own run round after round: less than one round if the run is longer, with `shuffle` other samples in each
            epoch. `.with_epoch(nsamples=...)` on the result does the same.

    Returns:
        A webdataset pipeline: an IterableDataset with `.map`, `.select`, `.batched`, `.with_epoch` and so on. `len()`
        is the number of samples that this rank reads in an epoch, as long as each stage maps one sample to one sample.
        PyTorch computes `len(loader)` from it as if there were one worker: it is right if the epoch is a multiple of
        batch size times workers.

    Raises:
        StorageError: there is no finished build, or a shard is missing or of another length than listed; while reading,
            a shard or its index is damaged.
        FaceloomError: the build has no such split, a sample lacks a member, `missing` is invalid or does not fit
            `members`, `epoch` is not positive, or webdataset is not installed.
    """
    options = ReadOptions(shuffle, seed, decode, tensors, members, missing, verify, epoch)
    storage = Storage(str(out))
    return make_pipeline(storage, split_shards(storage, split), options)
