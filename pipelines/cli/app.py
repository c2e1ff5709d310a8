"""The command line. Commands only put together what other modules do; those are imported when a command runs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from faceloom.pipelines.cli.evaluate_command import app as evaluate_app
from faceloom.pipelines.cli.output import (
    DONE,
    FAILED,
    REFUSED,
    Debug,
    Json,
    ending,
    error_console,
    leave,
    say,
    show_blocks,
    write_json,
)
from faceloom.pipelines.cli.train_command import app as train_app

if TYPE_CHECKING:
    from faceloom.pipelines.context import Context
    from faceloom.pipelines.run.watcher import Watcher
    from faceloom.pipelines.store.storage import Storage
    from faceloom.schemas.source_spec import SourceSpec

app = typer.Typer(
    help="Folders of face photos in, versioned training sets for masked-face research out.",
    epilog="Example:\n\nfaceloom build recipes/masked-pairs.yaml --source photos --out out",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(train_app, name="train")
app.add_typer(evaluate_app, name="evaluate")

RecipeFile = Annotated[
    Path, typer.Argument(metavar="RECIPE", exists=True, dir_okay=False, help="The recipe, a YAML file.")
]
Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--source",
        metavar="[NAME=]PATH",
        help="Photos: a folder, a table, tar shards or a .rec file. May be given again; replaces the recipe's sources.",
    ),
]
NewOut = Annotated[str, typer.Option("--out", metavar="OUT", help="The output folder; made if it is not there.")]
Out = Annotated[Path, typer.Argument(metavar="OUT", exists=True, file_okay=False, help="The output folder of a build.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes at work; as many as processors if not given.")]


@app.command(
    epilog="Examples:\n\n"
    "faceloom build recipes/masked-pairs.yaml --source photos --out out\n\n"
    "faceloom build recipes/masked-pairs.yaml --source a --source b --out out\n\n"
    "faceloom build recipes/masked-pairs.yaml --source photos --out out --workers 8\n\n"
    "The same command goes on where it was stopped, and does nothing twice."
)
def build(
    recipe: RecipeFile,
    out: NewOut,
    source: Sources = None,
    workers: Workers = None,
    resume: Annotated[bool, typer.Option(help="Use what earlier runs finished, or make everything anew.")] = True,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Build what a recipe asks for: photos in, shards of samples out."""
    with _ready(recipe, source, out, workers, as_json, debug) as (context, processes):
        from faceloom.pipelines.build import run_build
        from faceloom.pipelines.cli.summary import build_summary

        with _watching(context) as watcher:
            report = run_build(context, workers=processes, resume=resume, watcher=watcher)
        run = {
            "photos_analysed": report.analysed,
            "samples_rendered": report.rendered,
            "parts_lifted": report.lifted,
            "wall_seconds": dict(report.wall),
            "work_seconds": dict(report.work),
        }
        if as_json:
            write_json({"out": out, "run": run, **report.record.model_dump(mode="json")})
        else:
            show_blocks(build_summary(report, out))
        if report.record.rejects:
            say(f"Why photos were rejected: faceloom show {out} --rejects")
        if not report.record.written:
            say("Nothing was written: every photo was rejected.")
            raise typer.Exit(FAILED)


@app.command(
    epilog="Examples:\n\n"
    "faceloom plan recipes/masked-pairs.yaml --source photos --out out\n\n"
    "faceloom plan recipes/masked-pairs.yaml --source photos --out out --json"
)
def plan(
    recipe: RecipeFile,
    out: NewOut,
    source: Sources = None,
    workers: Workers = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Say what a build would make, from what, and how big. Faces are analysed and that is kept; nothing is rendered."""
    with _ready(recipe, source, out, workers, as_json, debug) as (context, processes):
        from dataclasses import asdict

        from faceloom.pipelines.build import plan_build
        from faceloom.pipelines.cli.summary import plan_summary, reject_examples
        from faceloom.pipelines.preview import preview

        with _watching(context) as watcher:
            survey, planned = plan_build(context, workers=processes, watcher=watcher)
        found = preview(context.storage, context.recipe, survey, planned)
        if as_json:
            write_json({"out": out, **asdict(found)})
        else:
            show_blocks([*plan_summary(found, out), *reject_examples([*survey.rejects, *planned.rejects])])
        if not found.samples:
            say("A build would write nothing: every photo is rejected.")
            raise typer.Exit(FAILED)


@app.command(epilog="Examples:\n\nfaceloom show out\n\nfaceloom show out --rejects\n\nfaceloom show out --json")
def show(
    out: Out,
    rejects: Annotated[bool, typer.Option("--rejects", help="Also show what was rejected, and why.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show what a build holds: counts, rejects, disk, and where the time went."""
    with ending(FAILED, as_json, debug):
        from dataclasses import asdict

        from faceloom.pipelines.cli.summary import reject_examples, show_summary
        from faceloom.pipelines.preview import all_rejects, look

        storage = _storage(out)
        shown = look(storage)
        dropped = all_rejects(storage) if rejects else []
        if as_json:
            listed = {"rejected": [asdict(reject) for reject in dropped]} if rejects else {}
            disk = {**asdict(shown.disk), "total": shown.disk.total}
            record = shown.record.model_dump(mode="json")
            write_json({"out": str(out), **record, "disk": disk, "last_run": shown.last_run, **listed})
        else:
            show_blocks([*show_summary(shown, str(out)), *reject_examples(dropped)])
            if dropped:
                say(f"Every reject with its reason: {out}/rejects/*.parquet")


@app.command(
    epilog="Examples:\n\n"
    "faceloom export out --to samples\n\n"
    "faceloom export out --to samples --split train\n\n"
    "Writes samples/{split}/{identity}/{key}.jpg and, beside it, {key}.mask.png, {key}.face.jpg, "
    "{key}.landmarks.npy and {key}.json. The same command goes on where it was stopped. A folder takes one build only."
    "\n\n"
    "faceloom export out --to records --format recordio --picture face\n\n"
    "With --format recordio: records/{split}/train.rec, train.idx, property, and labels.csv, which says who is who. "
    "A record holds one picture and the number of a person, and nothing else of a sample. Morphs are left out; with "
    "--morphs, each two people that are mixed are a class of their own."
)
def export(
    out: Out,
    to: Annotated[str, typer.Option("--to", metavar="FOLDER", help="Where the files go; made if it is not there.")],
    split: Annotated[str | None, typer.Option(help="Only this split, such as train.")] = None,
    layout: Annotated[str, typer.Option("--format", help="folder: plain files; recordio: MXNet records.")] = "folder",
    picture: Annotated[
        str | None,
        typer.Option(
            help="Of recordio, which picture: face, masked, lr … If not given, masked, or face without a mask."
        ),
    ] = None,
    morphs: Annotated[
        bool | None,
        typer.Option(
            help="With or without morphs. If not given, plain files are with, and records without.", show_default=False
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many samples.")] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Write the samples of a build as plain files or records, checked against its index."""
    with ending(REFUSED, as_json, debug):
        from dataclasses import asdict

        from faceloom.pipelines.cli.console import watcher_for
        from faceloom.pipelines.cli.summary import export_summary
        from faceloom.pipelines.export.export_samples import check_picture, check_split, export_samples, open_format
        from faceloom.pipelines.export.target_folder import check_target, claim_target
        from faceloom.pipelines.store.build_record import read_record
        from faceloom.pipelines.store.storage import Storage

        target = Storage(to)
        writer = open_format(layout, target, picture)
    with ending(FAILED, as_json, debug):
        storage = _storage(out)
        record = read_record(storage)
    with ending(REFUSED, as_json, debug):
        check_split(record, split)
        check_picture(storage, record, picture)
        check_target(target, storage, record)
    with ending(FAILED, as_json, debug):
        claim_target(target, record)
        with watcher_for(error_console()) as watcher:
            done = export_samples(storage, record, writer, split=split, limit=limit, morphs=morphs, watcher=watcher)
        if as_json:
            write_json({"out": str(out), "to": to, **asdict(done)})
        else:
            show_blocks(export_summary(done, to))
        if not done.written + done.skipped:
            say("Nothing was exported." if record.written else "The build holds no samples.")
            raise typer.Exit(FAILED)


@app.command(epilog="Examples:\n\nfaceloom clean out\n\nfaceloom clean out --yes")
def clean(
    out: Out,
    yes: Annotated[bool, typer.Option("--yes", help="Delete; otherwise the files are only listed.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Delete what the finished build does not use: superseded shards, and leftovers of builds that were stopped.

    A build that was stopped leaves finished work, which the next run uses; to keep that, run it to its end first.
    """
    with ending(FAILED, as_json, debug):
        from faceloom.pipelines.cli.summary import clean_summary
        from faceloom.pipelines.store import clean as cleaning

        storage = _storage(out)
        found = cleaning.clean(storage) if yes else cleaning.find_leftovers(storage)
        if as_json:
            write_json({"out": str(out), "deleted": yes, "bytes": sum(found.files.values()), "files": found.files})
        else:
            show_blocks(clean_summary(found, str(out), deleted=yes))


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"faceloom {version('faceloom')}")
        raise typer.Exit(DONE)


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line, and leave at once when it is done.

    An orderly exit takes native libraries apart under their idle threads, which now and then aborts the process.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy comes: there is a worker for each processor
    try:
        app()
    except SystemExit as done:
        leave(done.code if isinstance(done.code, int) else int(done.code is not None))


@contextlib.contextmanager
def _ready(
    recipe: Path, sources: list[str] | None, out: str, workers: int | None, as_json: bool, debug: bool
) -> Iterator[tuple[Context, int]]:
    """All that a build needs, checked, so that what can be found wrong before any work is found here."""
    with ending(REFUSED, as_json, debug):
        from faceloom.pipelines.build import prepare, start_workers
        from faceloom.pipelines.recipe.load import load_recipe
        from faceloom.pipelines.run.worker_pool import processors
        from faceloom.pipelines.store.storage import Storage

        Storage(out)
        loaded = load_recipe(recipe)
        if sources:
            loaded = loaded.model_copy(update={"sources": tuple(map(_source_spec, sources))})
        processes = workers or processors()
        start_workers(loaded, processes)
        context = prepare(loaded, out)
    with ending(FAILED, as_json, debug):
        yield context, processes


def _source_spec(given: str) -> SourceSpec:
    """A source from the command line: a path, or NAME=PATH where two folders have the same last name."""
    from pydantic import ValidationError

    from faceloom.schemas.errors import RecipeError
    from faceloom.schemas.source_spec import SourceSpec

    name, sign, path = given.partition("=")
    named = bool(sign) and "/" not in name and not Path(given).exists()
    path = path if named else given
    if not path:
        remedy = "Give the path of a folder of photos, a table or tar shards"
        raise RecipeError("the source has no path", where="--source", value=repr(given), remedy=remedy)
    full = os.path.abspath(Path(path).expanduser())  # noqa: PTH100
    try:
        return SourceSpec(path=full, name=name) if named else SourceSpec(path=full)
    except ValidationError as error:
        fault = error.errors()[0]
        text, remedy = fault["msg"].split(", ", 1)[-1], "Give a path, or NAME=PATH; ./a=b is a path"
        if fault["type"] == "string_unicode":
            text, remedy = "its name is not UTF-8", "Rename it, or give a link to it that has another name"
        raise RecipeError(text, where="--source", value=repr(given), remedy=remedy) from None


@contextlib.contextmanager
def _watching(context: Context) -> Iterator[Watcher]:
    """Shows the work, and tells the terms of the packaged model where it is about to be used."""
    from faceloom.pipelines.analyse.model_files import LANDMARK_MODEL_TERMS, is_packaged_model
    from faceloom.pipelines.cli.console import Announcer, watcher_for

    with watcher_for(error_console()) as watcher:
        packaged = is_packaged_model(context.recipe.faces.landmark_model)
        yield Announcer(watcher, "analyse", LANDMARK_MODEL_TERMS) if packaged else watcher


def _storage(out: Path) -> Storage:
    from faceloom.pipelines.store.storage import Storage

    return Storage(str(out))
