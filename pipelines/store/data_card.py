"""The data card of a build, in Markdown: content, people, terms and rejects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from faceloom.pipelines.store.build_record import BuildRecord
from faceloom.pipelines.store.parquet_tables import read_index_columns
from faceloom.pipelines.store.paths import DATA_CARD, shard_index
from faceloom.pipelines.store.storage import Storage

_SYNTHETIC = """Masked pictures are synthetic: a program drew masks onto the photos, and `mask.png` marks their pixels.
Check a model that is trained on them on photos of real masks before use."""

_PEOPLE = """These are faces of people. Use them only as the terms and the consent above allow. `index/*.parquet` names
the photo of every sample and its sha256, and both photos of a morph, so that one person's samples can be found."""


def write_card(storage: Storage, record: BuildRecord, model_terms: str) -> None:
    """Write a build's data card unless the same card exists already.

    Args:
        model_terms: terms of the landmark model; empty if it has none.
    """
    licences: Counter[str] = Counter()
    consents: Counter[str] = Counter()
    people: set[str] = set()
    for shard in record.shards:
        columns = read_index_columns(storage, shard_index(shard.name), ["identity", "parents", "licence", "consent"])
        for identity, parents in zip(columns["identity"], columns["parents"], strict=True):
            people.update([parent["identity"] for parent in parents] or [identity])  # a morph is not a new person
        licences.update(licence or "not stated" for licence in columns["licence"])
        consents.update(consent or "not stated" for consent in columns["consent"])
    text = card_text(record, len(people), licences, consents, model_terms=model_terms)
    storage.write_if_changed(DATA_CARD, text.encode("utf-8", "backslashreplace"))


def card_text(
    record: BuildRecord,
    people: int,
    licences: Mapping[str, int],
    consents: Mapping[str, int],
    *,
    model_terms: str,
) -> str:
    """Return the card of a build as Markdown.

    Args:
        record: the record of the build.
        people: number of distinct identities; each photo without identity counts as one.
        licences, consents: number of samples by the licence and consent that the source states.
        model_terms: terms of the landmark model; empty if it has none.
    """
    recipe = record.settings
    parts = [
        f"# {recipe.name}",
        recipe.description,
        f"{record.written} samples of {people} people, from {record.photos} files of {len(recipe.sources)} sources.",
        _morphs(record),
        _table("Split", record.by_split),
        _table("Mask", record.by_mask),
        _table("Source", record.by_source),
        "## Terms",
        _table("Licence", licences),
        _table("Consent", consents),
        model_terms,
        "## Left out",
        _rejects(record.rejects),
        "## Care",
        _SYNTHETIC,
        _PEOPLE,
        "## How it was made",
        f"Plan `{record.plan}`, analysis version {record.analyser}, render version {record.renderer}, "
        f"seed {recipe.seed}. The same recipe, which `build.json` holds, and the same photos give the same bytes.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _morphs(record: BuildRecord) -> str:
    if not record.morphs:
        return ""
    how = "are exact"
    if record.recall:
        how = ", ".join(f"{share:.1%} of them in {split}" for split, share in sorted(record.recall.items()))
        how = f"were found by an approximate index ({how}, measured on a sample of faces)"
    return f"{record.morphs} of {record.faces} faces are morphs of two people. Nearest neighbours {how}."


def _table(title: str, counts: Mapping[str, int]) -> str:
    rows = "\n".join(f"| {_cell(name)} | {count} |" for name, count in sorted(counts.items()))
    return f"| {title} | Samples |\n|---|---|\n{rows}" if counts else ""


def _rejects(rejects: Mapping[str, Mapping[str, int]]) -> str:
    rows = [
        f"| {stage} | {_cell(code)} | {count} |" for stage, codes in rejects.items() for code, count in codes.items()
    ]
    if not rows:
        return "Nothing."
    return (
        "\n".join(["| Stage | Reason | Count |", "|---|---|---|", *rows])
        + "\n\n`rejects/*.parquet` lists each with its reason."
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
