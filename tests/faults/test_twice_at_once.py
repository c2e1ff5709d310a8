"""Two processes that do the same task at the same time write the same bytes, and one file stays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from faceloom.pipelines.store.storage import Storage
from tests.faults.bench import PHOTOS, Plain, build
from tests.faults.causes import instead_of_run_tasks
from tests.faults.conftest import STORES
from tests.faults.twins import Twins, two_processes


@pytest.fixture(scope="module")
def twins() -> Iterator[Twins]:
    with two_processes() as made:
        yield made


@pytest.mark.parametrize("place", [*STORES, pytest.param("folder", marks=pytest.mark.slow)], indirect=True)
def test_photos_textures_neighbours_parts_and_shards(place: str, plain: Plain, twins: Twins) -> None:
    out = f"{place}/out"
    with instead_of_run_tasks(twins.run):
        assert build(plain.source, out).analysed == PHOTOS
    assert twins.met >= 2 * 12, "tasks and shards of both"
    assert len(Storage(out).list("faces")) == PHOTOS / 2, "a file for each task"
    plain.check(out)
    assert build(plain.source, out).rendered == 0
