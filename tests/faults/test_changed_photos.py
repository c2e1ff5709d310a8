"""A photo that changes between analysis and render is found by its hash, on every kind of storage and runner."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import SourceError
from tests.dask_cluster import cluster_of
from tests.faults.bench import PHOTOS, build, lay_crops, put
from tests.pipelines.building import OnStage
from tests.pipelines.conftest import SURE, encoded, picture
from tests.tree_digest import digests


@pytest.mark.parametrize(
    "place", ["folder", *(pytest.param(one, marks=pytest.mark.slow) for one in ("s3", "gs"))], indirect=True
)
@pytest.mark.parametrize("runner", ["local", pytest.param("Dask", marks=pytest.mark.slow)])
@pytest.mark.parametrize("stage", ["render", pytest.param("textures", marks=pytest.mark.slow)])
def test_no_sample_is_made_of_other_bytes(stage: str, runner: str, place: str, tmp_path: Path) -> None:
    root = f"{place}/{tmp_path.name}"
    source = lay_crops(f"{root}/photos")

    def change() -> None:
        put(Storage(source), "person 3/3.png", encoded(picture(112, 112, SURE[-1])))

    with cluster_of(tmp_path / "cluster", workers=2 if runner == "Dask" else 0) as cluster:
        workers = cluster.dask if runner == "Dask" else 1
        with pytest.raises(SourceError, match=r"1 photo changed or vanished after the analysis.*person 3/3\.png"):
            build(source, f"{root}/out", workers, OnStage(stage, change))
        assert "build.json" not in digests(f"{root}/out")
        assert build(source, f"{root}/out", workers).analysed == 1
    assert build(source, f"{root}/fresh").analysed == PHOTOS
    assert digests(f"{root}/fresh").items() <= digests(f"{root}/out").items(), "shards of before may be there too"
