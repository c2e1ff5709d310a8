"""The gates that a release must pass before it is published."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING

from faceloom.pipelines.cards.croissant import croissant_json
from faceloom.pipelines.cards.croissant_check import find_fault, library_fault
from faceloom.pipelines.release import shard_gates, split_gates
from faceloom.pipelines.release.diff import diff, release_set
from faceloom.pipelines.release.near_duplicates import hash_faces
from faceloom.pipelines.release.version_bump import needed_level, version_gate
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import BuildRecord
from faceloom.pipelines.store.parquet_tables import read_index_table
from faceloom.pipelines.store.paths import shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import GateError
from faceloom.schemas.json_text import parse_json
from faceloom.schemas.release import GateResult, Release

if TYPE_CHECKING:
    import pyarrow as pa

NEAR_DUPLICATES = 0.01
"""Share of faces that may have a near-duplicate in another split, if the recipe does not state another."""
_COLUMNS = ("key", "split", "mask", "people", "photo_sha256", "parents", "source", "licence")
_MOST_CROISSANT = 2**28
_BEFORE_NEAR = 3
"""Gates on indexes that come before near-duplicates in a manifest."""


def run_gates(
    storage: Storage,
    release: Release,
    record: BuildRecord | None,
    previous: tuple[Storage, Release] | None,
    watcher: Watcher,
) -> tuple[GateResult, ...]:
    """Check a release before it is published. Reads every byte of its shards.

    If files are damaged, the gates that would read them are left out.

    Args:
        storage: the folder that holds the shards under the names that the release lists.
        release: the manifest.
        record: of the build that the release comes from, if it comes from one.
        previous: the release that it follows, and the folder that holds it.
        watcher: receives the progress.

    Returns:
        The result of each gate. The text of one that has passed names no person and no photo, since it is published.

    Raises:
        StorageError: the system refuses to read a file, or the previous release is damaged.
    """
    watcher.stage("check", len(release.shards), "shards")
    facts = []
    for count, shard in enumerate(release.shards, 1):
        facts.append(shard_gates.read_shard(storage, shard, release.members))
        watcher.done(count)
    files = (shard_gates.checksums(release, facts), shard_gates.samples(facts))
    if not all(result.passed for result in files):
        return files
    by_index = run_index_gates(storage, release, record, previous, watcher)
    watcher.stage("hash", len(release.shards), "shards")
    near = split_gates.near_duplicates(hash_faces(storage, release.shards, watcher.done), near_limit(release))
    return (*files, *by_index[:_BEFORE_NEAR], near, *by_index[_BEFORE_NEAR:])


def run_index_gates(
    storage: Storage,
    release: Release,
    record: BuildRecord | None,
    previous: tuple[Storage, Release] | None,
    watcher: Watcher,
) -> tuple[GateResult, ...]:
    """Run the gates that need no tar file. Arguments and errors as `run_gates`.

    Returns:
        The results of counts, identities, photos, morphs, licences, croissant and version.
    """
    table = _read_columns(storage, release)
    return (
        shard_gates.counts(release, record, table),
        split_gates.identities(table, shared=_shares_people(release)),
        split_gates.photos(table),
        split_gates.morphs(table),
        split_gates.licences(table),
        croissant(release),
        _version(storage, release, previous, watcher),
    )


def refuse_failed(release: Release, results: Sequence[GateResult]) -> None:
    """Refuse a release that fails a gate.

    Raises:
        GateError: a gate failed; names all that did.
    """
    if failed := [f"{result.gate}: {result.found}" for result in results if not result.passed]:
        what = f"{len(failed)} of {len(results)} gates failed: {'; '.join(failed)}"
        remedy = "Correct the build or choose another version, then run the same command again"
        raise GateError(what, where=f"{release.name}@{release.version}", remedy=remedy)


def near_limit(release: Release) -> float:
    """The share of near-duplicates that the recipe allows with `release: {near_duplicates: 0.02}`."""
    settings = release.recipe.get("release")
    limit = settings.get("near_duplicates") if isinstance(settings, dict) else None
    return float(limit) if isinstance(limit, (int, float)) and 0 <= limit <= 1 else NEAR_DUPLICATES


def croissant(release: Release) -> GateResult:
    """The Croissant card of a release is valid and lists path, length and sha256 of every shard and index.

    If mlcroissant is installed, it loads the card too, with the entries of a few shards: see `library_fault`. The
    result does not depend on that, as the digest of a release must not depend on what is installed.
    """
    data = croissant_json(release)
    fault, by_library = "", importlib.util.find_spec("mlcroissant") is not None
    try:
        card = parse_json(data, _MOST_CROISSANT)
        fault = find_fault(card, release) or (library_fault(card, release) if by_library else "")
    except ValueError as error:
        fault = f"it is no JSON: {error}"
    good = "croissant.json is valid and lists the digests of all files"
    found = f"croissant.json is not valid: {fault}" if fault else good
    return GateResult(gate="croissant", passed=not fault, found=found, figures={"bytes": len(data)})


def _read_columns(storage: Storage, release: Release) -> pa.Table:
    import pyarrow as pa

    return pa.concat_tables([read_index_table(storage, shard_index(shard.name), _COLUMNS) for shard in release.shards])


def _shares_people(release: Release) -> bool:
    split = release.recipe.get("split")
    return isinstance(split, dict) and split.get("per_identity") is not None


def _version(
    storage: Storage, release: Release, previous: tuple[Storage, Release] | None, watcher: Watcher
) -> GateResult:
    if previous is None:
        return GateResult(gate="version", passed=True, found=f"{release.version} follows no other release")
    before = release_set(*previous)
    erased = release.erased - previous[1].erased
    needed = needed_level(diff(before, release_set(storage, release), watcher), erased)
    return version_gate(release.version, previous[1].version, needed)
