"""Run tasks on Google Cloud Dataflow: one batch job, a linear chain of small steps."""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from faceloom.pipelines.run.beam_chain import add_chain
from faceloom.pipelines.run.dask_worker import versions
from faceloom.pipelines.run.dataflow_errors import service_errors
from faceloom.pipelines.run.dataflow_job import RunningJob
from faceloom.pipelines.run.dataflow_options import beam_options, doubts, job_hints, job_options, temp_folder
from faceloom.pipelines.run.dataflow_worker import Work, do_task, do_then, write_tasks
from faceloom.pipelines.run.runners import DataflowBuild, DataflowJob, Do, JobPrepared, OnCount, OnNote, Then
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import StorageError


def run_on_dataflow(
    tasks: Sequence[Any],
    do: Do,
    *,
    dataflow: DataflowBuild,
    stage: str,
    then: Then | None = None,
    on_count: OnCount = lambda count: None,
    on_note: OnNote = lambda text: None,
) -> dict[str, float]:
    """Run tasks as one job; see `run_tasks`. It waits for the job, and cancels it on Ctrl-C.

    Raises:
        FaceloomError: a task raised it four times.
        WorkerError: the service refuses the job, or the job failed or was cancelled.
        JobPrepared: it was a dry run, or a job file was written in place of starting the job.
    """
    # Random, so that a job that is still running keeps its tasks.
    work = Work(dataflow.folder, secrets.token_hex(8), type(tasks[0]), len(tasks), tuple(versions().items()))
    with _silent_beam():
        pipeline = make_pipeline(work, do, dataflow=dataflow, stage=stage, then=then)
        if dataflow.dry_run:
            pipeline.run()
            raise JobPrepared(_fields(pipeline, work, dataflow, stage), dataflow)
        given = beam_options(dataflow.options)
        template = str(given.get("template_location") or "")
        needed = bool(template)
        _check_places([given.get("temp_location"), given.get("staging_location"), template.rpartition("/")[0]])
        try:
            write_tasks(work, tasks)
            with service_errors(dataflow):
                result = pipeline.run()
            if template:
                raise JobPrepared(_fields(pipeline, work, dataflow, stage, template), dataflow)
            for doubt in doubts(dataflow):
                on_note(f"Warning: {doubt}")
            job = RunningJob(result, pipeline.runner.dataflow_client, dataflow, work)
            try:
                return job.wait(on_count, on_note)
            finally:
                needed = job.goes_on
        finally:
            if not needed:  # otherwise the end of the build deletes them
                _remove_files(work)


def make_pipeline(work: Work, do: Do, *, dataflow: DataflowBuild, stage: str, then: Then | None) -> Any:
    """The pipeline of a job: numbers of tasks, so that it stays small, then `do`, then `then`. Nothing is sent."""
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

    options = PipelineOptions(job_options(dataflow, stage))
    with service_errors(dataflow):
        pipeline = beam.Pipeline(runner=DataflowRunner(), options=options)
    after = None if then is None else partial(do_then, work=work, then=then)
    add_chain(pipeline, range(work.number), partial(do_task, work=work, do=do), after)
    return pipeline


def _fields(pipeline: Any, work: Work, dataflow: DataflowBuild, stage: str, template: str = "") -> DataflowJob:
    given = beam_options(dataflow.options)
    job = pipeline.runner.job
    return DataflowJob(
        name=job.proto.name,
        stage=stage,
        tasks=work.number,
        project=dataflow.project,
        region=dataflow.region,
        image=dataflow.image,
        machine=str(given.get("machine_type") or ""),
        hints=job_hints(dataflow, given),
        labels=dict(job.proto.labels),
        temp=temp_folder(dataflow, given),
        steps=tuple(part.full_label for part in pipeline.transforms_stack[0].parts),
        options=dataflow.options,
        files=dataflow.files,
        template=template,
    )


def _check_places(places: Iterable[str | None]) -> None:
    """Check that folders can be written. Beam would try for a quarter of an hour."""
    for place in sorted({place.rstrip("/") for place in places if place}):
        try:
            Storage(place).check_writable()
        except StorageError as error:
            error.where = place
            raise


def _remove_files(work: Work) -> None:
    for path in (work.tasks, work.fault):
        with contextlib.suppress(StorageError):
            Storage(work.folder).remove(path)


@contextlib.contextmanager
def _silent_beam() -> Iterator[None]:
    """Silence the logs of Beam and of Google's libraries: errors reach the caller as exceptions."""
    loggers = [logging.getLogger(name) for name in ("apache_beam", "google", "urllib3")]
    levels = [logger.level for logger in loggers]
    root, handler = logging.getLogger(), logging.NullHandler()
    root.addHandler(handler)  # without any, Beam's import installs one that prints
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
        root.removeHandler(handler)
