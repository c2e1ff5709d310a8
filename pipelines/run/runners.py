"""Who runs tasks: worker processes on this machine, or the workers of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Do = Callable[[Any], tuple[str, Any, Mapping[str, float]]]
Then = Callable[[Any], None]
OnCount = Callable[[int], None]
OnNote = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Dask:
    """The workers of a Dask cluster that runs already. They share the output folder and the sources with this process.

    Attributes:
        scheduler: address of its scheduler, such as `tcp://host:8786`.
        folder: output folder that every worker must see and write to; `build` and `plan` set it.
        build: names one build or plan, for which workers keep what they read; `build` and `plan` set it.
        patience: seconds to wait for the scheduler, and for a worker that takes tasks.
    """

    scheduler: str
    folder: str = ""
    build: str = ""
    patience: float = 60.0


@dataclass(frozen=True, slots=True)
class Dataflow:
    """Workers of Google Cloud Dataflow: one batch job for each stage of a build that has something to do.

    Sources and output are URLs. The files that the recipe names lie in the image, at the same paths as here.

    Attributes:
        project: id of the project that pays.
        region: of the workers, such as `europe-west4`.
        image: of the workers, with its tag or digest. It holds the same versions as this process.
        options: more options of Beam, such as `--max_num_workers=50`.
        dry_run: make the job of the next stage, and end with `JobPrepared` in place of running it.
    """

    project: str
    region: str
    image: str
    options: tuple[str, ...] = ()
    dry_run: bool = False

    @property
    def waits(self) -> bool:
        """Whether a build waits for its jobs; otherwise it ends when the next one is made, and must be run again."""
        return not (self.dry_run or any(word.startswith("--template_location") for word in self.options))


@dataclass(frozen=True, slots=True)
class DataflowBuild(Dataflow):
    """Workers of Dataflow with what one build or plan needs of them.

    Attributes:
        folder: the output.
        build: 12 hex digits that name the build.
        recipe: its name.
        memory: bytes of one worker process.
        files: that the recipe names and the image must hold.
        refused: in a dry run, the errors with which a real run would end.
    """

    folder: str = ""
    build: str = ""
    recipe: str = ""
    memory: int = 0
    files: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DataflowJob:
    """The key fields of a job as it is submitted.

    Attributes:
        name: of the job; the service runs one of a name at a time.
        stage: of the build.
        tasks: number of tasks.
        project, region, image: as in `Dataflow`.
        machine: type of the workers; empty if Dataflow chooses it.
        hints: resource hints of the workers.
        labels: of the job, and so of its costs.
        temp: folder of its files; empty in a dry run without one.
        steps: of the pipeline, in order.
        options: of Beam, that the user gave.
        files: that the image must hold.
        template: where the job file is; empty if there is none.
    """

    name: str
    stage: str
    tasks: int
    project: str
    region: str
    image: str
    machine: str
    hints: Mapping[str, str]
    labels: Mapping[str, str]
    temp: str
    steps: tuple[str, ...]
    options: tuple[str, ...]
    files: tuple[str, ...]
    template: str = ""


class JobPrepared(Exception):
    """The job of the next stage is made, and this process does not run it: a dry run, or a Flex Template.

    Attributes:
        job: what was made; None in a dry run that needs no job.
        dataflow: the runner.
    """

    def __init__(self, job: DataflowJob | None, dataflow: DataflowBuild) -> None:
        super().__init__("no job is needed" if job is None else f"the job {job.name} is made, and not run from here")
        self.job, self.dataflow = job, dataflow


Workers = int | Dask | Dataflow
"""The number of worker processes on this machine, or a cluster."""


def here(workers: Workers) -> int:
    """Number of worker processes on this machine; 0 for a cluster."""
    return workers if isinstance(workers, int) else 0
