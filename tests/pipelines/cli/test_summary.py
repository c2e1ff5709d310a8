"""Tables for people: nothing left out, nothing misread as markup, nothing endless."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console, RenderableType

from faceloom.pipelines.build import BuildResult
from faceloom.pipelines.cli.summary import (
    build_summary,
    clean_summary,
    counts_table,
    export_summary,
    facts_table,
    plan_summary,
    print_blocks,
    reject_examples,
    rejects_table,
    seconds_table,
    show_summary,
)
from faceloom.pipelines.export.export_samples import Exported
from faceloom.pipelines.preview import Disk, Preview, Shown
from faceloom.pipelines.store.build_record import RECORD_FORMAT, BuildRecord, ShardRecord
from faceloom.pipelines.store.clean import Leftovers
from faceloom.pipelines.store.last_run import LastRun
from faceloom.schemas.faces import Spread
from faceloom.schemas.photos import Reject

RECORD = BuildRecord(
    format=RECORD_FORMAT, code="1", libraries={}, recipe={"name": "try"},
    plan="0123456789abcdef" * 4, analyser="1", renderer="1", photos=1234, faces=1100,
    planned=2200, written=2199, rejects={"analyse": {"no_face": 100, "truncated": 34}, "render": {"mask_fit": 1}},
    by_split={"train": 2000, "val": 199}, by_mask={"surgical": 2199}, by_source={"people": 2199},
    shards=(ShardRecord(name="train-all-1", split="train", samples=2000, bytes=3 * 2**20, sha256="", index_bytes=1,
                        index_sha256=""),),
)  # fmt: skip

FIGURES = {"yaw": Spread(1090, 0.1, 0.5, 7.25, 31.5, 1088.0)}


def shown(*blocks: RenderableType, width: int = 100) -> list[str]:
    stream = io.StringIO()
    print_blocks(Console(file=stream, width=width, highlight=False), blocks)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def report(**changes: object) -> BuildResult:
    plain = {"analysed": 1234, "rendered": 2199, "reused": 0, "wall": {"scan": 1.0, "render": 62.0}, "work": {}}
    return BuildResult(RECORD, **{**plain, **changes})  # type: ignore[arg-type]


def has(lines: Sequence[str], *words: str) -> bool:
    """True if one line holds all the words, in this order."""
    return any(all(word in line for word in words) for line in lines)


def test_a_build() -> None:
    lines = shown(*build_summary(report(), "out"))
    assert has(lines, "photos", "1,234") and has(lines, "samples", "2,199") and has(lines, "rejected", "135")
    assert has(lines, "shards", "1 (3.0 MiB)") and has(lines, "output", "out")
    assert has(lines, "1,234 photos analysed, 2,199 samples rendered, in 1 min 03 s")
    assert has(lines, "train", "2,000", "91.0%") and has(lines, "analyse", "no_face", "100")
    assert not has(lines, "reused")


def test_a_build_that_did_nothing_says_so() -> None:
    assert has(shown(*build_summary(report(analysed=0, rendered=0), "out")), "everything already exists")
    assert has(shown(*build_summary(report(analysed=0, rendered=0, reused=3), "out")), "3 samples reused")


def test_a_plan() -> None:
    plan = Preview(
        photos=10, analysed=4, faces=9, morphs=0, recall={}, samples=1800, bytes=5 * 2**20, shards=3, shards_ready=1,
        parts=8, parts_ready=5,
        samples_ready=1200, by_split={"train": 1800}, by_mask={"kn95": 1800}, by_source={"set": 1800},
        rejects={"scan": {"empty": 1}}, figures=FIGURES,
    )  # fmt: skip
    lines = shown(*plan_summary(plan, "out"))
    assert has(lines, "faces", "min", "5 %", "median", "95 %", "max")
    assert has(lines, "yaw", "1,090", "0.1", "0.5", "7.25", "31.5", "1,088")
    assert has(lines, "samples", "1,800 (1,200 already exist)") and has(lines, "size", "about 5.0 MiB")
    assert has(lines, "shards", "3 (1 already exist") and has(lines, "parts", "8 (5 need no rendering)")
    assert has(lines, "kn95", "100.0%") and has(lines, "scan", "empty", "1")


def test_what_an_output_holds() -> None:
    disk = Disk(shards=3 * 2**20, superseded=2**20, index=1024, faces=2048, rejects=100, neighbours=0, work=0)
    last = LastRun(
        photos_analysed=5, samples_rendered=6, samples_reused=0, workers=2,
        wall_seconds={"scan": 1.0, "render": 3.0}, work_seconds={"decode": 1.0, "paint": 4.0},
    )  # fmt: skip
    lines = shown(*show_summary(Shown(RECORD.model_copy(update={"figures": FIGURES}), disk, last), "out"))
    assert has(lines, "yaw", "1,090", "0.1", "0.5", "7.25", "31.5", "1,088")
    assert has(lines, "shards in use", "3.0 MiB in 1") and has(lines, "superseded", "1.0 MiB", "faceloom clean out")
    assert has(lines, "total", "4.0 MiB") and has(lines, "render", "3.00", "75%")
    assert lines.index(next(line for line in lines if line.startswith("paint"))) < lines.index(
        next(line for line in lines if line.startswith("decode"))
    )
    without = shown(*show_summary(Shown(RECORD, Disk(0, 0, 0, 0, 0, 0, 0), None), "out"))
    assert not has(without, "faceloom clean") and not has(without, "Last run")


def test_warnings_come_last_and_are_not_markup() -> None:
    record = RECORD.model_copy(update={"warnings": ("source [b]: no crops",)})
    lines = shown(*show_summary(Shown(record, Disk(0, 0, 0, 0, 0, 0, 0), None), "out"))
    assert lines[-1] == "Warning: source [b]: no crops"


def test_morphs_are_told_from_faces_and_so_is_what_an_index_missed() -> None:
    record = RECORD.model_copy(update={"faces": 1234, "morphs": 1100, "recall": {"test": 1.0, "train": 0.9876}})
    lines = shown(*show_summary(Shown(record, Disk(0, 0, 0, 0, 0, 2048, 0), None), "out"))
    assert has(lines, "faces", "1,234 (1,100 morphs)", "found: 100.0% in test, 98.8% in train")
    assert has(lines, "neighbours", "2.0 KiB") and has(lines, "total", "2.0 KiB")
    exact = shown(*show_summary(Shown(record.model_copy(update={"recall": {}}), Disk(0, 0, 0, 0, 0, 0, 0), None), "o"))
    assert has(exact, "(1,100 morphs)") and not has(exact, "true neighbours")
    assert not has(shown(*show_summary(Shown(RECORD, Disk(0, 0, 0, 0, 0, 0, 0), None), "o")), "morphs")


def test_only_the_first_rejects_of_each_code_are_shown() -> None:
    many = [Reject("analyse", "set", f"{number:04d}.jpg", "no_face", "no face was found") for number in range(500)]
    one = Reject("plan", "set", "a[b].jpg", "duplicate_photo", "the same bytes as [red]x[/red]")
    lines = shown(*reject_examples([*many, one]))
    assert has(lines, "analyse: no_face (500, the first 3)") and has(lines, "set/0002.jpg", "no face was found")
    assert not has(lines, "set/0003.jpg")
    assert has(lines, "plan: duplicate_photo (1)") and has(lines, "set/a[b].jpg", "[red]x[/red]")
    assert shown(*reject_examples([])) == []


def test_long_messages_are_folded_and_not_cut() -> None:
    message = " ".join(f"word{number}" for number in range(60))
    text = " ".join(shown(*reject_examples([Reject("render", "set", "a.jpg", "mask_fit", message)]), width=60))
    assert all(f"word{number}" in text for number in range(60))


def test_many_names_are_added_up_in_a_last_line() -> None:
    counts = {f"source-{number:02d}": number + 1 for number in range(30)}
    lines = shown(counts_table("By source", counts, most=20))
    assert len(lines) == 23 and has(lines, "source-29", "30") and has(lines, "10 more", "55")


def test_names_are_not_markup() -> None:
    assert has(shown(counts_table("By source", {"[bold]x": 1})), "[bold]x")
    assert has(shown(facts_table("[T]", {"out": "[red]/x"})), "[red]/x") and has(
        shown(facts_table("[T]", {"a": 1})), "[T]"
    )


def test_control_characters_are_escaped_wherever_text_enters() -> None:
    bad = "a\x1b[31m\nb\x9b"
    record = RECORD.model_copy(
        update={
            "recipe": {"name": bad}, "warnings": (bad,), "by_mask": {bad: 1}, "by_split": {bad: 1}, "recall": {bad: 1},
            "by_source": {bad: 1}, "rejects": {bad: {bad: 1}},
        }
    )  # fmt: skip
    found = Shown(record, Disk(0, 0, 0, 0, 0, 0, 0), None, (bad,))
    blocks = [
        *show_summary(found, bad),
        *reject_examples([Reject("scan", bad, bad, "empty", bad)]),
        *export_summary(Exported(4, 0, members=(bad,)), bad),
        *clean_summary(Leftovers({bad: 1}, {}, {}), bad, deleted=False),
        bad,
    ]
    lines = shown(*blocks, width=1000)
    assert all(line.isprintable() for line in lines)
    assert sum(line.count(r"a\x1b[31m\x0ab\x9b") for line in lines) == 18


def test_nothing_counted_is_no_division_by_nothing() -> None:
    assert has(shown(counts_table("By mask", {"a": 0})), "a", "0")
    assert has(shown(seconds_table("Work", {"read": 0.0})), "read", "0.00")


def test_rejects_of_a_stage_come_largest_first() -> None:
    lines = shown(rejects_table({"scan": {"a": 1, "b": 7, "c": 3}}))
    assert [line.split()[1] for line in lines[2:]] == ["b", "c", "a"]


def test_clean() -> None:
    found = Leftovers({"shards/a.tar": 2048, "index/a.parquet": 10}, {"work/b.tar": 1}, {})
    lines = shown(*clean_summary(found, "out", deleted=False))
    assert has(lines, "3 files, 2.0 KiB") and has(lines, "faceloom clean out --yes") and has(lines, "index/a.parquet")
    assert has(shown(*clean_summary(found, "out", deleted=True)), "Deleted: 3 files")
    assert has(shown(*clean_summary(Leftovers({}, {}, {}), "out", deleted=True)), "holds only its build")
    many = Leftovers({f"shards/{number:03d}.tar": 1 for number in range(100)}, {}, {})
    lines = shown(*clean_summary(many, "out", deleted=False))
    assert has(lines, "80 more") and len(lines) < 30


def test_an_export_says_what_it_does_not_hold() -> None:
    whole = shown(*export_summary(Exported(1234, 5), "files"))
    assert whole == ["1,234 samples written to files, 5 skipped because they exist already"]
    mixed = shown(*export_summary(Exported(4, 0, pictures={"face.jpg": 1200, "masked.jpg": 3}), "records"))
    assert has(mixed, "Records by picture: face.jpg 1,200, masked.jpg 3")
    lines = shown(*export_summary(Exported(4, 0, 1200, 3, ("face.jpg", "json")), "records"))
    assert has(lines, "morphs", "1,200", "--morphs") and has(lines, "3 samples without the picture")
    assert has(lines, "left out", "face.jpg, json;", "--layout folder")
    ones = shown(*export_summary(Exported(1, 0, 1, 1), "records"))
    assert has(ones, "1 sample written") and has(ones, "1 morph was") and has(ones, "1 sample without the picture was")
