"""Builds whose recipe and all that it names lie in a store: the bytes of a build from a folder."""

from __future__ import annotations

import io
import json
import tarfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from faceloom.pipelines.build import BuildResult, prepare, run_build
from faceloom.pipelines.recipe.load import load_recipe
from faceloom.pipelines.run.runners import Workers
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.sources.read_ahead import ReadAhead
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import RecipeError
from tests.dask_cluster import cluster_of
from tests.object_stores import gcs_server, s3_server
from tests.pipelines.building import Bench, make_small_parts

PHOTOS = 12
ANCHORS = {
    "left_top": [10, 30], "top": [100, 5], "right_top": [190, 30],
    "right_bottom": [165, 95], "bottom": [100, 145], "left_bottom": [35, 95],
}  # fmt: skip
RECIPE: dict[str, Any] = {
    "name": "x",
    "sources": [{"path": "photos/photos.csv", "name": "s"}],
    "masks": [
        {"kind": "polygon", "shape": "A"},
        {"kind": "picture", "path": "masks/m.png", "anchors": "masks/m.json"},
        {"kind": "autoencoder", "checkpoint": "../models/run", "blend": "raw"},
    ],
    "per_face": 3,
    "faces": {"min_size": 0},
    "align": {"mode": "eye_level", "size": 32},
    "lowres": {"sizes_from": "sizes"},
    "split": {"shares": {"train": 0.5, "test": 0.5}},
    "output": {"shards": {"samples": 8}, "features": {"model": "../mean.pt"}},
}


@pytest.fixture(scope="module", params=["s3", pytest.param("gs", marks=pytest.mark.slow)])
def bucket(request: pytest.FixtureRequest) -> Iterator[str]:
    with {"s3": s3_server, "gs": gcs_server}[request.param]() as url:
        yield url


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    make_small_parts(monkeypatch)


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory, synthetic: SimpleNamespace) -> Path:
    """A recipe, and all that it names: photos in a table and in a tar file, a mask picture, a network, sizes."""
    torch = pytest.importorskip("torch", reason="needs the extra `torch`")
    top = tmp_path_factory.mktemp("laid")
    synthetic.lay_photos(top / "sets/photos", range(PHOTOS))
    rgba = np.zeros((150, 200, 4), np.uint8)
    rgba[10:140, 10:190] = (200, 30, 30, 255)
    (top / "sets/masks").mkdir()
    Image.fromarray(rgba).save(top / "sets/masks/m.png")
    (top / "sets/masks/m.json").write_text(json.dumps(ANCHORS))
    (top / "sets/sizes").mkdir()
    for height in (9, 12, 12):
        Image.new("RGB", (20, height)).save(top / "sets/sizes" / f"{height}-{height}.png")
    mean = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten())
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        torch.jit.script(mean).save(str(top / "mean.pt"))
    synthetic.tiny_run(top / "models/run", "tiny-paper")
    (top / "sets/recipe.yaml").write_text(json.dumps(RECIPE))
    return top


def put(top: Path, bucket: str, name: str = "laid") -> str:
    storage = Storage(f"{bucket}/{name}")
    for path in top.rglob("*"):
        if path.is_file():
            storage.write_if_changed(path.relative_to(top).as_posix(), path.read_bytes())
    return storage.root


def run(recipe: str | Path, out: Path, workers: Workers = 1) -> BuildResult:
    return run_build(prepare(load_recipe(recipe), str(out)), workers=workers, resume=True, watcher=Watcher())


def tree(out: Path) -> dict[str, bytes]:
    files = [out / "build.json", *(file for top in ("shards", "index", "rejects") for file in (out / top).rglob("*"))]
    return {file.relative_to(out).as_posix(): file.read_bytes() for file in files if file.is_file()}


@pytest.fixture(scope="module")
def local(laid: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("local") / "out"
    with pytest.MonkeyPatch.context() as patch:
        make_small_parts(patch)
        run(laid / "sets/recipe.yaml", out)
    return out


def test_a_recipe_by_url_gives_the_bytes_of_a_recipe_in_a_folder(
    laid: Path, local: Path, bucket: str, tmp_path: Path
) -> None:
    url = put(laid, bucket)
    recipe = load_recipe(f"{url}/sets/recipe.yaml")
    assert recipe.sources[0].path == f"{url}/sets/photos/photos.csv"
    assert recipe.masks[2].model_dump()["checkpoint"] == f"{url}/models/run"
    result = run(f"{url}/sets/recipe.yaml", tmp_path / "out")
    assert tree(tmp_path / "out") == tree(local)
    assert set(result.record.by_mask) == {"polygon-A", "picture-m", "autoencoder-run"}


@pytest.mark.slow
def test_worker_processes_and_dask_workers_get_the_files_themselves(laid: Path, local: Path, tmp_path: Path) -> None:
    with s3_server() as bucket, cluster_of(tmp_path / "dask", 2) as cluster:
        url = put(laid, bucket)
        workers: list[Workers] = [2, cluster.dask]
        for number, one in enumerate(workers):
            run(f"{url}/sets/recipe.yaml", tmp_path / f"out{number}", one)
            assert tree(tmp_path / f"out{number}") == tree(local)


def test_a_mask_that_is_replaced_meanwhile_is_noticed(laid: Path, bucket: str, tmp_path: Path) -> None:
    url = put(laid, bucket)
    context = prepare(load_recipe(f"{url}/sets/recipe.yaml"), str(tmp_path / "out"))
    storage = Storage(url)
    picture = storage.read_bytes("sets/masks/m.png")
    with storage.write("sets/masks/m.png") as stream:
        stream.write(picture + b"\n")
    with pytest.raises(RecipeError, match="files of this mask changed while the build ran"):
        run_build(context, workers=1, resume=True, watcher=Watcher())
    put(laid, bucket)


@pytest.mark.parametrize("gone", ["sets/masks/m.png", "models/run/card.json", "models/run/best.safetensors"])
def test_what_a_recipe_names_must_be_there(laid: Path, bucket: str, tmp_path: Path, gone: str) -> None:
    url = put(laid, bucket)
    Storage(url).remove(gone)
    with pytest.raises(RecipeError) as caught:
        prepare(load_recipe(f"{url}/sets/recipe.yaml"), str(tmp_path / "out"))
    assert caught.value.where.startswith("$.masks[") and caught.value.remedy
    named = gone if gone.startswith("sets") else "models/run"
    assert f"{url}/{named}" in str(caught.value) and "No such file" in str(caught.value)
    put(laid, bucket)


def test_weights_that_do_not_fit_their_card_are_refused(laid: Path, bucket: str, tmp_path: Path) -> None:
    url = put(laid, bucket)
    storage = Storage(url)
    weights = bytearray(storage.read_bytes("models/run/best.safetensors"))
    weights[-1] ^= 1
    with storage.write("models/run/best.safetensors") as stream:
        stream.write(weights)
    with pytest.raises(RecipeError, match="its sha256 differs") as caught:
        prepare(load_recipe(f"{url}/sets/recipe.yaml"), str(tmp_path / "out"))
    assert f"{url}/models/run" in str(caught.value) and "/faceloom-" not in str(caught.value)
    put(laid, bucket)


@pytest.mark.slow
def test_every_photo_of_a_morph_is_read_ahead(
    bucket: str, tmp_path: Path, synthetic: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Analysis, textures, faces and the faces that they are mixed with: reads begin before they are needed."""
    bench = Bench(tmp_path, synthetic)
    url = put(bench.photos, bucket, "morphs")
    reads: list[bool] = []
    read = ReadAhead.read

    def recorded(self: ReadAhead[Any], name: str) -> Any:
        reads.append(bool(self._reads.get(name)))
        return read(self, name)

    monkeypatch.setattr(ReadAhead, "read", recorded)
    morph = {"neighbours": 2, "texture_size": 32}
    bench.run("there", sources=[{"path": f"{url}/photos.csv", "name": "s"}], morph=morph)
    assert len(reads) > 4 * 24 and all(reads)
    bench.run("here", morph=morph)
    assert bench.tree("there") == bench.tree("here")


@pytest.mark.slow
def test_a_build_of_tar_files_in_a_store(bucket: str, tmp_path: Path, synthetic: SimpleNamespace) -> None:
    bench = Bench(tmp_path, synthetic)
    points = synthetic.landmarks((60, 55), 24)
    buffer = io.BytesIO()
    np.save(buffer, points.astype(np.float32))
    (tmp_path / "tars").mkdir()
    for shard in range(2):
        with tarfile.open(tmp_path / f"tars/set-{shard}.tar", "w") as tar:
            for number in range(shard * 6, shard * 6 + 6):
                picture = synthetic.encoded(synthetic.picture(120, 110, number))
                facts = json.dumps({"identity": f"p{number % 3}"}).encode()
                for kind, data in (("png", picture), ("json", facts), ("landmarks.npy", buffer.getvalue())):
                    member = tarfile.TarInfo(f"{number:03d}.{kind}")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
    url = put(tmp_path / "tars", bucket, "tars")
    for place, out in ((str(tmp_path / "tars"), "here"), (url, "there")):
        result = bench.run(out, sources=[{"path": place, "name": "s"}])
        assert result.rendered == 12
    assert bench.tree("here") == bench.tree("there")
