"""What `release diff`, `release erase` and `release purge` print for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType

from faceloom.pipelines.cards.templates import visible
from faceloom.pipelines.cli.console import size_text
from faceloom.pipelines.cli.summary import MOST_FILES, facts_table, table
from faceloom.pipelines.release.after_erasure import AfterErasure
from faceloom.pipelines.release.build_erasure import BuildErasure
from faceloom.pipelines.release.diff import KIND_NAMES, Diff, both_values
from faceloom.pipelines.release.erase import Erasure
from faceloom.pipelines.release.purge import Purge
from faceloom.schemas.counted import counted

MOST_PEOPLE = 20
"""People that are listed; all of them come with --json."""
MOST_LETTERS = 80
"""Letters of a name that are printed; all of them come with --json."""
SPELLING = "Identities are spelled as in the column `people` of the indexes. Check the spelling"
WITHOUT_SAMPLES = "Photos that became no sample are found by their sha256, with --photo"
"""What to do if a build is not known to hold a person."""
MOST_CHANGES = 1000
"""Changed samples that `--list` prints; all of them come with --json."""


def diff_summary(found: Diff, *, listed: bool = False) -> list[RenderableType]:
    """A diff: counts by kind and split, people, and, if they are asked for, the changed samples."""
    shared, only_before, only_after = found.shards
    facts = {
        "before": f"{found.before}: {counted(found.samples[0], 'sample')} in {counted(shared + only_before, 'shard')}",
        "after": f"{found.after}: {counted(found.samples[1], 'sample')} in {counted(shared + only_after, 'shard')}",
        "shared shards": f"{shared:,}",
    }
    named = {
        "splits added": found.splits_added, "splits removed": found.splits_removed,
        "members added": found.members_added, "members removed": found.members_removed,
    }  # fmt: skip
    facts |= {name: ", ".join(values) for name, values in named.items() if values}
    rows = [(KIND_NAMES[kind], f"{count:,}", _counts(found.by_split.get(kind, {}))) for kind, count in
            found.counts.items()]  # fmt: skip
    blocks = [facts_table("Compared", facts), table("Samples", ("change", "samples", "by split"), rows, words=3)]
    if people := sorted(found.by_identity.items(), key=lambda item: (-sum(item[1].values()), item[0])):
        title = f"People with changes ({len(people):,})"
        shown = [
            (visible(name, MOST_LETTERS), _counts({KIND_NAMES[k]: n for k, n in kinds.items()}))
            for name, kinds in people[:MOST_PEOPLE]
        ]
        if len(people) > MOST_PEOPLE:
            shown.append((f"and {len(people) - MOST_PEOPLE:,} more; --json lists all", ""))
        blocks.append(table(title, ("person", "changes"), shown, words=2))
    if listed and len(found.changes):
        names = ("identity", "split", "mask")
        lines = [
            (
                KIND_NAMES[row["kind"]],
                *(visible(both_values(row, name), 2 * MOST_LETTERS) for name in names),
                row["key"],
            )
            for row in found.changes.slice(0, MOST_CHANGES).to_pylist()
        ]
        if (more := len(found.changes) - MOST_CHANGES) > 0:
            lines.append((f"and {more:,} more; --json lists all", "", "", "", ""))
        blocks.append(table("Changes", ("change", "person", "split", "mask", "key"), lines, words=5))
    return blocks


def erasure_summary(done: Erasure) -> list[RenderableType]:
    """A release that was made by an erasure."""
    facts = {
        "id": done.published.id,
        "parent": done.published.release.parent,
        "samples": f"{done.published.release.written:,}",
        "erased": f"{counted(done.samples, 'sample')}, {done.morphs:,} of them morphs",
        "shards": f"{done.rewritten:,} written anew, {done.shared:,} shared",
    }
    if done.dropped:
        facts["splits dropped"] = ", ".join(done.dropped)
    return [facts_table("Erased", facts)]


def erasure_facts(done: Erasure) -> dict[str, Any]:
    """A release that was made by an erasure, as plain values; it does not repeat who was erased."""
    return {
        "id": done.published.id, "parent": done.published.release.parent, "samples": done.published.release.written,
        "erased": done.samples, "morphs": done.morphs, "rewritten_shards": done.rewritten, "shared_shards": done.shared,
        "dropped_splits": list(done.dropped),
        "still_in": list(done.still_in), "same_photos": done.same_photos, "named_in": list(done.named_in),
    }  # fmt: skip


def erasure_notices(done: Erasure, after: AfterErasure, root: str, *, builds: bool) -> list[str]:
    """What is left to do after an erasure.

    Args:
        done: the erasure.
        after: what is known of the other releases.
        root: the folder of releases.
        builds: whether the output folders of builds were cleaned too.
    """
    lines = [
        f"{name} still holds them{_served(after.channels.get(name, ()))}. Next: "
        f"faceloom release purge {name} --root {root} --reason erasure --yes"
        for name in done.still_in
    ]
    if after.other_erasures:
        lines.insert(
            0,
            f"Warning: {', '.join(after.other_erasures)} came from other erasures, and who was erased there may be in "
            "this release again. Erase from the newest release, and purge this one",
        )
    if not builds:
        lines.append(
            "Output folders of builds may still hold them. Next: the same with --build OUT and without NAME@VERSION"
        )
    if done.same_photos:
        lines.append(
            f"{counted(done.same_photos, 'other sample comes', 'other samples come')} from the same photos, or from "
            "photos whose path has the name, under other names. If they show the person, erase them with --photo"
        )
    lines += [f"{path} still holds a text by which they may be recognised; read it" for path in done.named_in]
    return [*lines, "Delete the photos from their source too; otherwise the next build holds them again."]


def _served(channels: Sequence[str]) -> str:
    if not channels:
        return ""
    named = f"channel {channels[0]} points" if len(channels) == 1 else f"channels {', '.join(channels)} point"
    return f", and the {named} to it: promote another release first"


def build_erasure_summary(done: BuildErasure, out: str) -> list[RenderableType]:
    """What was deleted from a build."""
    facts = {
        "deleted": counted(len(done.deleted), "file"),
        "tables": f"{counted(done.rows, 'row')} taken out of {counted(len(done.rewritten), 'table')}",
        "next": "delete the photos from their source, and run the same `faceloom build` again",
    }
    return [facts_table(f"Erased from {out}", facts)]


def purge_summary(found: Purge, *, deleted: bool) -> list[RenderableType]:
    """The files that a purge deleted, or would delete."""
    what = f"of {found.release}" if found.release else "that no release uses"
    title = f"{'Deleted' if deleted else 'Would be deleted'}: files {what}"
    rows = [(path, size_text(size)) for path, size in list(found.files.items())[:MOST_FILES]]
    if (more := len(found.files) - MOST_FILES) > 0:
        rows.append((f"and {more:,} more", ""))
    rows.append((counted(len(found.files), "file"), size_text(sum(found.files.values()))))
    blocks: list[RenderableType] = [table(title, ("file", "size"), rows)]
    if found.kept:
        blocks.append(f"{counted(found.kept, 'shard stays', 'shards stay')}: in use by other releases.")
    return blocks


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
