"""What the commands of releases print: tables for people, plain values for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import typer
from rich.console import RenderableType

from faceloom.pipelines.cards.templates import visible
from faceloom.pipelines.cli.console import size_text
from faceloom.pipelines.cli.output import FAILED, say, show_blocks, write_json
from faceloom.pipelines.cli.summary import counts_table, facts_table, rejects_table, table
from faceloom.pipelines.release.create import Created
from faceloom.pipelines.release.log_heads import read_heads
from faceloom.pipelines.release.manifest import Published, read_manifest
from faceloom.pipelines.release.resolve import Versions, listed_versions, read_versions, set_names, short_name
from faceloom.pipelines.release.verify import Verified
from faceloom.pipelines.store.file_faults import Fault
from faceloom.pipelines.store.paths import DATA_CARD, release_file
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.counted import counted
from faceloom.schemas.errors import ReleaseError, StorageError

MOST_FAULTS = 100
"""Faults that a command prints; all of them come with --json."""
MOST_LETTERS = 60
"""Letters of a licence that a command prints."""


def created_facts(done: Created) -> dict[str, Any]:
    """A new release and its shards as plain values."""
    release = done.published.release
    return {
        "id": done.published.id, "parent": release.parent, "samples": release.written, "shared": done.shared,
        "copied": done.copied, "shared_bytes": done.shared_bytes, "copied_bytes": done.copied_bytes,
        "gates": [result.model_dump() for result in release.gates],
    }  # fmt: skip


def created_summary(done: Created, root: str) -> list[RenderableType]:
    """A new release and its shards."""
    release = done.published.release
    facts = {
        "id": done.published.id,
        "parent": release.parent or "none",
        "samples": release.written,
        "shards shared": f"{done.shared:,} ({size_text(done.shared_bytes)})",
        "shards copied": f"{done.copied:,} ({size_text(done.copied_bytes)})",
        "folder": root,
    }
    return [facts_table("Released", facts), gates_table(done.published)]


def gates_table(found: Published) -> RenderableType:
    """The gates of a release and what they found."""
    rows = [(result.gate, "passed" if result.passed else "FAILED", result.found) for result in found.release.gates]
    return table("Gates", ("gate", "result", "found"), rows or [("none", "", "")], words=3)


def listed_releases(root: Storage, name: str | None) -> list[dict[str, Any]]:
    """All releases, or those of one set, as plain values. A damaged manifest or log is listed with its fault.

    Raises:
        ReleaseError: there is no such set.
        StorageError: the marker of the folder is damaged.
    """
    read_heads(root)  # its fault is one of all sets
    names = set_names(root)
    if name is not None and name not in names:
        remedy = f"Sets with releases: {', '.join(names[:10]) or 'none'}"
        raise ReleaseError("there is no release of this name", where=root.root, value=ascii(name)[:80], remedy=remedy)
    rows = []
    for one in names if name is None else [name]:
        fault = ""
        try:
            known = read_versions(root, one)
        except StorageError as error:
            known, fault = Versions(listed_versions(root, one), {}, {}), str(error)
        for version in known.versions:
            row: dict[str, Any] = {"name": one, "version": version, **_state(known, version), "fault": fault}
            try:
                found = read_manifest(root, one, version)
                size = sum(shard.bytes + shard.index_bytes for shard in found.shards)
                row |= {"id": found.id, "samples": found.release.written, "shards": len(found.shards), "bytes": size}
            except StorageError as error:
                row |= {"id": "", "samples": 0, "shards": 0, "bytes": 0, "fault": fault or str(error)}
            rows.append(row)
    return rows


def releases_summary(rows: Sequence[dict[str, Any]], root: str) -> list[RenderableType]:
    """A table of releases."""
    if not rows:
        return [f"{root} holds no releases"]
    lines = []
    for row in rows:
        state = ", ".join(row["channels"])
        if row["yanked"] is not None:
            instead = f"; use {row['replacement']}" if row["replacement"] else ""
            state = f"yanked: {row['yanked']}{instead}"
        name = f"{row['name']}@{row['version']}"
        lines.append(
            (name, row["fault"] or state, f"{row['samples']:,}", f"{row['shards']:,}", size_text(row["bytes"]))
        )
    return [table(root, ("release", "state", "samples", "shards", "size"), lines, words=2)]


def release_facts(found: Published, known: Versions) -> dict[str, Any]:
    """A release as plain values: its manifest, its id, its channels, and whether it is yanked."""
    return {**found.release.model_dump(mode="json"), "id": found.id, **_state(known, found.release.version)}


def release_summary(found: Published, known: Versions) -> list[RenderableType]:
    """What a release holds and where it comes from."""
    release, state = found.release, _state(known, found.release.version)
    size = sum(shard.bytes + shard.index_bytes for shard in found.shards)
    commit = f", commit {release.code.commit[:12]}{' with changes' if release.code.dirty else ''}"
    facts = {
        "id": found.id,
        "parent": release.parent or "none",
        "channels": ", ".join(state["channels"]) or "none",
        "samples": release.written,
        "erased": release.erased,
        "shards": f"{len(release.shards):,} ({size_text(size)})",
        "code": f"faceloom {release.code.faceloom}{commit if release.code.commit else ''}",
        "plan": release.plan[:16],
    }
    blocks: list[RenderableType] = [facts_table(f"{release.name}@{release.version}", facts)]
    if release.description:
        blocks.append(visible(release.description))
    if state["yanked"] is not None:
        instead = f". Use {state['replacement']}" if state["replacement"] else ""
        blocks.append(f"YANKED: {state['yanked']}{instead}")
    splits = [(name, f"{use.samples:,}", f"{use.people:,}", f"{use.shards:,}") for name, use in release.splits.items()]
    sources = [
        (
            use.name,
            visible(_terms(use.licences), MOST_LETTERS),
            f"{use.samples:,}",
            f"{use.photos:,}",
            f"{use.people:,}",
        )
        for use in release.sources
    ]
    blocks += [
        table("Splits", ("split", "samples", "people", "shards"), splits),
        table("Sources", ("source", "licence", "samples", "photos", "people"), sources, words=2),
        counts_table("By mask", release.by_mask),
    ]
    if release.models:
        models = [
            (use.role, use.name, use.sha256[:16], visible(use.licence or "not stated", MOST_LETTERS))
            for use in release.models
        ]
        blocks.append(table("Models", ("role", "name", "sha256", "licence"), models, words=4))
    terms = [*(use.licence for use in release.models), *(_terms(use.licences) for use in release.sources)]
    if any(len(text) > MOST_LETTERS for text in terms):
        card = release_file(release.name, release.version, DATA_CARD)
        blocks.append(f"Licences in full: {card} in the folder of releases, or --json")
    if release.rejects:
        blocks.append(rejects_table(release.rejects))
    return [*blocks, gates_table(found)]


def fault_lines(faults: Sequence[Fault]) -> Iterable[str]:
    """A line for each fault, and one that counts them."""
    yield from map(str, faults[:MOST_FAULTS])
    if len(faults) > MOST_FAULTS:
        yield f"and {len(faults) - MOST_FAULTS:,} more; --json lists all"
    if faults:
        count = counted(len(faults), "file differs", "files differ")
        yield f"{count} from what is listed, or cannot be read"


def show_verified(done: Verified, what: str, *, as_json: bool, deep: bool) -> None:
    """Print what was verified. Exits with code 1 if anything is wrong."""
    if as_json:
        faults = [fault._asdict() for fault in done.faults]
        write_json({"verified": what, "deep": deep, "shards": done.shards, "bytes": done.bytes, "faults": faults})
    elif not done.faults:
        how = "every byte was compared" if deep else "lengths of shards and digests of all else were compared"
        show_blocks(
            [f"{what} is whole: {counted(done.shards, 'shard')}, {size_text(done.bytes)} with their indexes; {how}"]
        )
    for line in fault_lines(done.faults):
        say(line)
    if done.faults:
        raise typer.Exit(FAILED)


def _state(known: Versions, version: str) -> dict[str, Any]:
    yank = known.yanked.get(version)
    return {
        "channels": sorted(name for name, entry in known.channels.items() if entry.version == version),
        "yanked": yank and yank.why,
        "replacement": short_name(yank.replacement) if yank else "",
    }


def _terms(licences: dict[str, int]) -> str:
    return ", ".join(name or "not stated" for name in licences)
