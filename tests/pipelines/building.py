"""A source of tiny photos and builds of it: what tests of builds share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from faceloom.pipelines.analyse import photo_task as analysis
from faceloom.pipelines.build import BuildResult, prepare, run_build
from faceloom.pipelines.plan import shard_layout as planner
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.recipe import Recipe, parse_recipe

PHOTOS = 24
Tree = dict[str, bytes]


class OnStage(Watcher):
    """Does something when a stage begins."""

    def __init__(self, stage: str, do: Callable[[], object]) -> None:
        self.wanted, self.do = stage, do
        self.stages: list[tuple[str, int | None]] = []

    def stage(self, name: str, total: int | None, unit: str) -> None:
        self.stages.append((name, total))
        if name == self.wanted:
            self.do()


class Notes(Watcher):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


class Bench:
    """A source of 24 photos of 4 people, and builds of it."""

    def __init__(self, folder: Path, synthetic: SimpleNamespace) -> None:
        self.folder, self.synthetic = folder, synthetic
        self.photos = folder / "photos"
        synthetic.lay_photos(self.photos, range(PHOTOS))
        self.clean: Tree = {}

    def recipe(self, **changes: Any) -> Recipe:
        plain: dict[str, Any] = {
            "name": "x",
            "sources": [{"path": str(self.photos / "photos.csv"), "name": "s"}],
            "masks": [{"kind": "polygon", "shape": "A"}, {"kind": "polygon", "shape": "C", "colour": "red"}],
            "faces": {"min_size": 0},
            "align": {"size": 32},
            "split": {"shares": {"train": 0.5, "test": 0.5}},
            "output": {"shards": {"samples": 8}},
        }
        return parse_recipe({**plain, **changes})

    def run(
        self, out: str = "out", *, workers: int = 1, resume: bool = True, watcher: Watcher | None = None, **changes: Any
    ) -> BuildResult:
        context = prepare(self.recipe(**changes), str(self.folder / out))
        return run_build(context, workers=workers, resume=resume, watcher=watcher or Watcher())

    def storage(self, out: str = "out") -> Storage:
        return Storage(str(self.folder / out))

    def tree(self, out: str = "out") -> Tree:
        """Everything that must not depend on the way there."""
        root = self.folder / out
        files = [root / "build.json", *(f for top in ("shards", "index", "rejects") for f in (root / top).rglob("*"))]
        return {file.relative_to(root).as_posix(): file.read_bytes() for file in sorted(files) if file.is_file()}

    def current(self, out: str = "out") -> Tree:
        """The tree without shards that a later run has superseded."""
        names = {shard.name for shard in read_record(self.storage(out)).shards}
        return {
            path: data
            for path, data in self.tree(out).items()
            if not path.startswith(("shards/", "index/")) or Path(path).stem in names
        }

    def files(self, out: str = "out") -> dict[str, tuple[int, int]]:
        """Every file with inode and time: what was not written again keeps both."""
        root = self.folder / out
        return {
            str(file.relative_to(root)): (file.stat().st_ino, file.stat().st_mtime_ns)
            for file in root.rglob("*")
            if file.is_file() and file.name != ".lock"
        }


def make_small_parts(patch: pytest.MonkeyPatch) -> None:
    """Several parts per shard; and no landmark model is loaded, since landmarks are given."""
    patch.setattr(planner, "PART_PHOTOS", 3)
    patch.setattr(planner, "PART_SAMPLES", 6)
    patch.setattr(analysis, "load_landmarks", lambda faces: None)


def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on a build that has work to do fails the test."""
    for place in ("build", "analyse.survey"):
        monkeypatch.setattr(f"faceloom.pipelines.{place}.run_tasks", lambda *_, **__: pytest.fail("there is no work"))
