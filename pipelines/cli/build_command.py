"""The commands `faceloom build` and `faceloom plan`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
from faceloom.pipelines.cli.runner_options import (
    DryRun,
    Image,
    Project,
    Region,
    Runner,
    RunnerName,
    RunnerOptions,
    Scheduler,
    WorkerCount,
    WorkerOrMachineCount,
    showing_prepared_job,
    split_words,
)

if TYPE_CHECKING:
    from faceloom.pipelines.api import CheckedBuild
    from faceloom.pipelines.context import Context
    from faceloom.pipelines.estimate.cluster import Cluster
    from faceloom.pipelines.run.watcher import Watcher
    from faceloom.schemas.source_spec import SourceSpec

app = typer.Typer()


def complete_recipe(incomplete: str) -> list[str]:
    """Shell completion of RECIPE: names of shipped recipes, YAML files and folders that start so."""
    from faceloom.pipelines.recipe.shipped import recipe_names

    folder = Path(incomplete).parent if not incomplete.endswith("/") else Path(incomplete)
    with contextlib.suppress(OSError):
        found = [path for path in folder.iterdir() if path.is_dir() or path.suffix in (".yaml", ".yml")]
        paths = [f"{path}/" if path.is_dir() else str(path) for path in found]
        return [text for text in [*recipe_names(), *sorted(paths)] if text.startswith(incomplete)]
    return [name for name in recipe_names() if name.startswith(incomplete)]


RecipeFile = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        autocompletion=complete_recipe,
        help="A recipe: a YAML file, or the name of one that `faceloom recipes` lists.",
    ),
]
Sources = Annotated[
    list[str] | None,
    typer.Option(
        "--source",
        metavar="[NAME=]PATH",
        help="A folder of photos, a table, tar shards or a .rec file. Repeatable. Replaces the recipe's sources.",
    ),
]
NewOut = Annotated[str, typer.Option("--out", metavar="OUT", help="Output folder; created if missing.")]
EXTRA = {"allow_extra_args": True}
"""Arguments after the recipe reach `_checked`, which knows better than the parser what was meant."""
Licence = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Terms of the photos of --source, where the source states none.")
]
Consent = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Consent of the people in --source, where the source states none.")
]


@app.command(
    context_settings=EXTRA,
    epilog="Examples:\n\n"
    "faceloom build masked-pairs --source photos --out out\n\n"
    "faceloom build masked-pairs --source a --source b --out out\n\n"
    "faceloom build my-recipe.yaml --source photos --out out --workers 8\n\n"
    "faceloom build r.yaml --out out --runner dask --dask-scheduler tcp://host:8786\n\n"
    "Rerun the same command to resume an interrupted build; finished work is not repeated.",
)
def build(
    context: typer.Context,
    recipe: RecipeFile,
    out: NewOut,
    source: Sources = None,
    licence: Licence = None,
    consent: Consent = None,
    workers: WorkerCount = None,
    runner: RunnerName = Runner.local,
    dask_scheduler: Scheduler = None,
    project: Project = None,
    region: Region = None,
    image: Image = None,
    dry_run: DryRun = False,
    resume: Annotated[bool, typer.Option(help="Reuse what earlier runs finished, or build everything again.")] = True,
    verify: Annotated[
        bool, typer.Option(help="Read the shards of earlier runs to the last byte, and render damaged ones again.")
    ] = True,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace a finished build of another recipe or of other sources.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Build a training set: photos in, shards of samples out."""
    terms = {"licence": licence, "consent": consent}
    extra, beam = split_words(context.args)
    using = RunnerOptions(workers, runner, dask_scheduler, project, region, image, dry_run, beam)
    with _checked(extra, recipe, source, out, using, as_json, debug, terms, replace=replace, resumes=resume) as checked:
        from faceloom.pipelines.build import run_build
        from faceloom.pipelines.cli.console import size_text
        from faceloom.pipelines.cli.summary import build_summary
        from faceloom.pipelines.store.clean import find_leftovers

        with _watching(checked.context) as watcher:
            report = run_build(
                checked.context, workers=checked.workers, resume=resume, verify=verify, replace=replace, watcher=watcher
            )
        run = {
            "photos_analysed": report.analysed,
            "samples_rendered": report.rendered,
            "samples_reused": report.reused,
            "wall_seconds": dict(report.wall),
            "work_seconds": dict(report.work),
        }
        if as_json:
            write_json({"out": out, "run": run, **report.record.model_dump(mode="json")})
        else:
            show_blocks(build_summary(report, out))
        if old := find_leftovers(checked.context.storage).superseded:
            size = size_text(sum(old.values()))
            say(f"{size} of earlier builds remain, which tools that read shards/*.tar would read too.")
            say(f"To delete them: faceloom clean {out} --yes")
        if report.record.rejects:
            say(f"Some photos were rejected. To see why: faceloom show {out} --rejects")
        if not report.record.written:
            say("Nothing was written, because every photo was rejected.")
            raise typer.Exit(FAILED)


@app.command(
    context_settings=EXTRA,
    epilog="Examples:\n\n"
    "faceloom plan masked-pairs --source photos --out out\n\n"
    "faceloom plan masked-pairs --source photos --out out --json\n\n"
    "faceloom plan r.yaml --out out --workers 200 --machine n2-standard-8",
)
def plan(
    context: typer.Context,
    recipe: RecipeFile,
    out: NewOut,
    source: Sources = None,
    licence: Licence = None,
    consent: Consent = None,
    workers: WorkerOrMachineCount = None,
    machine: Annotated[
        str | None,
        typer.Option(
            metavar="TYPE",
            help="Estimate time, memory and storage on a cluster of this type of machine, such as n2-standard-8, or "
            "8x32 for 8 cores and 32 GiB. A few photos are built as a trial. --workers is then the number of machines, "
            "not of processes.",
        ),
    ] = None,
    price: Annotated[
        float | None, typer.Option(min=0, help="Price of a machine for an hour, for the estimate of --machine.")
    ] = None,
    runner: RunnerName = Runner.local,
    dask_scheduler: Scheduler = None,
    project: Project = None,
    region: Region = None,
    image: Image = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show what a build would write and how large it would be. Photos are analysed and cached; nothing is rendered."""
    terms = {"licence": licence, "consent": consent}
    extra, beam = split_words(context.args)
    if machine is not None or price is not None:
        with ending(REFUSED, as_json, debug):
            cluster = _cluster(machine, workers, price)
        with _checked(extra, recipe, source, out, RunnerOptions(), as_json, debug, terms, resumes=False) as checked:
            _estimate(checked, cluster, as_json)
        return
    using = RunnerOptions(workers, runner, dask_scheduler, project, region, image, dry_run, beam)
    with _checked(extra, recipe, source, out, using, as_json, debug, terms) as checked:
        from dataclasses import asdict

        from faceloom.pipelines.api import run_plan
        from faceloom.pipelines.cli.summary import plan_summary, reject_examples

        with _watching(checked.context) as watcher:
            found, rejects = run_plan(checked, watcher)
        if as_json:
            write_json({"out": out, **asdict(found)})
        else:
            show_blocks([*plan_summary(found, out), *reject_examples(rejects)])
        if not found.samples:
            say("A build would write nothing, because every photo is rejected.")
            raise typer.Exit(FAILED)


def _cluster(machine: str | None, machines: int | None, price: float | None) -> Cluster:
    from faceloom.pipelines.estimate.cluster import Cluster
    from faceloom.pipelines.estimate.machine import parse_machine
    from faceloom.schemas.errors import FaceloomError

    if machine is None:
        raise FaceloomError("--price is of a machine", remedy="Name its type with --machine, such as n2-standard-8")
    return Cluster(parse_machine(machine), machines or 1, price)


def _estimate(checked: CheckedBuild, cluster: Cluster, as_json: bool) -> None:
    from dataclasses import asdict

    from faceloom.pipelines.cli.cluster_summary import cluster_summary
    from faceloom.pipelines.estimate.cluster import estimate_cluster

    with _watching(checked.context) as watcher:
        found = estimate_cluster(checked.context, cluster, watcher)
    if as_json:
        write_json({"cluster": asdict(cluster), **asdict(found)})
    else:
        show_blocks(cluster_summary(found, cluster))


@contextlib.contextmanager
def _checked(
    extra: list[str],
    recipe: str,
    sources: list[str] | None,
    out: str,
    using: RunnerOptions,
    as_json: bool,
    debug: bool,
    terms: Mapping[str, str | None],
    *,
    replace: bool = True,
    resumes: bool = True,
) -> Iterator[CheckedBuild]:
    """A checked build: errors up to here are wrong arguments, later ones are failures."""
    with ending(REFUSED, as_json, debug, resumes=resumes):
        from faceloom.pipelines.api import check_build
        from faceloom.schemas.errors import FaceloomError

        if extra:
            remedy = f"Name each source by an option: {' '.join(f'--source {word}' for word in extra)}"
            raise FaceloomError("a command has one argument, the recipe", value=" ".join(extra), remedy=remedy)
        stated = {name: text for name, text in terms.items() if text is not None}
        if stated and not sources:
            remedy = "Write them beside each source in the recipe"
            raise FaceloomError(f"--{' and --'.join(stated)} without --source", remedy=remedy)
        given = [source_of(source).model_copy(update=stated) for source in sources] if sources else None
        checked = check_build(recipe, given, out=out, workers=using.chosen(), replace=replace)
    with ending(FAILED, as_json, debug, resumes=resumes), showing_prepared_job(as_json):
        yield checked


def source_of(given: str) -> SourceSpec:
    """A source from the command line: a path, or NAME=PATH where two folders have the same last name."""
    from faceloom.pipelines.api import source_spec

    name, sign, path = given.partition("=")
    # Path.exists raises on a name that is too long.
    named = bool(sign) and "/" not in name and not os.path.exists(given)  # noqa: PTH110
    return source_spec(path, name, where="--source") if named else source_spec(given, where="--source")


@contextlib.contextmanager
def _watching(context: Context) -> Iterator[Watcher]:
    """Shows progress, and the terms of the landmark model before it is used."""
    from faceloom.pipelines.analyse.landmark_models import landmark_terms
    from faceloom.pipelines.cli.console import Announcer, watcher_for

    with watcher_for(error_console()) as watcher:
        terms = landmark_terms(context.recipe.faces)
        yield Announcer(watcher, "analyse", terms) if terms else watcher
