"""Build a few photos in a temporary folder, to measure what photos of these sources cost with this recipe."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from faceloom.pipelines.analyse.face_table import load_analysed
from faceloom.pipelines.analyse.photo_task import analyse_task, analyser_id, tasks_for
from faceloom.pipelines.context import Context
from faceloom.pipelines.plan.choose import choose_faces
from faceloom.pipelines.plan.frames import with_frames
from faceloom.pipelines.plan.plan_morphs import with_morphs
from faceloom.pipelines.plan.shard_layout import make_plan
from faceloom.pipelines.render.part_task import render_part
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.paths import part_tar, planned_faces
from faceloom.pipelines.store.planned_rows import write_planned
from faceloom.schemas.photos import Photo

TRIAL_PHOTOS = 64
"""Photos of a trial."""
_GROUPS = 8
_WARM_UP = 2
_PREFIX = "faceloom-trial-"


@dataclass(frozen=True, slots=True)
class Trial:
    """The photos of a trial, and what they need.

    Attributes:
        context: of the build.
        photos: some that the sources list.
        folder: for files of the trial; see `trial_folder`.
    """

    context: Context
    photos: tuple[Photo, ...]
    folder: str


@dataclass(frozen=True, slots=True)
class Costs:
    """What a trial measured, on one core.

    Attributes:
        photos: number of photos of the trial.
        samples: per photo; rejected photos have none.
        analyse: processor seconds per photo. Waiting for the disk is not included, nor for other programs.
        render: processor seconds per sample.
        spread: standard deviation of the cost of a photo, as a share of the mean.
        sample_bytes: of a sample in a shard.
        memory: peak bytes of the process.
    """

    photos: int
    samples: float
    analyse: float
    render: float
    spread: float
    sample_bytes: float
    memory: int


def draw_photos(photos: Iterable[Photo], seed: int, most: int = TRIAL_PHOTOS) -> tuple[tuple[Photo, ...], int]:
    """Draw photos at random without holding them all; returns these, and the number of all.

    Every photo is as likely as every other. The same seed and the same photos in the same order give the same ones.
    """
    rng, drawn, count = np.random.default_rng(seed), list[Photo](), 0
    for count, photo in enumerate(photos, 1):
        if len(drawn) < most:
            drawn.append(photo)
        elif (place := int(rng.integers(count))) < most:
            drawn[place] = photo
    return tuple(drawn), count


@contextlib.contextmanager
def trial_folder() -> Iterator[str]:
    """A temporary folder for a trial, which holds pictures of people, and so is deleted however the block ends.

    Folders of processes that were killed are deleted too.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, ValueError):
            if not _is_running(int(left.name.split("-")[2])):
                shutil.rmtree(left)  # refuses a link
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-", ignore_cleanup_errors=True) as folder:
        yield folder


def _is_running(process: int) -> bool:
    if sys.platform == "win32":  # there, the call below stops the process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def measure_costs(trial: Trial) -> Costs:
    """Analyse and render the photos of a trial in this process.

    Raises:
        FaceloomError: a source, the model or the temporary folder cannot be used.
    """
    context = replace(trial.context, root=f"{trial.folder}/first")
    _build(context, trial.photos[:_WARM_UP])  # loads models and fills caches
    costs = []
    groups = 1 if context.recipe.morph else _GROUPS  # a small group has few neighbours
    for number in range(groups):
        if group := trial.photos[number::groups]:
            costs.append((len(group), *_build(replace(context, root=f"{trial.folder}/{number}"), group)))
    photos = sum(count for count, *_ in costs)
    analysed, rendered, samples, size = (sum(column) for column in list(zip(*costs, strict=True))[1:])
    each = [(analyse + render) / count for count, analyse, render, *_ in costs]
    spread = float(np.std(each) / np.mean(each)) * np.sqrt(photos / len(costs)) if len(costs) > 1 else 0.0
    return Costs(
        photos=photos,
        samples=samples / photos,
        analyse=analysed / photos,
        render=rendered / samples if samples else 0.0,
        spread=float(spread),
        sample_bytes=size / samples if samples else 0.0,
        memory=_peak_memory(),
    )


def _build(context: Context, photos: Sequence[Photo]) -> tuple[float, float, int, int]:
    """Analyse and render photos; returns seconds of each, the number of samples, and their bytes."""
    begin = time.process_time()
    recipe, storage = context.recipe, context.storage
    tasks = tasks_for(photos, {}, analyser_id(recipe.faces), recipe.faces.max_pixels)
    for task in tasks:
        analyse_task(task, context)
    analysed = time.process_time()
    choice = choose_faces(recipe, load_analysed(storage, [task.path for task in tasks], photos))
    if recipe.align.mode == "frame":
        choice = with_frames(recipe, choice)
    if recipe.morph is not None:
        choice, _ = with_morphs(context, choice, workers=1, watcher=Watcher())
    plan = make_plan(recipe, choice, context.mask_digests, context.file_digests)
    planned = time.process_time()
    samples = size = 0
    for part in (part for shard in plan.shards for part in shard.parts):
        write_planned(storage, planned_faces(part.digest), part.faces)
        render_part(part.digest, context)
        samples += part.samples
        size += storage.size(part_tar(part.digest))
    return analysed - begin, time.process_time() - planned, samples, size


def _peak_memory() -> int:
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
