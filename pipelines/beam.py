"""PTransforms for people who run Beam themselves: the two stages of a build that do the work.

Both need a `faceloom` installation and the photos and the output folder on every worker. The folder is not locked while
such a pipeline runs: start no build on it before the pipeline ends.

Example:
    options = PipelineOptions(["--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"])
    arguments = {"recipe": "masked-pairs", "sources": "photos", "out": "out"}
    with beam.Pipeline(options=options) as pipeline:
        pipeline | faceloom.AnalysePhotos(**arguments)
    with beam.Pipeline(options=options) as pipeline:
        pipeline | faceloom.RenderParts(**arguments)
    built = faceloom.build(**arguments)  # finds everything there, and writes the record
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import apache_beam as beam

from faceloom.pipelines.analyse.detectors import detector_kind
from faceloom.pipelines.analyse.face_table import face_files, load_analysed
from faceloom.pipelines.analyse.photo_task import AnalyseTask, analyse_task, analyser_id, tasks_for
from faceloom.pipelines.api import Sources, check_build
from faceloom.pipelines.build import plan_build, render_tasks
from faceloom.pipelines.context import Context
from faceloom.pipelines.render.join_shard import join_shard
from faceloom.pipelines.render.part_task import PartTask, ShardTask, render_part
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.output_folder import locked_output
from faceloom.pipelines.store.shard_files import is_finished
from faceloom.schemas.keys import digest
from faceloom.schemas.photos import Photo
from faceloom.schemas.recipe import Recipe


@dataclass(frozen=True, eq=False)
class _Stage:
    """What both stages need. Only the fields are frozen: Beam sets attributes of its own, such as the label."""

    recipe: Recipe | str | Path
    sources: Sources | None = None
    out: str | Path = field(kw_only=True)
    context: Context = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__init__()
        checked = check_build(self.recipe, self.sources, out=self.out, workers=1)
        object.__setattr__(self, "context", checked.context)


class AnalysePhotos(_Stage, beam.PTransform):  # type: ignore[misc]
    """Analyse the photos of a recipe's sources that were not analysed before; PBegin → PCollection[int].

    Rows are written to the face table below `out`; the elements count the photos of each finished task.

    Args:
        recipe, sources, out: as in `faceloom.build`.

    Raises:
        RecipeError, SourceError, StorageError, ModelFileError: on construction, as in `faceloom.build`.
    """

    def expand(self, begin: Any) -> Any:
        """Tasks of about a hundred photos, spread over all workers."""
        context = self.context
        return (
            begin
            | "Photos" >> beam.Create(analyse_tasks(context))
            | "Spread" >> beam.Reshuffle()
            | "Analyse" >> beam.Map(partial(_analyse, context=context))
        )


class RenderParts(_Stage, beam.PTransform):  # type: ignore[misc]
    """Render the shards of a build that are missing; PBegin → PCollection[str], the names of finished shards.

    The plan is made when the transform is applied, so the photos must have been analysed by a pipeline before; photos
    that were not are analysed on this machine. A shard with a photo that changed meanwhile is not written.

    Args:
        recipe, sources, out: as in `faceloom.build`.

    Raises:
        RecipeError, SourceError, StorageError, ModelFileError: on construction, as in `faceloom.build`.
    """

    def expand(self, begin: Any) -> Any:
        """Parts of about a hundred photos, spread over all workers; then one task for each shard."""
        context = self.context
        _, plan = plan_build(context, workers=1, watcher=Watcher())
        with locked_output(context.storage):
            tasks = render_tasks(plan, context).tasks
        return (
            begin
            | "Parts" >> beam.Create(tasks)
            | "Spread" >> beam.Reshuffle()
            | "Render" >> beam.Map(partial(_render, context=context))
            | "Gather" >> beam.GroupByKey()
            | "Join" >> beam.FlatMap(partial(_join, context=context))
        )


def analyse_tasks(context: Context) -> list[AnalyseTask]:
    """Tasks for the photos that were not analysed before. The output folder becomes ours if it is new."""
    with locked_output(context.storage, keep=True):
        rows = [row for spec in context.recipe.sources for row in context.source(spec.source_name).scan()]
    photos = [row for row in rows if isinstance(row, Photo)]
    reads = context.recipe.reads_labels
    photos = [photo if reads(photo.source) or not photo.labels else replace(photo, labels="") for photo in photos]
    analyser = analyser_id(context.recipe.faces)
    files = face_files(context.storage, analyser)
    known = load_analysed(context.storage, files, photos)
    table, faces = digest(files) if files else "", context.recipe.faces
    return tasks_for(photos, known, analyser, faces.max_pixels, table, detector_kind(faces))


def _analyse(task: AnalyseTask, context: Context) -> int:
    analyse_task(task, context)
    return len(task.photos)


def _render(task: PartTask, context: Context) -> tuple[str, ShardTask]:
    if task.part:
        render_part(task.part, context, planned=task.shard.shard)
    return task.shard.shard, task.shard


def _join(group: tuple[str, Iterable[ShardTask]], context: Context) -> Iterator[str]:
    name, tasks = group
    join_shard(next(iter(tasks)), context)
    if is_finished(context.storage, name):
        yield name
