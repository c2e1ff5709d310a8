"""The tables that commands print at the end, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from faceloom.pipelines.build import BuildResult
from faceloom.pipelines.cli.console import size_text, time_text
from faceloom.pipelines.evaluation.evaluate import Evaluation
from faceloom.pipelines.evaluation.job_report import JobEvaluation
from faceloom.pipelines.evaluation.task import Run
from faceloom.pipelines.export.export_samples import Exported
from faceloom.pipelines.preview import Preview, Shown
from faceloom.pipelines.store.build_record import BuildRecord
from faceloom.pipelines.store.clean import Leftovers
from faceloom.pipelines.store.last_run import LastRun
from faceloom.schemas.counted import counted
from faceloom.schemas.errors import printable
from faceloom.schemas.faces import FIGURES
from faceloom.schemas.photos import Reject

MOST_FILES = 20
"""Maximum number of files that `clean` lists."""
MOST_EXAMPLES = 3
"""Maximum number of rejects per code that are shown in full."""


def build_summary(report: BuildResult, out: str) -> list[RenderableType]:
    """Content of a build, and the work of this run."""
    record, seconds = report.record, sum(report.wall.values())
    did = "nothing; everything already exists"
    if report.analysed or report.rendered or report.reused:
        did = f"{counted(report.analysed, 'photo')} analysed, {counted(report.rendered, 'sample')} rendered"
        did += f", {counted(report.reused, 'sample')} reused from older shards" if report.reused else ""
    facts = {
        "photos": record.photos,
        "faces": _faces(record),
        "samples": record.written,
        "rejected": _total(record.rejects),
        "shards": f"{len(record.shards):,} ({size_text(sum(shard.bytes for shard in record.shards))})",
        "this run": f"{did}, in {time_text(seconds)}",
        "output": out,
    }
    return [facts_table("Built", facts), *_counts(record)]


def plan_summary(plan: Preview, out: str) -> list[RenderableType]:
    """Preview of a build."""
    facts = {
        "photos": plan.photos,
        "faces": _faces(plan),
        "samples": f"{plan.samples:,} ({plan.samples_ready:,} already exist)",
        "rejected": _total(plan.rejects),
        "size": f"about {size_text(plan.bytes)}",
        "shards": f"{plan.shards:,} ({plan.shards_ready:,} already exist)",
        "parts": f"{plan.parts:,} ({plan.parts_ready:,} need no rendering)",
        "output": out,
    }
    return [facts_table("Would be built", facts), *_counts(plan), *_figures(plan)]


def show_summary(shown: Shown, out: str) -> list[RenderableType]:
    """Content of an output folder."""
    record, disk = shown.record, shown.disk
    facts = {
        "recipe": record.recipe.get("name", ""),
        "photos": record.photos,
        "faces": _faces(record),
        "samples": record.written,
        "rejected": _total(record.rejects),
        "plan": record.plan[:16],
    }
    sizes = {
        "shards in use": f"{size_text(disk.shards)} in {len(record.shards):,}",
        "superseded shards": size_text(disk.superseded) + (f"; faceloom clean {out}" if disk.superseded else ""),
        "index": size_text(disk.index),
        "face table": size_text(disk.faces),
        "reject tables": size_text(disk.rejects),
        "neighbours": size_text(disk.neighbours),
        "unfinished work": size_text(disk.work),
        "total": size_text(disk.total),
    }
    blocks = [
        facts_table(out, facts),
        *_counts(record),
        *_figures(record),
        facts_table("Disk", sizes),
    ]
    warnings = [_plain(f"Warning: {warning}") for warning in record.warnings]
    notices = [_plain(f"Notice: {notice}") for notice in shown.notices]
    return blocks + (_times(shown.last_run) if shown.last_run else []) + warnings + notices


def reject_examples(rejects: Sequence[Reject]) -> list[RenderableType]:
    """The first rejects of every code in full."""
    groups: dict[tuple[str, str], list[Reject]] = {}
    for reject in rejects:
        groups.setdefault((reject.stage, reject.code), []).append(reject)
    blocks: list[RenderableType] = []
    for (stage, code), group in groups.items():
        shown = group[:MOST_EXAMPLES]
        more = f", the first {len(shown)}" if len(group) > len(shown) else ""
        rows = [(f"{reject.source}/{reject.uri}", reject.message) for reject in shown]
        blocks.append(table(f"{stage}: {code} ({len(group):,}{more})", ("photo", "why"), rows, words=2))
    return blocks


def export_summary(done: Exported, to: str) -> list[RenderableType]:
    """What an export wrote, and what it left out."""
    lines = [f"{counted(done.written, 'sample')} written to {to}, {done.skipped:,} skipped because they exist already"]
    if done.morphs:
        lines.append(f"{counted(done.morphs, 'morph was', 'morphs were')} left out; use --morphs to export morphs")
    if done.no_picture:
        lines.append(
            f"{counted(done.no_picture, 'sample without the picture was', 'samples without the picture were')} left out"
        )
    if len(done.pictures) > 1:
        counts = ", ".join(f"{name} {count:,}" for name, count in done.pictures.items())
        lines.append(f"Records by picture: {counts}")
    if done.members:
        lines.append(f"Members that were left out: {', '.join(done.members)}; use --layout folder to export them")
    return [Group(*map(_plain, lines))]


def clean_summary(found: Leftovers, out: str, *, deleted: bool) -> list[RenderableType]:
    """Files that `clean` deleted or would delete."""
    if not found.files:
        return [_plain(f"{out} holds only its build." if found.finished else f"{out} holds nothing to delete.")]
    files = [(path, size_text(size)) for path, size in found.files.items()]
    if more := files[MOST_FILES:]:
        files = [*files[:MOST_FILES], (f"{len(more):,} more", "")]
    total = f"{counted(len(found.files), 'file')}, {size_text(sum(found.files.values()))}"
    end = f"Deleted: {total}." if deleted else f"{total}. To delete them: faceloom clean {out} --yes"
    title = "Not part of the finished build" if found.finished else "Left by a build that did not finish"
    return [table(title, ("file", "size"), files), _plain(end)]


def evaluation_summary(evaluation: Evaluation) -> list[RenderableType]:
    """Facts and tables of an evaluation; a terminal has no room for the intervals."""
    from faceloom.pipelines.evaluation.report import HEADS, cells, facts

    tables = evaluation.tables.items()
    return [
        facts_table("Evaluated", facts(evaluation)),
        *(table(title.capitalize(), HEADS, cells(rows, intervals=False)) for title, rows in tables),
        *_training(evaluation.task.runs),
    ]


def job_summary(evaluation: JobEvaluation) -> list[RenderableType]:
    """Facts and tables of the evaluation of a training job, without intervals."""
    from faceloom.pipelines.evaluation.job_report import heads, job_cells, job_facts

    tables = evaluation.tables.items()
    return [
        facts_table("Evaluated", job_facts(evaluation)),
        *(
            table(title.capitalize(), heads(evaluation), job_cells(evaluation, rows, intervals=False))
            for title, rows in tables
        ),
        *_training(evaluation.task.runs),
    ]


def _training(runs: Sequence[Run]) -> list[RenderableType]:
    """How runs were trained: a table, if there are any."""
    from faceloom.pipelines.evaluation.training_tables import RUN_HEADS, run_cells

    return [table("Training", RUN_HEADS, [run_cells(run) for run in runs])] if runs else []


def print_blocks(console: Console, blocks: Sequence[RenderableType]) -> None:
    """Print blocks with an empty line between them. A block that is a `str` is a line without markup."""
    for number, block in enumerate(blocks):
        if number:
            console.print()
        console.print(_plain(block) if isinstance(block, str) else block)


def facts_table(title: str, facts: Mapping[str, object]) -> RenderableType:
    """A table of two columns: name and value."""
    rows = [(name, f"{value:,}" if isinstance(value, int) else str(value)) for name, value in facts.items()]
    return table(title, (), rows, words=2)


def counts_table(title: str, counts: Mapping[str, int], *, most: int = 20) -> RenderableType:
    """Names with their counts and shares, largest first, up to a limit."""
    total = sum(counts.values())
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rows = [(name, f"{count:,}", f"{count / total:.1%}" if total else "") for name, count in ranked[:most]]
    if rest := ranked[most:]:
        rows.append((f"{len(rest):,} more", f"{sum(count for _, count in rest):,}", ""))
    return table(title, ("", "samples", "share"), rows)


def seconds_table(title: str, seconds: Mapping[str, float]) -> RenderableType:
    """Stages with their seconds and shares."""
    total = sum(seconds.values())
    rows = [(name, f"{spent:.2f}", f"{spent / total:.0%}" if total else "") for name, spent in seconds.items()]
    return table(title, ("", "seconds", "share"), rows)


def rejects_table(rejects: Mapping[str, Mapping[str, int]]) -> RenderableType:
    """Rejects by stage and code."""
    rows = [
        (stage, code, f"{count:,}")
        for stage, codes in rejects.items()
        for code, count in sorted(codes.items(), key=lambda item: (-item[1], item[0]))
    ]
    return table("Rejected", ("stage", "code", "count"), rows, words=2)


def table(title: str, names: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1) -> RenderableType:
    """A title above columns of plain text: the first `words` columns hold text, the others numbers.

    Args:
        names: column headers; empty for none.
    """
    made = Table(box=None, pad_edge=False, header_style="dim", show_header=bool(names))
    for number, name in enumerate(names or rows[0]):
        made.add_column(name, justify="left" if number < words else "right", overflow="fold")
    for row in rows:
        made.add_row(*map(_plain, row))
    return Group(_plain(title, style="bold"), made)


def _plain(text: str, style: str = "") -> Text:
    """Text without markup: names and messages may come from files of strangers, and may turn the direction of text."""
    line = printable(text)
    return Text(line if line.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line), style)


def _counts(of: BuildRecord | Preview) -> list[RenderableType]:
    named = (("By split", of.by_split), ("By mask", of.by_mask), ("By source", of.by_source))
    blocks: list[RenderableType] = [counts_table(title, counts) for title, counts in named if counts]
    return blocks + ([rejects_table(of.rejects)] if of.rejects else [])


def _figures(of: BuildRecord | Preview) -> list[RenderableType]:
    """How the figures of the faces are spread that a recipe can limit."""
    order = {name: place for place, name in enumerate((*FIGURES, "size", "beyond"))}  # scores come last
    rows = [
        (
            name.replace("_", " "),
            f"{one.faces:,}",
            *(f"{x:,.4g}" for x in (one.min, one.p5, one.median, one.p95, one.max)),
        )
        for name, one in sorted(of.figures.items(), key=lambda item: order.get(item[0], len(order)))
    ]
    return [table("Figures of the faces", ("", "faces", "min", "5 %", "median", "95 %", "max"), rows)] if rows else []


def _faces(built: BuildRecord | Preview) -> str:
    """Number of faces and morphs, and the share of true neighbours found."""
    text = f"{built.faces:,}"
    if built.morphs:
        text += f" ({counted(built.morphs, 'morph')})"
    if built.recall:
        found = ", ".join(f"{share:.1%} in {split}" for split, share in sorted(built.recall.items()))
        text += f"; true neighbours found: {found}"
    return text


def _total(rejects: Mapping[str, Mapping[str, int]]) -> int:
    return sum(sum(codes.values()) for codes in rejects.values())


def _times(last_run: LastRun) -> list[RenderableType]:
    facts = {
        "photos analysed": last_run.photos_analysed,
        "samples rendered": last_run.samples_rendered,
        "workers": last_run.workers or "of a cluster",
    }
    work = dict(sorted(last_run.work_seconds.items(), key=lambda item: -item[1]))
    return [
        facts_table("Last run with work to do", facts),
        seconds_table("Wall time by stage", last_run.wall_seconds),
        seconds_table("Work time by stage, sum over workers", work),
    ]
