"""A person who is erased as the guide says leaves no trace in the output, and the others stay as they were."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from faceloom.pipelines import demo
from faceloom.pipelines.build import prepare, run_build
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import BuildRecord
from faceloom.pipelines.store.clean import clean
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.keys import generator
from faceloom.schemas.recipe import parse_recipe

pytest.importorskip("matplotlib")
pytest.importorskip("skimage")


def build(photos: Path, out: Path) -> BuildRecord:
    recipe = parse_recipe(
        {
            "name": "erasure",
            "sources": [{"path": str(photos)}],
            "masks": [{"kind": "polygon", "shape": "A"}],
            "split": {"per_identity": 0.5},
        }
    )
    return run_build(prepare(recipe, str(out)), workers=1, resume=True, watcher=Watcher()).record


def files_naming(out: Path, name: str) -> list[str]:
    """Files of an output in which a text occurs, tables read as tables."""

    def text_of(path: Path) -> str:
        return (
            str(pq.read_table(path).to_pylist()) if path.suffix == ".parquet" else path.read_bytes().decode("latin-1")
        )

    files = sorted(path for path in out.rglob("*") if path.is_file())
    return [path.relative_to(out).as_posix() for path in files if name in text_of(path)]


def test_an_erased_person_leaves_no_trace(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    for name, portrait in demo.load_portraits().items():
        (photos / name).mkdir(parents=True)
        for number in range(4):
            view = demo.draw_view(portrait, name, generator(9, f"{name}{number}", "demo"))
            (photos / name / f"{number}.jpg").write_bytes(demo.encode_jpeg(view, 90))
    assert build(photos, out).written == 8
    assert {path.split("/")[0] for path in files_naming(out, "Grace_Hopper")} == {"faces", "index", "shards"}

    shutil.rmtree(photos / "Grace_Hopper")
    shutil.rmtree(out / "faces")
    record = build(photos, out)
    assert files_naming(out, "Grace_Hopper")  # older shards stay until they are cleaned up
    clean(Storage(str(out)))

    assert record.written == 4
    assert files_naming(out, "Grace_Hopper") == []
    assert {path.split("/")[0] for path in files_naming(out, "Eileen_Collins")} == {"faces", "index", "shards"}
