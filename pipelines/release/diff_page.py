"""A diff as one self-contained HTML page, with pictures of some changed samples before and after."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceloom.pipelines.cards.templates import fill
from faceloom.pipelines.gallery.thumbnails import data_uri
from faceloom.pipelines.read.sample_members import decode_member
from faceloom.pipelines.release.diff import KIND_NAMES, KINDS, Diff, SampleSet, both_values
from faceloom.pipelines.store.checked_shards import read_places, read_samples
from faceloom.pipelines.store.paths import shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError
from faceloom.schemas.regular_files import UnfitFileError, open_regular_file

PER_KIND = 12
"""Changed samples of each kind that a page shows."""
MOST_PEOPLE = 200
"""People that a page lists."""
_SHOWN = ("masked", "face", "upper", "lr")
"""Members to show, the first that a sample has."""
_MARK = b"<!doctype html>\n<!-- faceloom diff -->"


@dataclass(frozen=True, slots=True)
class ShownChange:
    """A changed sample on the page: its key, its facts by name, and its pictures as data URIs, each with its side."""

    key: str
    facts: tuple[tuple[str, str], ...]
    pictures: tuple[tuple[str, str], ...]


def diff_page(before: SampleSet, after: SampleSet, found: Diff, *, per_kind: int = PER_KIND, seed: int = 0) -> bytes:
    """Make the page of a diff. It needs no other file and no network, and runs no script.

    Args:
        before, after: what was compared.
        found: the diff.
        per_kind: samples of each kind to show, chosen by the seed.
        seed: of the choice; the same seed, the same page.

    Raises:
        StorageError: a sample to show is damaged.
    """
    picked = _pick(found, per_kind, seed)
    pictures = [
        _pictures(side, {(row[f"shard_{name}"], row["key"]) for row in picked if row[f"shard_{name}"]})
        for side, name in ((before, "before"), (after, "after"))
    ]
    shown: dict[str, list[ShownChange]] = {kind: [] for kind in KINDS}
    for row in picked:
        own = [(name, side[row["key"]]) for name, side in zip(("before", "after"), pictures) if row["key"] in side]
        values = (("Person", "identity"), ("Split", "split"), ("Mask", "mask"))
        own_facts = (("Key", row["key"]), *((title, both_values(row, name)) for title, name in values))
        shown[row["kind"]].append(ShownChange(row["key"], own_facts, tuple(own)))
    people = sorted(found.by_identity.items(), key=lambda item: (-sum(item[1].values()), item[0]))[:MOST_PEOPLE]
    facts = {
        "Splits added": found.splits_added, "Splits removed": found.splits_removed,
        "Members added": found.members_added, "Members removed": found.members_removed,
    }  # fmt: skip
    page = fill(
        "faceloom.pipelines.release", "diff.html.j2",
        found=found, names=KIND_NAMES, facts=facts, shown=shown, people=people,
    )  # fmt: skip
    return page.encode("utf-8", "backslashreplace")


def write_diff_page(file: Path, page: bytes) -> None:
    """Write a page. It replaces the page of a diff, and no other file.

    Raises:
        StorageError: another file has this name, or the page cannot be written.
    """
    target = Path(os.path.realpath(file))  # the user's own path may be a link
    if not target.parent.is_dir():
        raise StorageError("the folder of the page does not exist", where=str(file), remedy="Create it first")
    if os.path.lexists(target) and not _is_page(target):
        raise StorageError("a file that is no diff has this name", where=str(file), remedy="Choose a new name")
    with Storage(str(target.parent)).write(target.name) as stream:
        stream.write(page)


def _is_page(file: Path) -> bool:
    try:
        with open_regular_file(file, follow_links=False) as stream:
            return stream.read(len(_MARK)) == _MARK
    except (OSError, UnfitFileError):
        return False


def _pick(found: Diff, per_kind: int, seed: int) -> list[dict[str, Any]]:
    """Some changes of each kind, in the order of the diff."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rng, numbers = random.Random(seed), []
    for kind in KINDS:
        rows = pc.indices_nonzero(pc.equal(found.changes["kind"], kind)).to_pylist()
        numbers += sorted(rng.sample(rows, min(per_kind, len(rows))))
    picked: list[dict[str, Any]] = found.changes.take(pa.array(numbers, pa.int64())).to_pylist()
    return picked


def _pictures(side: SampleSet, wanted: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A picture of each of some samples, given by shard and key, as a data URI, by key."""
    import numpy as np

    by_shard: dict[str, list[str]] = {}
    for shard, key in sorted(wanted):
        by_shard.setdefault(shard, []).append(key)
    found = {}
    for shard, keys in by_shard.items():
        places = read_places(side.storage, shard)
        rows = np.flatnonzero(np.isin(places.keys, [key.encode() for key in keys])).tolist()
        for key, files in read_samples(side.storage, shard, [places[row] for row in rows]):
            names = {name.partition(".")[0]: name for name in files}
            if name := next((names[member] for member in _SHOWN if member in names), None):
                found[key] = data_uri(decode_member(name, files[name], f"{shard_tar(shard)}::{key}"))
    return found
