"""A small build whose photos and output lie in a folder or in a store, and what it must have come to in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.analyse import photo_task
from faceloom.pipelines.build import BuildResult, prepare, run_build
from faceloom.pipelines.plan import shard_layout, textures
from faceloom.pipelines.release.verify import verify_build
from faceloom.pipelines.run.run_tasks import shared_folder
from faceloom.pipelines.run.runners import Workers
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.parquet_tables import read_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.recipe import Recipe, parse_recipe
from tests.pipelines.conftest import SURE, encoded, picture
from tests.tree_digest import digests

PHOTOS, PEOPLE = 8, 4
RECIPE: dict[str, Any] = {
    "name": "x",
    "per_face": 2,
    "faces": {"assume": "aligned", "min_size": 0},
    "align": {"size": 32},
    "masks": [{"kind": "polygon", "shape": "A"}],
    "morph": {"neighbours": 2, "texture_size": 32},
    "split": {"shares": {"train": 0.5, "test": 0.5}},
    "output": {"image": "png", "shards": {"samples": 12}},
}
"""Photos, textures, neighbours, parts and shards: every kind of task, and no detector."""


@contextmanager
def small_tasks() -> Iterator[None]:
    """Several tasks of each kind for few photos."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photo_task, "TASK_PHOTOS", 2)
        patch.setattr(shard_layout, "PART_PHOTOS", 2)
        patch.setattr(textures, "BLOCK", 4)
        yield


def lay_crops(place: str) -> str:
    """Write aligned crops of a few people to a folder or a store; returns the place."""
    storage = Storage(place)
    for number in range(PHOTOS):
        put(storage, f"person {number % PEOPLE}/{number}.png", encoded(picture(112, 112, SURE[number])))
    return place


def put(storage: Storage, path: str, data: bytes) -> None:
    """Write a file."""
    with storage.write(path) as stream:
        stream.write(data)


def recipe_of(source: str) -> Recipe:
    """The recipe for photos in a folder or a store."""
    return parse_recipe({**RECIPE, "sources": [{"path": source, "name": "s", "kind": "people"}]})


def build(source: str, out: str, workers: Workers = 1, watcher: Watcher | None = None) -> BuildResult:
    """Build what is missing."""
    folder, workers = shared_folder(out, workers)
    return run_build(prepare(recipe_of(source), folder), workers=workers, resume=True, watcher=watcher or Watcher())


@dataclass(frozen=True)
class Plain:
    """A build that nothing disturbed, in a folder of this machine."""

    source: str
    digests: dict[str, str]

    def check(self, out: str) -> None:
        """Nothing is lost, nothing doubled, and each file under a final name is whole."""
        assert digests(out) == self.digests
        storage = Storage(out)
        record = read_record(storage)
        keys = Counter(row.key for shard in record.shards for row in read_index(storage, f"index/{shard.name}.parquet"))
        assert set(keys.values()) == {1} and len(keys) == record.written
        assert record.planned == record.written + sum(record.rejects.get("render", {}).values())
        assert record.photos == PHOTOS and {*record.rejects} <= {"render"}, "the machine's faults are no rejects"
        assert not verify_build(storage).faults
        assert storage.partials() == storage.list("work") == []


def build_until_done(build: Callable[[], object], error: type[Exception], most: int) -> int:
    """Build again after each error, as a user does; returns how many runs failed."""
    for failed in range(most):
        try:
            build()
        except error:
            continue
        return failed
    build()
    return most


def make_plain(folder: Path) -> Plain:
    """Lay the photos below a folder and build them there."""
    source = lay_crops(str(folder / "photos"))
    out = str(folder / "out")
    build(source, out)
    return Plain(source, digests(out))
