"""Where the samples of a release come from: code, models, and sources with their terms."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from faceloom.pipelines.store.build_record import BuildRecord, ShardRecord
from faceloom.pipelines.store.last_run import LastRun
from faceloom.pipelines.store.parquet_tables import read_index_columns
from faceloom.pipelines.store.paths import shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.recipe import Recipe
from faceloom.schemas.release import Code, SourceUse, SplitUse


class Counts(NamedTuple):
    """What shards hold, counted in their indexes. Fields as in `Release`."""

    sources: tuple[SourceUse, ...]
    splits: dict[str, SplitUse]
    members: tuple[str, ...]
    by_mask: dict[str, int]


def code_of(record: BuildRecord, run: LastRun | None) -> Code:
    """The code that made a build.

    Args:
        record: of the build.
        run: the last run that had something to do; without it, commit and changes are unknown.
    """
    commit, dirty = (run.commit, run.dirty) if run else ("", False)
    return Code(faceloom=record.code, commit=commit, dirty=dirty, analyser=record.analyser, renderer=record.renderer)


def kinds_of(recipe: Recipe) -> dict[str, str]:
    """The kind of each source of a recipe, by name."""
    return {spec.source_name: spec.kind for spec in recipe.sources}


def count_content(storage: Storage, shards: Iterable[ShardRecord], kinds: Mapping[str, str]) -> Counts:
    """Count samples, photos, people and terms of shards from their indexes.

    Args:
        storage: the folder that holds them.
        shards: to count.
        kinds: kind of each source, by name; `unknown` for others.

    Raises:
        StorageError: an index is missing or damaged.
    """
    names = ("source", "mask", "licence", "consent", "photo_sha256", "people", "parents", "members")
    samples: Counter[str] = Counter()
    by_mask: Counter[str] = Counter()
    licences: dict[str, Counter[str]] = defaultdict(Counter)
    consents: dict[str, Counter[str]] = defaultdict(Counter)
    photos: dict[str, set[str]] = defaultdict(set)
    people: dict[str, set[str]] = defaultdict(set)
    of_split: dict[str, set[str]] = defaultdict(set)
    splits: dict[str, list[int]] = {}
    members: set[str] | None = None
    for shard in shards:
        columns = read_index_columns(storage, shard_index(shard.name), names)
        by_mask.update(mask or "none" for mask in columns["mask"])
        samples.update(columns["source"])
        for source, licence, consent, photo, seen, parents, files in zip(
            *(columns[name] for name in names if name != "mask"), strict=True
        ):
            licences[source][licence or ""] += 1
            consents[source][consent or ""] += 1
            photos[source].add(photo)
            if parents:
                for parent in parents:
                    people[parent["source"]].add(parent["identity"])
                    photos[parent["source"]].add(parent["photo_sha256"])
            else:
                people[source].update(seen)
            of_split[shard.split].update(seen)
            held = {member["name"] for member in files}
            members = held if members is None else members & held
        splits.setdefault(shard.split, []).append(len(columns["mask"]))
    sources = tuple(
        SourceUse(
            name=name, kind=kinds.get(name, "unknown"), samples=samples[name], photos=len(photos[name]),
            people=len(people[name]), licences=dict(sorted(licences[name].items())),
            consents=dict(sorted(consents[name].items())),
        )
        for name in sorted(photos)
    )  # fmt: skip
    counted = {
        split: SplitUse(samples=sum(sizes), people=len(of_split[split]), shards=len(sizes))
        for split, sizes in sorted(splits.items())
    }
    return Counts(sources, counted, tuple(sorted(members or ())), dict(sorted(by_mask.items())))
