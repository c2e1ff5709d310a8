"""A photo that only the workers cannot see is no reject."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from faceloom.pipelines.analyse import unseen_photos as module
from faceloom.pipelines.analyse.photo_task import analyse_task, analyser_id, tasks_for
from faceloom.pipelines.analyse.unseen_photos import refuse_unseen
from faceloom.pipelines.context import Context
from faceloom.schemas.errors import SourceError
from faceloom.schemas.faces import UNREADABLE
from faceloom.schemas.photos import Photo
from faceloom.schemas.recipe import parse_recipe


@pytest.fixture
def context(tmp_path: Path, synthetic: SimpleNamespace) -> Context:
    synthetic.lay_photos(tmp_path / "photos", range(3))
    source = {"path": str(tmp_path / "photos" / "photos.csv"), "name": "s"}
    recipe = parse_recipe({"name": "x", "sources": [source], "faces": {"min_size": 0}})
    return Context(recipe.model_dump_json(exclude_unset=True), str(tmp_path / "out"))


def analysed(context: Context) -> list[str]:
    """Files of the face table; one photo is taken away between its listing and its analysis."""
    photos = [row for row in context.source("s").scan() if isinstance(row, Photo)]
    tasks = tasks_for(photos, {}, analyser_id(context.recipe.faces), context.recipe.faces.max_pixels)
    folder = Path(context.recipe.sources[0].path).parent
    (folder / "001.png").rename(folder / "away.png")
    for task in tasks:
        analyse_task(task, context)
    return [task.path for task in tasks]


def test_a_photo_that_is_gone_here_too_is_a_reject(context: Context) -> None:
    refuse_unseen(context, analysed(context))


def test_a_photo_that_can_be_read_here_is_the_workers_fault(context: Context) -> None:
    files = analysed(context)
    folder = Path(context.recipe.sources[0].path).parent
    (folder / "away.png").rename(folder / "001.png")
    with pytest.raises(SourceError, match=r"^s/001.png: a worker could not read this photo, which can be read here"):
        refuse_unseen(context, files)


def test_labels_that_can_be_read_here_are_the_workers_fault(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("s/000.png", "", ""), ("s/001.png", "", f"{UNREADABLE}gone")]
    monkeypatch.setattr(module, "read_face_columns", lambda *_: rows)
    with pytest.raises(SourceError, match=r"^s/001.png: a worker could not read the files beside this photo"):
        refuse_unseen(context, ["faces/x.parquet"])
    rows[1] = ("s/001.png", "", "0" * 64)
    refuse_unseen(context, ["faces/x.parquet"])
