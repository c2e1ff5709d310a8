"""The commands that work on the output folder of a build: show, export, sheet and clean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from faceloom.pipelines.cli.existing_folder import existing_folder
from faceloom.pipelines.cli.output import (
    FAILED,
    REFUSED,
    Debug,
    Json,
    ending,
    error_console,
    say,
    show_blocks,
    write_json,
)
from faceloom.schemas.counted import counted
from faceloom.schemas.urls import place_text

Out = Annotated[
    Path,
    typer.Argument(metavar="OUT", callback=existing_folder, file_okay=False, help="Output folder of a build."),
]

app = typer.Typer()


@app.command(epilog="Examples:\n\nfaceloom show out\n\nfaceloom show out --rejects\n\nfaceloom show out --json")
def show(
    out: Out,
    rejects: Annotated[bool, typer.Option("--rejects", help="Also list rejected photos with the reasons.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show what a build holds: samples, rejects, disk usage and timings.

    If a shard is missing or has another length than it should, the exit code is 1. `verify` also compares contents.
    """
    with ending(FAILED, as_json, debug):
        from dataclasses import asdict

        from faceloom.pipelines.api import open_build
        from faceloom.pipelines.cli.release_summary import fault_lines
        from faceloom.pipelines.cli.summary import reject_examples, show_summary
        from faceloom.pipelines.preview import all_rejects, look
        from faceloom.pipelines.store.paths import REJECTS
        from faceloom.schemas.reject_codes import CONFLICT

        storage, _ = open_build(out)
        shown = look(storage)
        conflicts = any(CONFLICT in codes for codes in shown.record.rejects.values())
        dropped = all_rejects(storage) if rejects or (conflicts and not as_json) else []
        dropped = dropped if rejects else [reject for reject in dropped if reject.code == CONFLICT]
        if as_json:
            listed = {"rejected": [asdict(reject) for reject in dropped]} if rejects else {}
            disk = {**asdict(shown.disk), "total": shown.disk.total}
            record = shown.record.model_dump(mode="json")
            last_run = shown.last_run and shown.last_run.model_dump(mode="json")
            faults = [fault._asdict() for fault in shown.faults]
            write_json(
                {"out": place_text(out), **record, "disk": disk, "last_run": last_run, "faults": faults, **listed}
            )
            for notice in shown.notices:
                say(f"Notice: {notice}")
        else:
            show_blocks([*show_summary(shown, place_text(out)), *reject_examples(dropped)])
            if dropped:
                say(f"Every reject with its reason: {place_text(out)}/{REJECTS}/*.parquet")
        for line in fault_lines(shown.faults):
            say(line)
        if shown.faults:
            raise typer.Exit(FAILED)


@app.command(
    epilog="Examples:\n\n"
    "faceloom export out --to samples\n\n"
    "faceloom export out --to samples --split train\n\n"
    "Writes samples/{split}/{identity}/{key}.jpg, and the other members to samples/members/{split}/{identity}: "
    "{key}.mask.png, {key}.face.jpg, {key}.landmarks.npy and {key}.json. Rerun the same command to resume. A target "
    "folder holds one build in one layout.\n\n"
    "faceloom export out --to images --layout imagefolder --names source\n\n"
    "Writes one picture per sample for loaders of image folders, here under the file names of the photos.\n\n"
    "faceloom export out --to rec --layout recordio --pictures face,masked --mix .5\n\n"
    "Writes rec/{split}/train.rec, train.idx, property and labels.csv, which maps labels to people. Each record "
    "holds one picture and a label; here half of each person's records show a mask. Morphs are left out; with "
    "--morphs, each pair of morphed people is a class.\n\n"
    "faceloom export out --to coco --layout coco\n\n"
    "Of a build with align: {mode: frame}: writes coco/{split}/{key}.jpg and coco/annotations/{split}.json."
)
def export(
    out: Out,
    to: Annotated[str, typer.Option("--to", metavar="FOLDER", help="Target folder, or its URL; created if missing.")],
    split: Annotated[str | None, typer.Option(help="Export this split only, such as train.")] = None,
    layout: Annotated[
        str,
        typer.Option(
            "--layout",
            "--format",
            help="folder: plain files; imagefolder: one picture per sample; recordio: MXNet records; coco, yolo: "
            "whole photos with boxes, for detectors.",
        ),
    ] = "folder",
    pictures: Annotated[
        str | None,
        typer.Option(
            "--pictures",
            "--picture",
            metavar="NAMES",
            help="All but folder: pictures to export, with commas: face, masked, lr … Default: masked, or face "
            "where there is no mask.",
        ),
    ] = None,
    mix: Annotated[
        float | None,
        typer.Option(help="recordio: share of each person's records that hold the second of two pictures."),
    ] = None,
    names: Annotated[
        str, typer.Option(help="imagefolder: name files after the sample's key, or after the photo in its source.")
    ] = "key",
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="source|renumber|FILE",
            help="recordio: keep labels of the source, number people from 0, or read a CSV file with the columns label "
            "and identity. Default: labels of a .rec file are kept, other people are numbered.",
        ),
    ] = None,
    morphs: Annotated[
        bool | None,
        typer.Option(help="Export morphs too. Default: yes for plain files, no otherwise.", show_default=False),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Export at most this many samples.")] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write the samples of a build as plain files, an image folder or records, checked against its index."""
    with ending(FAILED, as_json, debug):
        from dataclasses import asdict

        from faceloom.pipelines.api import check_export, open_build, run_export
        from faceloom.pipelines.cli.console import watcher_for
        from faceloom.pipelines.cli.summary import export_summary
        from faceloom.pipelines.export.export_options import ExportOptions

        storage, record = open_build(out)
    with ending(REFUSED, as_json, debug):
        chosen = () if pictures is None else tuple(pictures.split(","))
        options = ExportOptions(layout, split, morphs, chosen, mix, names, labels)
        checked = check_export(storage, record, to, options)
    with ending(FAILED, as_json, debug, resumes=True):
        with watcher_for(error_console()) as watcher:
            done = run_export(checked, limit=limit, watcher=watcher)
        if as_json:
            write_json({"out": place_text(out), "to": to, **asdict(done)})
        else:
            show_blocks(export_summary(done, to))
        if not done.written + done.skipped:
            say("Nothing was exported." if record.written else "The build holds no samples.")
            raise typer.Exit(FAILED)


@app.command(epilog="Examples:\n\nfaceloom sheet out sheet.png\n\nfaceloom sheet out sheet.jpg --width 900 --count 4")
def sheet(
    out: Out,
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="Picture to write: .png or .jpg.")],
    width: Annotated[int | None, typer.Option(min=16, help="Shrink the sheet to this width in pixels.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Show at most this many samples.")] = 14,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Draw a contact sheet: the pictures of a few samples side by side."""
    with ending(FAILED, as_json, debug):
        from faceloom.pipelines.export.contact_sheet import write_contact_sheet

        shown = write_contact_sheet(out, picture, width=width, count=count)
        if as_json:
            write_json({"out": place_text(out), "picture": str(picture), "samples": shown})
        else:
            show_blocks([f"{counted(shown, 'sample')} in {picture}"])


@app.command(epilog="Examples:\n\nfaceloom clean out\n\nfaceloom clean out --yes")
def clean(
    out: Out,
    yes: Annotated[bool, typer.Option("--yes", help="Delete the files; without it they are only listed.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Delete files that the finished build does not use: superseded shards and leftovers of interrupted builds.

    An interrupted build leaves finished work for the next run. To keep it, finish that build first. Without a finished
    build, all shards and all work are deleted; the face table stays, so that no photo is analysed again.
    """
    with ending(FAILED, as_json, debug):
        from faceloom.pipelines.cli.summary import clean_summary
        from faceloom.pipelines.store import clean as cleaning
        from faceloom.pipelines.store.storage import Storage

        storage = Storage(str(out))
        found = cleaning.clean(storage) if yes else cleaning.find_leftovers(storage)
        if as_json:
            write_json(
                {"out": place_text(out), "deleted": yes, "bytes": sum(found.files.values()), "files": found.files}
            )
        else:
            show_blocks(clean_summary(found, place_text(out), deleted=yes))
            if not yes and (found.work or (found.files and not found.finished)):
                say("A build did not finish; the same `faceloom build` would go on from its files.")
