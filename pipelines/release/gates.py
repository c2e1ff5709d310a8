"""The gates that a release must pass before it is published."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from faceloom.pipelines.cards.croissant import croissant_json
from faceloom.pipelines.release import shard_gates, split_gates
from faceloom.pipelines.release.diff import diff, release_set
from faceloom.pipelines.release.near_duplicates import hash_faces
from faceloom.pipelines.release.version_bump import needed_level, version_gate
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import BuildRecord
from faceloom.pipelines.store.parquet_tables import read_index_table
from faceloom.pipelines.store.paths import shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.json_text import parse_json
from faceloom.schemas.release import GateResult, Release

if TYPE_CHECKING:
    import pyarrow as pa

NEAR_DUPLICATES = 0.01
"""Share of faces that may have a near-duplicate in another split, if the recipe does not state another."""
_COLUMNS = ("key", "split", "mask", "people", "photo_sha256", "parents", "source", "licence")
_MOST_CROISSANT = 2**28


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
    table = _read_columns(storage, release)
    watcher.stage("hash", len(release.shards), "shards")
    hashed = hash_faces(storage, release.shards, watcher.done)
    return (
        *files,
        shard_gates.counts(release, record, table),
        split_gates.identities(table, shared=_shares_people(release)),
        split_gates.photos(table),
        split_gates.near_duplicates(hashed, near_limit(release)),
        split_gates.morphs(table),
        split_gates.licences(table),
        croissant(release),
        _version(storage, release, previous, watcher),
    )


def near_limit(release: Release) -> float:
    """The share of near-duplicates that the recipe allows with `release: {near_duplicates: 0.02}`."""
    settings = release.recipe.get("release")
    limit = settings.get("near_duplicates") if isinstance(settings, dict) else None
    return float(limit) if isinstance(limit, (int, float)) and 0 <= limit <= 1 else NEAR_DUPLICATES


def croissant(release: Release) -> GateResult:
    """The Croissant description of a release is valid and lists the digests of every shard and index.

    mlcroissant loads it too if it is installed. The result does not tell, as the digest of a release must not depend on
    what is installed.
    """
    data = croissant_json(release)
    fault, by_library = "", importlib.util.find_spec("mlcroissant") is not None
    try:
        plain = parse_json(data, _MOST_CROISSANT)
        fault = _structure_fault(plain, release) or (_library_fault(plain) if by_library else "")
    except ValueError as error:
        fault = f"it is no JSON: {error}"
    good = "croissant.json is valid and lists the digests of all files"
    found = f"croissant.json is not valid: {fault}" if fault else good
    return GateResult(gate="croissant", passed=not fault, found=found, figures={"bytes": len(data)})


def _structure_fault(plain: Any, release: Release) -> str:
    if not isinstance(plain, dict):
        return "it is no object"
    for key in ("@context", "@type", "conformsTo", "name", "version", "distribution", "recordSet"):
        if not plain.get(key):
            return f"it has no {key}"
    sums = set(_values(plain["distribution"], "sha256"))
    missing = [shard.name for shard in release.shards if not {shard.sha256, shard.index_sha256} <= sums]
    return f"it lists no sha256 of {missing[0]} and {len(missing) - 1:,} other shards" if missing else ""


def _values(plain: Any, key: str) -> Iterator[str]:
    """All values of a key, at any depth."""
    if isinstance(plain, dict):
        if isinstance(plain.get(key), str):
            yield plain[key]
        plain = list(plain.values())
    if isinstance(plain, list):
        for one in plain:
            yield from _values(one, key)


def _library_fault(plain: dict[str, Any]) -> str:
    """What mlcroissant finds wrong; empty if nothing."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import mlcroissant

            mlcroissant.Dataset(jsonld=plain)
    except Exception as error:  # its own errors have no common base
        return " ".join(str(error).split())[:500]
    finally:
        logging.disable(level)
    return ""


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
