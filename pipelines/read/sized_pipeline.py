"""A webdataset pipeline that knows its length, and whose epochs do not depend on the number of workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from webdataset import FluidWrapper
from webdataset.filters import reraise_exception
from webdataset.utils import pytorch_worker_info

from faceloom.pipelines.read.shard_stream import ShardStream
from faceloom.pipelines.read.split_pieces import own_run
from faceloom.schemas.errors import FaceloomError


class SizedPipeline(FluidWrapper):  # type: ignore[misc]  # webdataset has no types
    """The samples of a `ShardStream`, with the methods of every webdataset pipeline.

    Attributes:
        sized: whether as many samples come out as the stream reads, because each stage maps a sample to a sample.
        shared: whether the length of an epoch is counted over all workers.
    """

    pipeline: list[Any]

    def __init__(self, stream: ShardStream, *, sized: bool = True) -> None:
        super().__init__(stream)
        self.sized, self.shared = sized, False

    def __len__(self) -> int:
        """Samples of an epoch of this rank, over all its workers.

        Raises:
            TypeError: a stage such as `select` or `batched` changes the number.
        """
        if not self.sized:
            raise TypeError("the length is unknown: a stage of the pipeline may leave samples out or join them")
        stream: ShardStream = self.pipeline[0]
        rank, ranks, _, _ = pytorch_worker_info()
        return len(own_run(stream.total, rank, ranks)) if stream.epoch is None else stream.epoch

    def compose(self, *stages: Any) -> SizedPipeline:
        """Return the pipeline with more stages, whose length is unknown."""
        longer: SizedPipeline = super().compose(*stages)
        longer.sized = False
        return longer

    def map(self, f: Callable[[Any], Any], handler: Any = reraise_exception) -> SizedPipeline:
        """Apply a function to each sample. It must not return None, which webdataset leaves out."""
        longer: SizedPipeline = super().map(f, handler=handler)
        longer.sized = self.sized
        return longer

    def with_epoch(self, nsamples: int = -1, nbatches: int = -1) -> SizedPipeline:
        """Set the length of an epoch of this rank, over all its workers. Changes the pipeline and returns it.

        Args:
            nsamples, nbatches: number of samples or batches that come out of the last stage; give one of them.

        Raises:
            FaceloomError: neither number is positive.
        """
        number = max(nsamples, nbatches)
        if number < 1:
            raise FaceloomError("an epoch has at least one sample", where="epoch", value=number)
        if self.sized:
            self.pipeline = [replace(self.pipeline[0], epoch=number), *self.pipeline[1:]]
        else:
            super().with_epoch(nsamples, nbatches)
            self.shared = True
        return self

    def __iter__(self) -> Iterator[Any]:
        return self._share() if self.shared else super().__iter__()

    def _share(self) -> Iterator[Any]:
        _, _, worker, workers = pytorch_worker_info()
        wanted = len(own_run(self.nsamples, worker, workers))
        count = 0
        for count, sample in enumerate(islice(self.iterator(), wanted), 1):  # noqa: B007
            yield sample
        if count < wanted:
            remedy = "Use fewer workers or ranks, or ask for members that more samples have"
            raise FaceloomError("a worker finds no samples for its share of the epoch", value=worker, remedy=remedy)
