"""Build, plan and export as functions, from a script and from a notebook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import faceloom
from faceloom.pipelines.api import source_specs
from faceloom.schemas.errors import FaceloomError, RecipeError, SourceError, StorageError
from faceloom.schemas.recipe import Recipe, parse_recipe

FIVE_LINES = """\
import faceloom
built = faceloom.build("try.yaml", "photos.csv", out="out", workers=2)
print(built.record.written)
for sample in faceloom.open_split("out", "train"):
    print(sample["masked"].shape)
"""
PLAIN = {"name": "try", "faces": {"min_size": 0}, "align": {"size": 32}, "masks": [{"kind": "polygon", "shape": "A"}]}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, synthetic: SimpleNamespace) -> Path:
    path: Path = synthetic.lay_photos(tmp_path_factory.mktemp("photos"), range(4), people=2)
    return path


def recipe() -> Recipe:
    return parse_recipe({**PLAIN, "split": {"shares": {"train": 1.0}}})


@pytest.mark.slow
def test_the_five_lines_of_a_notebook_user_run_as_a_plain_script(
    tmp_path: Path, table: Path, synthetic: SimpleNamespace
) -> None:
    synthetic.lay_photos(tmp_path, range(4), people=2)
    (tmp_path / "try.yaml").write_text(json.dumps({**PLAIN, "split": {"shares": {"train": 1.0}}}))
    (tmp_path / "script.py").write_text(FIVE_LINES)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["4", *["(32, 32, 3)"] * 4]


def test_plan_build_and_export_agree_and_report_progress(tmp_path: Path, table: Path) -> None:
    out = tmp_path / "out"
    seen: list[tuple[str, int, int | None]] = []
    planned = faceloom.plan(recipe(), table, out=out, workers=1)
    built = faceloom.build(recipe(), table, out=out, workers=1, progress=lambda *call: seen.append(call))
    assert planned.samples == built.record.written == built.rendered == 4
    assert built.out == str(out)
    assert ("render", 0, 4) in seen and {name for name, _, _ in seen} >= {"scan", "plan", "render"}
    assert faceloom.build(recipe(), table, out=out, workers=1).rendered == 0
    assert faceloom.build(recipe(), table, out=out, workers=1, resume=False).rendered == 4
    exported = faceloom.export(out, tmp_path / "files", limit=3)
    assert (exported.written, exported.skipped) == (3, 0)
    assert len(list((tmp_path / "files").rglob("*.landmarks.npy"))) == 3


def test_sources_are_a_path_several_or_a_mapping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [spec.path for spec in source_specs("a")] == [str(tmp_path / "a")]
    assert [spec.source_name for spec in source_specs([Path("a"), "/b/c"])] == ["a", "c"]
    named = source_specs({"first": "x/set", "second": "y/set"})
    assert [(spec.name, os.path.relpath(spec.path)) for spec in named] == [("first", "x/set"), ("second", "y/set")]
    assert source_specs(named) == named


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"recipe": "masked-pears"}, RecipeError, "did you mean 'masked-pairs'"),
        ({"sources": None}, RecipeError, "no source of photos"),
        ({"sources": ""}, RecipeError, "sources: the source has no path"),
        ({"sources": {"a/b": "x"}}, RecipeError, "no '/'"),
        ({"sources": "nowhere"}, SourceError, "nowhere"),
        ({"workers": 0}, RecipeError, "at least 1"),
        ({"out": "ftp://bucket"}, StorageError, "URLs of this kind are not supported"),
    ],
)
def test_wrong_arguments_are_refused_before_any_work(
    arguments: dict[str, Any], error: type[FaceloomError], text: str, tmp_path: Path, table: Path
) -> None:
    out = tmp_path / "out"
    plain: dict[str, Any] = {"recipe": recipe(), "sources": table, "out": out}
    for function in (faceloom.build, faceloom.plan):
        with pytest.raises(error, match=text):
            function(**{**plain, **arguments})
    assert not out.exists()


def test_a_wrong_export_is_refused(tmp_path: Path, table: Path) -> None:
    with pytest.raises(StorageError, match="no finished build"):
        faceloom.export(tmp_path, tmp_path / "files")
    faceloom.build(recipe(), table, out=tmp_path / "out", workers=1)
    with pytest.raises(FaceloomError, match="no such split"):
        faceloom.export(tmp_path / "out", tmp_path / "files", split="dev")
    assert not (tmp_path / "files").exists()
