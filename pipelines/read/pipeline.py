"""Make the pipeline that reads shards in a training job: of a build, or of a release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from faceloom.pipelines.read.sample_members import Missing, check_missing, pick_members
from faceloom.pipelines.read.shard_stream import ShardStream
from faceloom.pipelines.store.checked_shards import Listed
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError

if TYPE_CHECKING:
    from faceloom.pipelines.read.sized_pipeline import SizedPipeline


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read a split. Each option is explained in `open_split`.

    Raises:
        FaceloomError: an option has an impossible value, or does not fit another.
    """

    shuffle: int = 0
    seed: int = 0
    decode: bool = True
    tensors: bool = False
    members: Sequence[str] | None = None
    missing: Missing = "error"
    verify: bool = True
    epoch: int | None = None

    def __post_init__(self) -> None:
        check_missing(self.missing, self.members)
        if self.epoch is not None and self.epoch < 1:
            raise FaceloomError("an epoch has at least one sample", where="epoch", value=self.epoch)


def make_pipeline(storage: Storage, shards: Sequence[Listed], options: ReadOptions) -> SizedPipeline:
    """Make a pipeline over shards.

    Args:
        storage: the folder that holds `shards/` and `index/`.
        shards: what a build record or a release manifest lists of them: one split, in order, with a sample or more.
        options: how to read them.

    Raises:
        FaceloomError: webdataset is not installed.
    """
    try:
        import webdataset  # noqa: F401

        from faceloom.pipelines.read.sized_pipeline import SizedPipeline
    except ImportError as error:
        remedy = "Run: pip install 'faceloom[torch]'"
        raise FaceloomError("reading shards for training needs webdataset", value=error, remedy=remedy) from None
    stream = ShardStream(storage, shards, options.shuffle, options.seed, options.verify)
    pick = partial(
        pick_members,
        members=None if options.members is None else tuple(options.members),
        missing=options.missing,
        decode=options.decode,
        tensors=options.tensors,
    )
    samples = SizedPipeline(stream, sized=options.missing != "skip").map(pick)
    return samples if options.epoch is None else samples.with_epoch(nsamples=options.epoch)
