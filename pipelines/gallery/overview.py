"""Count what shards hold, and draw the samples that a gallery shows. Reads indexes only."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import ShardRecord
from faceloom.pipelines.store.parquet_tables import read_index_columns
from faceloom.pipelines.store.paths import shard_index
from faceloom.pipelines.store.storage import Storage

_COLUMNS = ("key", "mask", "source", "people", "licence", "consent")


class Drawn(NamedTuple):
    """A sample that a gallery shows.

    Attributes:
        rank: digest of its key, by which samples are drawn.
        shard: number of its shard in the list.
        row: number of its row in the index of the shard.
        mask: label of its mask; empty without one.
        licence, consent: as the source states them; empty without.
    """

    rank: bytes
    shard: int
    row: int
    key: str
    split: str
    mask: str
    source: str
    people: tuple[str, ...]
    licence: str
    consent: str


@dataclass(frozen=True, slots=True)
class Overview:
    """What shards hold.

    Attributes:
        by_split, by_mask, by_source: number of samples; a sample without a mask counts as `none`.
        people: samples of each person by split; a morph counts for both people.
        drawn: the samples to show, the same for the same shards.
    """

    by_split: Counter[str]
    by_mask: Counter[str]
    by_source: Counter[str]
    people: dict[str, Counter[str]]
    drawn: tuple[Drawn, ...]

    @property
    def samples(self) -> int:
        """Number of samples."""
        return self.by_split.total()

    @property
    def all_people(self) -> int:
        """Number of people in all splits."""
        return len(set().union(*self.people.values()))


def look_over(
    storage: Storage, shards: Sequence[ShardRecord], *, most: int, most_shards: int, watcher: Watcher
) -> Overview:
    """Count samples and people, and draw samples by the digests of their keys.

    Splits, masks and sources take turns, so that each is shown if there is room. Samples come from a few shards, drawn
    by the digests of their names, since the whole index of each has to be checked.

    Args:
        storage: the folder of the shards.
        shards: to look at.
        most: samples to draw.
        most_shards: shards to draw them from.
        watcher: receives the progress.

    Raises:
        StorageError: an index cannot be read or is damaged.
    """
    found = Overview(Counter(), Counter(), Counter(), {}, ())
    groups: dict[tuple[str, str, str], list[Drawn]] = {}
    chosen = set(_draw_shards(shards, most_shards))
    watcher.stage("indexes", len(shards), "shards")
    for number, shard in enumerate(shards):
        columns = read_index_columns(storage, shard_index(shard.name), _COLUMNS)
        found.by_split[shard.split] += len(columns["key"])
        found.by_mask.update(mask or "none" for mask in columns["mask"])
        found.by_source.update(columns["source"])
        people = found.people.setdefault(shard.split, Counter())
        for of_sample in columns["people"]:
            people.update(of_sample)
        if number in chosen:
            for row in _rows(columns, number, shard.split):
                groups.setdefault((row.split, row.mask, row.source), []).append(row)
            for name, rows in groups.items():
                groups[name] = sorted(rows)[:most]
        watcher.done(number + 1)
    return Overview(found.by_split, found.by_mask, found.by_source, found.people, _take_turns(groups, most))


def _rows(columns: dict[str, list[object]], shard: int, split: str) -> Iterator[Drawn]:
    for row, values in enumerate(zip(*(columns[name] for name in _COLUMNS), strict=True)):
        key, mask, source, people, licence, consent = values
        rank = hashlib.sha256(str(key).encode()).digest()[:8]
        yield Drawn(
            *(rank, shard, row, str(key), split, str(mask), str(source), tuple(people)),
            *(str(licence or ""), str(consent or "")),
        )


def _draw_shards(shards: Sequence[ShardRecord], most: int) -> list[int]:
    """Numbers of shards that hold samples; splits take turns."""
    by_split: dict[str, list[tuple[bytes, int]]] = {}
    for number, shard in enumerate(shards):
        if shard.samples:
            rank = hashlib.sha256(shard.name.encode()).digest()
            by_split.setdefault(shard.split, []).append((rank, number))
    queues = [sorted(by_split[split]) for split in sorted(by_split)]
    turns = [queue[turn] for turn in range(len(shards)) for queue in queues if turn < len(queue)]
    return [number for _, number in turns[:most]]


def _take_turns(groups: dict[tuple[str, str, str], list[Drawn]], most: int) -> tuple[Drawn, ...]:
    queues = [groups[name] for name in sorted(groups)]
    turns = [queue[turn] for turn in range(most) for queue in queues if turn < len(queue)]
    return tuple(turns[:most])
