"""The data card of a release: README.md in its folder."""

from __future__ import annotations

from faceloom.pipelines.cards.data_card import CardFacts, SourceFacts, card_text, refuse_empty_sections
from faceloom.pipelines.store.parquet_tables import read_index_columns
from faceloom.pipelines.store.paths import shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.counted import counted
from faceloom.schemas.release import Release


def card_markdown(storage: Storage, release: Release) -> str:
    """Return the data card of a release.

    Paths of shards in its head are relative to the folder that holds `shards/`, as in a repository on the hub of
    HuggingFace whose top holds this card.

    Args:
        storage: the folder of releases, whose pool holds the indexes of the shards.
        release: the manifest.

    Raises:
        FaceloomError: a required section would be empty.
        StorageError: an index cannot be read.
    """
    text = card_text(_facts(storage, release))
    refuse_empty_sections(text, f"{release.name}@{release.version}")
    return text


def _facts(storage: Storage, release: Release) -> CardFacts:
    people: set[str] = set()
    for shard in release.shards:
        for of_sample in read_index_columns(storage, shard_index(shard.name), ["people"])["people"]:
            people.update(of_sample)
    code, seed = release.code, release.seed
    commit = f", commit {code.commit}{' with changes' if code.dirty else ''}" if code.commit else ""
    made = [
        f"faceloom {code.faceloom}{commit}, plan {release.plan}, analysis version {code.analyser}, render version "
        f"{code.renderer}, seed {seed}. The same recipe, which release.json holds, and the same photos give the same "
        "bytes.",
        "Libraries: " + ", ".join(f"{name} {version}" for name, version in sorted(release.libraries.items())) + ".",
    ]
    if release.parent:
        made.append(f"It follows {release.parent}.")
    if release.erased:
        made.append(f"Erased since the build: {counted(release.erased, 'sample')} of people who withdrew.")
    return CardFacts(
        title=release.name,
        version=release.version,
        description=release.description,
        shards={name: [s.name for s in release.shards if s.split == name and s.samples] for name in release.splits},
        splits={name: (split.samples, split.people) for name, split in release.splits.items()},
        people=len(people),
        photos=release.photos,
        by_mask=release.by_mask,
        sources=[
            SourceFacts(source.name, source.samples, source.people, source.licences, source.consents, source.photos)
            for source in release.sources
        ],
        members=release.members,
        rejects=release.rejects,
        misses=release.misses,
        notes=release.warnings,
        models=[
            f"{use.role} model {use.name}, sha256 {use.sha256}: {use.licence or 'licence not stated'}"
            for use in release.models
        ],
        made=made,
        checks=[(result.gate, result.found) for result in release.gates],
    )
