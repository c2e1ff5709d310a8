"""A finished build of tiny pictures that passes every gate, and a release of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from faceloom.pipelines.build import prepare, run_build
from faceloom.pipelines.release.create import create_release
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.recipe import parse_recipe


def build_set(folder: Path, photos: Path, **changes: Any) -> Path:
    """A build of the photos that `lay_photos` laid; returns its output folder."""
    recipe = {
        "name": "faces", "description": "made-up faces", "faces": {"min_size": 0}, "align": {"size": 32},
        "sources": [{"path": str(photos / "photos.csv"), "name": "s", "licence": "CC0-1.0", "consent": "made up"}],
        "masks": [{"kind": "polygon", "shape": "A"}, {"kind": "polygon", "shape": "C", "colour": "red"}],
        "split": {"shares": {"train": 0.5, "test": 0.5}}, "output": {"shards": {"samples": 4}},
    }  # fmt: skip
    run_build(prepare(parse_recipe({**recipe, **changes}), str(folder)), workers=1, resume=True, watcher=Watcher())
    return folder


@pytest.fixture(scope="session")
def released_photos(tmp_path_factory: pytest.TempPathFactory, synthetic: SimpleNamespace) -> Path:
    folder = tmp_path_factory.mktemp("released-photos")
    synthetic.lay_photos(folder, range(16))
    return folder


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, released_photos: Path) -> Path:
    """Output folder of a build of 16 samples of 4 people. Do not change it."""
    return build_set(tmp_path_factory.mktemp("built") / "out", released_photos)


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Path:
    """A folder with the release `faces@1.0.0` of that build. Do not change it."""
    root = tmp_path_factory.mktemp("released") / "root"
    create_release(root, "faces", "1.0.0", out=built)
    return root


@pytest.fixture
def own_root(released: Path, tmp_path: Path) -> Storage:
    """A copy of that folder to change."""
    shutil.copytree(released, tmp_path / "root")
    return Storage(str(tmp_path / "root"))


@pytest.fixture
def own_build(built: Path, tmp_path: Path) -> Storage:
    """A copy of the build to change."""
    shutil.copytree(built, tmp_path / "out")
    return Storage(str(tmp_path / "out"))
