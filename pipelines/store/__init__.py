"""Everything that is written to and read from an output folder, and where each file lies."""

from faceloom.pipelines.store import object_storage  # noqa: F401  # so that `Storage` can serve URLs
