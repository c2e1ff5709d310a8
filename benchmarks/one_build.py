"""One build in this process, timed after start-up (imports, models, Beam's first pipeline). Prints a line of JSON.

python benchmarks/one_build.py FOLDER polygon|template [--aligned] [--workers N] [--without-beam]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from memory import peak_of, watched

MASKS = {
    "polygon": [{"kind": "polygon", "shape": "C"}],
    "template": [{"kind": "template", "template": "surgical"}, {"kind": "template", "template": "cloth"}],
}


def plain_loop(
    tasks: Sequence[Any], do: Any, *, workers: int, then: Callable[[Any], None] | None = None, **reporting: Any
) -> Any:
    """Do what `run_tasks` does in a plain loop, without reports; the difference is Beam's share."""
    seconds: Counter[str] = Counter()
    after = {}
    for task in tasks:
        key, value, spent = do(task)
        seconds.update(spent)
        after[key] = value
    for value in after.values() if then else ():
        then(value)  # type: ignore[misc]
    return seconds


def main() -> None:
    """Measure one build."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("masks", choices=sorted(MASKS))
    parser.add_argument("--aligned", action="store_true")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--without-beam", action="store_true")
    asked = parser.parse_args()

    import cv2
    import pyarrow as pa

    from faceloom.pipelines import build
    from faceloom.pipelines.analyse import survey
    from faceloom.pipelines.analyse.model_files import find_landmark_model, load_detector, load_predictor
    from faceloom.pipelines.run import run_tasks as beam_run
    from faceloom.pipelines.run.watcher import Watcher
    from faceloom.schemas.recipe import parse_recipe

    cv2.setNumThreads(1)
    pa.array([0])  # imports pandas, where that is installed
    recipe = parse_recipe(
        {
            "name": "benchmark",
            "sources": [{"path": asked.folder, "kind": "flat"}],
            "faces": {"assume": "aligned" if asked.aligned else "photo"},
            "masks": MASKS[asked.masks],
        }
    )
    if asked.workers == 1:
        load_detector(), load_predictor(find_landmark_model())
        if asked.without_beam:
            build.run_tasks = survey.run_tasks = plain_loop  # type: ignore[assignment, attr-defined]
        else:
            beam_run.run_tasks([0], lambda task: ("", task, {}), workers=1)
    for path in Path(asked.folder).rglob("*.jpg"):
        path.read_bytes()  # warm cache
    # One worker works in this process, which keeps its own peak: a watcher would only take its time.
    watching = watched(os.getpid()) if asked.workers > 1 else nullcontext({})
    with tempfile.TemporaryDirectory() as out, watching as peaks:
        begin, used = time.perf_counter(), time.process_time()
        context = build.prepare(recipe, out)
        report = build.run_build(context, workers=asked.workers, resume=True, watcher=Watcher())
        wall, cpu = time.perf_counter() - begin, time.process_time() - used
    photos = report.record.photos
    peak = max(peak_of(os.getpid()), *peaks.values(), 0)
    work = {name: 1000 * value / photos for name, value in sorted(report.work.items())}
    facts = {"seconds": wall / photos, "photos": photos, "peak_mb": peak}
    if asked.workers == 1:
        facts["cpu"] = cpu / photos  # of this process, which does all the work
    facts["written"] = report.record.written
    print(json.dumps({**facts, "wall": dict(report.wall), "work_ms": work}))


if __name__ == "__main__":
    main()
