"""The data card of a build: README.md in its output folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from faceloom.pipelines.cards.data_card import CardFacts, SourceFacts, card_text
from faceloom.pipelines.store.build_record import BuildRecord
from faceloom.pipelines.store.parquet_tables import read_index_columns
from faceloom.pipelines.store.paths import DATA_CARD, shard_index
from faceloom.pipelines.store.storage import Storage


def write_card(storage: Storage, record: BuildRecord, model_terms: str) -> None:
    """Write a build's data card unless the same card exists already.

    Args:
        storage: the output folder.
        record: of the build.
        model_terms: terms of the landmark model; empty if it has none.
    """
    text = card_text(build_facts(storage, record, model_terms))
    storage.write_if_changed(DATA_CARD, text.encode("utf-8", "backslashreplace"))


def build_facts(storage: Storage, record: BuildRecord, model_terms: str = "") -> CardFacts:
    """Collect what the card of a build states from its record and its indexes.

    Args:
        storage: the output folder.
        record: of the build.
        model_terms: terms of the landmark model; empty if it has none.
    """
    licences: dict[str, Counter[str]] = {}
    consents: dict[str, Counter[str]] = {}
    of_source: dict[str, set[str]] = {}
    of_split: dict[str, set[str]] = {split: set() for split in record.by_split}
    members: set[str] = set()
    for shard in record.shards:
        names = ["source", "people", "licence", "consent"]
        columns = read_index_columns(storage, shard_index(shard.name), names)
        for source, people, licence, consent in zip(*(columns[name] for name in names), strict=True):
            of_source.setdefault(source, set()).update(people)
            of_split[shard.split].update(people)
            licences.setdefault(source, Counter())[licence or ""] += 1
            consents.setdefault(source, Counter())[consent or ""] += 1
    filled = [shard for shard in record.shards if shard.samples]
    for shard in sorted(filled, key=lambda shard: shard.samples)[:1]:  # all samples have the same members
        for files in read_index_columns(storage, shard_index(shard.name), ["members"])["members"]:
            members.update(member["name"] for member in files)
    sources = [
        SourceFacts(name, licences[name].total(), len(of_source[name]), licences[name], consents[name])
        for name in sorted(of_source)
    ]
    people = {split: len(found) for split, found in of_split.items()}
    return facts_of_build(record, sources, people, len(set().union(*of_split.values())), sorted(members), model_terms)


def facts_of_build(
    record: BuildRecord,
    sources: Sequence[SourceFacts],
    people: Mapping[str, int],
    all_people: int,
    members: Sequence[str],
    model_terms: str = "",
) -> CardFacts:
    """What the card of a build states.

    Args:
        record: of the build.
        sources: counted from its indexes.
        people, all_people: number of people by split, and in all.
        members: names of the files of a sample.
        model_terms: terms of the landmark model; empty if it has none.
    """
    recipe = record.settings
    return CardFacts(
        title=recipe.name,
        description=recipe.description,
        shards={split: [s.name for s in record.shards if s.split == split and s.samples] for split in record.by_split},
        splits={split: (count, people.get(split, 0)) for split, count in record.by_split.items()},
        people=all_people,
        photos=record.photos,
        by_mask=record.by_mask,
        sources=sources,
        members=members,
        rejects=record.rejects,
        misses=record.misses,
        notes=_notes(record),
        models=[model_terms] if model_terms else [],
        made=[
            f"faceloom {record.code}, plan {record.plan}, analysis version {record.analyser}, render version "
            f"{record.renderer}, seed {recipe.seed}. The same recipe, which build.json holds, and the same photos give "
            "the same bytes.",
        ],
    )


def _notes(record: BuildRecord) -> list[str]:
    notes = list(record.warnings)
    if record.morphs:
        how = "are exact"
        if record.recall:
            found = ", ".join(f"{share:.1%} of them in {split}" for split, share in sorted(record.recall.items()))
            how = f"were found by an approximate index ({found}, measured on a sample of faces)"
        notes.append(f"{record.morphs:,} of {record.faces:,} faces are morphs of two people. Nearest neighbours {how}.")
    return notes
