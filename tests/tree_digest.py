"""The digest of a build in a folder or a store: `python -m tests.tree_digest s3://bucket/out out`."""

from __future__ import annotations

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor

from faceloom.pipelines.store.storage import Storage

PASSING = ("logs/", "faces/", ".lock")
"""What depends on the way there: times, and the face table, which knows when photos were changed."""


def digests(out: str) -> dict[str, str]:
    """sha256 of every file of a build that must not depend on the way there, by path."""
    storage = Storage(out)
    kept = [path for path in storage.list() if not path.startswith(PASSING)]
    with ThreadPoolExecutor(8) as threads:
        return dict(zip(kept, threads.map(lambda path: hashlib.sha256(storage.read_bytes(path)).hexdigest(), kept)))


def tree_digest(out: str) -> str:
    """sha256 over all paths and digests."""
    return hashlib.sha256(repr(sorted(digests(out).items())).encode()).hexdigest()


if __name__ == "__main__":
    for place in sys.argv[1:]:
        print(tree_digest(place), place)
