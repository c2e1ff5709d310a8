"""Check a Croissant card: all of it by our own rules, and what is different in kind by mlcroissant."""

from __future__ import annotations

import json
import logging
import warnings
from typing import Any

from faceloom.pipelines.cards.croissant import TO_ROOT
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.schemas.release import Release, ReleaseShard

MOST_SHARDS = 8
"""Shards whose entries mlcroissant reads."""
_KEYS = ("@context", "@type", "conformsTo", "name", "version", "distribution", "recordSet")
_OWN = ("contentSize", "sha256", "description")
"""Values in which the entries of two shards may differ, beside the name of the shard."""


def find_fault(card: Any, release: Release) -> str:
    """What is wrong with a Croissant card; empty if nothing.

    Each shard and index must have one entry with its path, length and sha256; each shard one set of records; each set
    of members must span all shards. The entries of all shards must be alike but for name, length, sha256 and
    description, so that a library that accepts some of them accepts all.

    Args:
        card: the parsed JSON.
        release: what it must describe.
    """
    if not isinstance(card, dict):
        return "it is no object"
    if lacking := [key for key in _KEYS if not card.get(key)]:
        return f"it has no {lacking[0]}"
    entries: dict[str, dict[str, Any]] = {}
    for entry in [*_objects(card["distribution"]), *_objects(card["recordSet"])]:
        if not isinstance(name := entry.get("@id"), str) or name in entries:
            return f"it has an entry without an @id of its own: {ascii(name)[:80]}"
        entries[name] = entry
    tars, kinds = [{"@id": shard_tar(shard.name)} for shard in release.shards], set[str]()
    for shard in release.shards:
        found = _entries_of(shard, entries)
        if isinstance(found, str):
            return found
        kinds.add(json.dumps(found, sort_keys=True).replace(shard.name, ""))
    if len(kinds) > 1:
        return "the entries of two shards differ in more than name, length, sha256 and description"
    listed = {path(shard.name) for shard in release.shards for path in (shard_tar, shard_index)}
    for name, entry in entries.items():
        if entry.get("@type") == "cr:FileObject" and name not in listed:
            return f"it lists a file that the release does not hold: {ascii(name)[:80]}"
        if entry.get("@type") == "cr:FileSet" and entry.get("containedIn") != tars:
            return f"the files {ascii(name)[:80]} are not those of all shards"
    return ""


def library_fault(card: dict[str, Any], release: Release) -> str:
    """What mlcroissant finds wrong with a card that has no fault by `find_fault`; empty if nothing.

    It takes a tenth of a second per shard, so it reads head, members and records of the whole card, but only the
    entries of one shard per split, of `MOST_SHARDS` at most. The other entries are like these.

    Args:
        card: the parsed JSON.
        release: what it describes.
    """
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import mlcroissant

            mlcroissant.Dataset(jsonld=shortened(card, release))
    except Exception as error:  # its own errors have no common base
        return " ".join(str(error).split())[:500]
    finally:
        logging.disable(level)
    return ""


def shortened(card: dict[str, Any], release: Release) -> dict[str, Any]:
    """A card without the entries of most shards: the first shards of the first splits stay, a shard of each."""
    first = {shard.split: shard.name for shard in reversed(release.shards)}
    kept = [shard.name for shard in release.shards if first[shard.split] == shard.name][:MOST_SHARDS]
    gone = {
        name
        for shard in release.shards
        if shard.name not in kept
        for name in (shard_tar(shard.name), shard_index(shard.name), f"index-{shard.name}")
    }
    files = [entry for entry in card["distribution"] if entry["@id"] not in gone]
    return {
        **card,
        "distribution": [
            {**entry, "containedIn": [file for file in entry["containedIn"] if file["@id"] not in gone]}
            if "containedIn" in entry
            else entry
            for entry in files
        ],
        "recordSet": [entry for entry in card["recordSet"] if entry["@id"] not in gone],
    }


def _objects(value: Any) -> list[dict[str, Any]]:
    """The entries of a list; an empty one in place of each that is no object."""
    return [entry if isinstance(entry, dict) else {} for entry in value] if isinstance(value, list) else [{}]


def _entries_of(shard: ReleaseShard, entries: dict[str, dict[str, Any]]) -> str | list[dict[str, Any]]:
    """The entries of a shard without what is its own; text if one is missing or states something else than listed."""
    found = []
    for path, size, sha256 in (
        (shard_tar(shard.name), shard.bytes, shard.sha256),
        (shard_index(shard.name), shard.index_bytes, shard.index_sha256),
    ):
        listed = {"sha256": sha256, "contentSize": f"{size} B", "contentUrl": f"{TO_ROOT}/{path}"}
        entry = entries.get(path, {})
        if wrong := [key for key, value in listed.items() if entry.get(key) != value]:
            return f"it lists another {wrong[0]} of {path}, or none"
        found.append(entry)
    records = entries.get(f"index-{shard.name}")
    if records is None:
        return f"it has no records of {shard_index(shard.name)}"
    return [{key: value for key, value in entry.items() if key not in _OWN} for entry in (*found, records)]
