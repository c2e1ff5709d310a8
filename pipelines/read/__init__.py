"""Read finished builds in training jobs."""

from faceloom.pipelines.read.split_reader import open_split

__all__ = ["open_split"]
