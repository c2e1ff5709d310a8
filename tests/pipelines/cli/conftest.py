"""A few photos and a small recipe for commands."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, synthetic: SimpleNamespace) -> Path:
    path: Path = synthetic.lay_photos(tmp_path_factory.mktemp("photos"), range(4), people=2)
    return path


@pytest.fixture
def recipe(tmp_path: Path, table: Path) -> Path:
    path = tmp_path / "try.yaml"
    masks = [{"kind": "polygon", "shape": "A"}]
    path.write_text(json.dumps({"name": "try", "faces": {"min_size": 10}, "masks": masks}))  # JSON is YAML
    return path
