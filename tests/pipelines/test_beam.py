"""The PTransforms: the example of their documentation, and what is refused on construction."""

from __future__ import annotations

import textwrap
from dataclasses import FrozenInstanceError, is_dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import faceloom
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import RecipeError, SourceError
from faceloom.schemas.recipe import parse_recipe
from tests.pipelines.run.chain_check import steps_of_chain

pytestmark = pytest.mark.usefixtures("beam")
RECIPE = parse_recipe(
    {"name": "x", "faces": {"min_size": 0}, "align": {"size": 32}, "masks": [{"kind": "polygon", "shape": "A"}]}
)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, synthetic: SimpleNamespace) -> Path:
    path: Path = synthetic.lay_photos(tmp_path_factory.mktemp("photos"), range(6), people=3)
    return path


def files(out: Path) -> dict[str, bytes]:
    storage = Storage(str(out))
    return {path: storage.read_bytes(path) for folder in ("shards", "index") for path in storage.list(folder)}


def test_the_example_makes_what_a_build_makes(table: Path, tmp_path: Path) -> None:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from faceloom.pipelines import beam as module

    example = textwrap.dedent((module.__doc__ or "").split("Example:\n")[1])
    for shown, own in (('"masked-pairs"', "recipe"), ('"photos"', "table"), ('"out"', "out")):
        assert shown in example
        head, tail = example.split(f": {shown}", 1)
        example = f"{head}: {own}{tail}"
    names: dict[str, Any] = {
        **{"recipe": RECIPE, "table": table, "out": tmp_path / "beam"},
        **{"faceloom": faceloom, "beam": beam, "PipelineOptions": PipelineOptions},
    }
    exec(example, names)
    assert names["built"].rendered == names["built"].analysed == 0
    assert names["built"].record.written == 6
    faceloom.build(RECIPE, table, out=tmp_path / "plain", workers=1)
    assert files(tmp_path / "beam") == files(tmp_path / "plain")


@pytest.mark.parametrize("name", ["AnalysePhotos", "RenderParts"])
def test_they_are_linear_chains(name: str, table: Path, tmp_path: Path) -> None:
    import apache_beam as beam
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    pipeline = beam.Pipeline(runner=FnApiRunner())
    pipeline | getattr(faceloom, name)(RECIPE, table, out=tmp_path / "out")
    [step] = steps_of_chain(pipeline)
    assert name in step


@pytest.mark.parametrize("name", ["AnalysePhotos", "RenderParts"])
def test_they_are_frozen_and_checked_on_construction(name: str, table: Path, tmp_path: Path) -> None:
    assert is_dataclass(getattr(faceloom, name))
    make: Any = getattr(faceloom, name)
    made = make(RECIPE, table, out=tmp_path / "out")
    with pytest.raises(FrozenInstanceError):
        made.out = "elsewhere"
    made.label = "a label, which Beam sets"
    with pytest.raises(RecipeError, match="no such recipe"):
        make("masked-pears", table, out=tmp_path / "out")
    with pytest.raises(SourceError, match="nowhere"):
        make(RECIPE, "nowhere", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
