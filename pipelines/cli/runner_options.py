"""The options that choose who does the work, for `faceloom build` and `faceloom plan`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import takewhile
from typing import TYPE_CHECKING, Annotated

import typer

from faceloom.pipelines.cli.output import DONE, say, show_blocks, write_json

if TYPE_CHECKING:
    from faceloom.pipelines.run.runners import DataflowJob, JobPrepared, Workers

WorkerCount = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Worker processes on this machine; default: number of processors."),
]
WorkerOrMachineCount = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        help="Worker processes on this machine; default: number of processors. With --machine: machines of the "
        "cluster, each with a worker process for each core; default: 1.",
    ),
]


class Runner(StrEnum):
    """Who does the work."""

    local = "local"
    dask = "dask"
    dataflow = "dataflow"


RunnerName = Annotated[
    Runner,
    typer.Option(
        "--runner",
        help="`local`: worker processes on this machine. `dask`: the workers of a cluster; --dask-scheduler is "
        "required. `dataflow`: jobs on Google Cloud Dataflow; options of Beam follow after --.",
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--dask-scheduler",
        metavar="ADDRESS",
        help="Address of the Dask cluster's scheduler, such as tcp://host:8786; required with --runner dask.",
    ),
]
Project = Annotated[str | None, typer.Option("--project", metavar="ID", help="Project of Dataflow's jobs.")]
Region = Annotated[
    str | None, typer.Option("--region", metavar="NAME", help="Region of Dataflow's workers, such as europe-west4.")
]
Image = Annotated[
    str | None, typer.Option("--image", metavar="IMAGE:TAG", help="Container image of Dataflow's workers.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show the job of the next stage that Dataflow would get, and start nothing.")
]


@dataclass(frozen=True)
class RunnerOptions:
    """Options of the command line about who does the work.

    Attributes:
        workers, runner, scheduler, project, region, image, dry_run: as given.
        beam: options of Beam.
    """

    workers: int | None = None
    runner: Runner = Runner.local
    scheduler: str | None = None
    project: str | None = None
    region: str | None = None
    image: str | None = None
    dry_run: bool = False
    beam: Sequence[str] = ()

    def chosen(self) -> Workers | None:
        """Who does the work; None for one process for each processor.

        Raises:
            FaceloomError: an option is missing, or belongs to another runner.
        """
        from faceloom.pipelines.run.runners import Dask, Dataflow
        from faceloom.schemas.errors import FaceloomError

        self._refuse_others()
        if self.runner == Runner.local:
            return self.workers
        if self.runner == Runner.dask:
            if not self.scheduler:
                remedy = "Give the address that `dask scheduler` prints, such as --dask-scheduler tcp://host:8786"
                raise FaceloomError("--runner dask without --dask-scheduler", remedy=remedy)
            return Dask(self.scheduler)
        return Dataflow(self.project or "", self.region or "", self.image or "", tuple(self.beam), dry_run=self.dry_run)

    def _refuse_others(self) -> None:
        from faceloom.schemas.errors import FaceloomError

        given: dict[Runner, dict[str, object]] = {
            Runner.dask: {"--dask-scheduler": self.scheduler},
            Runner.dataflow: {
                **{"--project": self.project, "--region": self.region, "--image": self.image},
                **{"--dry-run": self.dry_run, "an option of Beam": " ".join(self.beam)},
            },
        }
        for runner, options in given.items():
            for name, value in options.items():
                if value and runner != self.runner:
                    shown = value if isinstance(value, str) else ""
                    raise FaceloomError(
                        f"{name} without --runner {runner}", value=shown, remedy=f"Add --runner {runner}"
                    )
        if self.workers is not None and self.runner != Runner.local:
            remedy = {
                Runner.dask: "Leave it out; a Dask cluster has as many workers as were started with `dask worker`",
                Runner.dataflow: "Limit the machines of Dataflow with -- --max_num_workers=N",
            }[self.runner]
            raise FaceloomError(f"--workers with --runner {self.runner}", value=self.workers, remedy=remedy)


def split_words(words: list[str]) -> tuple[list[str], list[str]]:
    """Divide the words that no option of ours took: arguments too many, and options of Beam.

    >>> split_words(["more", "--max_num_workers", "5"])
    (['more'], ['--max_num_workers', '5'])
    """
    extra = list(takewhile(lambda word: not word.startswith("--"), words))
    return extra, words[len(extra) :]


@contextlib.contextmanager
def showing_prepared_job(as_json: bool) -> Iterator[None]:
    """Show the job that was made and not run from here, and end the command."""
    from faceloom.pipelines.run.runners import JobPrepared

    try:
        yield
    except JobPrepared as prepared:
        _show(prepared, as_json)
        raise typer.Exit(DONE) from None


def _show(prepared: JobPrepared, as_json: bool) -> None:
    from faceloom.pipelines.run.dataflow_options import doubts

    job, dataflow = prepared.job, prepared.dataflow
    warnings = doubts(dataflow)
    if as_json:
        write_json({"job": asdict(job) if job else None, "refused": dataflow.refused, "warnings": warnings})
    if job and job.template:
        say(f"The job file of the stage `{job.stage}` is written to {job.template}.")
        say("Launch the template again with the same parameters when its job is done; the build goes on from there.")
    else:
        say(f"This is a dry run: nothing is started. {_missing(job)}")
        for reason in dataflow.refused:
            say(f"A real run would refuse: {reason}")
        if job and not dataflow.refused:
            say("A real run would start this job now, if the service accepts it.")
    for warning in warnings:
        say(f"Warning: {warning}")
    if not as_json:
        from faceloom.pipelines.cli.summary import facts_table

        facts = {"project": dataflow.project, "region": dataflow.region, "image": dataflow.image}
        facts = {**_job_facts(job), **facts} if job else facts
        facts |= {"options": " ".join(dataflow.options)} if dataflow.options else {}
        show_blocks([facts_table("Dataflow job" if job else "Dataflow", facts)])


def _missing(job: DataflowJob | None) -> str:
    """Which jobs a build still needs, in a sentence."""
    if job is None:
        return "No job is missing: all shards are written. Without --dry-run, the command writes the final files."
    follows = "the plan and the job `render` follow" if job.stage == "analyse" else "the job `render` follows"
    if job.stage == "render":
        return "One job is missing, `render`: all photos are analysed."
    return f"The next job is `{job.stage}`; {follows}."


def _job_facts(job: DataflowJob) -> dict[str, str]:
    facts = {
        "name": job.name,
        "stage": job.stage,
        "tasks": f"{job.tasks:,}",
        "machine": job.machine or ("chosen by Dataflow to fit the hints" if job.hints else "chosen by Dataflow"),
        "hints": ", ".join(f"{name} {value}" for name, value in job.hints.items()) or "none",
        "labels": ", ".join(f"{name}={value}" for name, value in sorted(job.labels.items())),
        "steps": " → ".join(job.steps),
        "files": job.temp or "no folder yet: it needs a bucket",
    }
    return facts | ({"image needs": ", ".join(job.files)} if job.files else {})
