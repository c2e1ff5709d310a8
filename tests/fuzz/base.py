"""The valid inputs that all others are made from, and the steps that several kinds share."""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from faceloom.schemas.recipe import Recipe, parse_recipe
from tests.fuzz.rules import Fault, Outcomes
from tests.pipelines.conftest import encoded, landmarks, picture

Case = dict[str, bytes]
"""The files of an input by their paths below its folder."""
INPUT, OUT, EXPORT = "input", "out", "export"
"""Folders beside each other: the input, the output folder of a build, and the target of an export."""


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes:
        name: on the command line.
        seeds: inputs made by hand, by name.
        make: makes a random input.
        run: does with an input's folder what users do.
    """

    name: str
    seeds: Callable[[], dict[str, Case]]
    make: Callable[[Random], Case]
    run: Callable[[Path, Outcomes], None]


def write_case(case: Case, folder: Path) -> None:
    """Write the files of an input below `INPUT`."""
    for name, data in case.items():
        file = folder / INPUT / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


def read_case(folder: Path) -> Case:
    """The files that `write_case` wrote."""
    root = folder / INPUT
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in sorted(root.rglob("*")) if file.is_file()}


def run_case(kind: Kind, case: Case) -> Outcomes:
    """Run an input in a fresh folder, and return what came of it."""
    outcomes = Outcomes()
    with tempfile.TemporaryDirectory(prefix="faceloom-fuzz-", ignore_cleanup_errors=True) as made:
        folder = Path(made) / "here" / "work"
        write_case(case, folder)
        with outcomes.noting_faults(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries, such as Pillow's about large pictures
            kind.run(folder, outcomes)
        with outcomes.noting_faults():
            check_nothing_escaped(Path(made))
    return outcomes


def check_nothing_escaped(made: Path) -> None:
    """Check that an input wrote nothing outside its folders; names with `../` lead to the folders above them."""
    allowed = {made: {"here"}, made / "here": {"work"}, made / "here" / "work": {INPUT, OUT, EXPORT, "sheet.png"}}
    for folder, names in allowed.items():
        strangers = sorted({entry.name for entry in folder.iterdir()} - names)
        if strangers:
            raise Fault(f"wrote outside its folders\n{strangers}")


@contextmanager
def without_beam() -> Iterator[None]:
    """Run the tasks of builds one after the other in this process: ten times as many inputs fit into the same time."""
    import faceloom.pipelines.api

    assert faceloom.pipelines.api
    modules = [module for name, module in sys.modules.items() if name.startswith("faceloom.pipelines.")]
    with mock.patch.object(os, "fsync", lambda handle: None):
        patches = [
            mock.patch.object(module, "run_tasks", _run_tasks)
            for module in modules
            if callable(getattr(module, "run_tasks", None))
        ]
        for patch in patches:
            patch.start()
        try:
            yield
        finally:
            for patch in patches:
                patch.stop()


def _run_tasks(
    tasks: Sequence[Any], do: Any, *, workers: int, then: Any = None, on_count: Any = None, **ignored: Any
) -> Mapping[str, float]:
    groups = {}
    for task in tasks:
        key, argument, _ = do(task)
        groups[key] = argument
    for argument in groups.values() if then else ():
        then(argument)
    return {}


def build(folder: Path, outcomes: Outcomes, source: Path, recipe: Recipe | None = None, *, step: str = "build") -> bool:
    """Build from a source and note the rejects; true if the build finished."""
    from faceloom.pipelines import api
    from faceloom.pipelines.preview import all_rejects
    from faceloom.pipelines.store.storage import Storage

    out = folder / OUT
    done = outcomes.attempt(step, lambda: api.build(recipe or plain_recipe(), source, out=out, workers=1))
    if done is None:
        return False
    outcomes.rejects(all_rejects(Storage(str(out))))
    return True


@cache
def plain_recipe() -> Recipe:
    """A recipe of tiny crops with a drawn mask."""
    return parse_recipe(
        {
            "name": "fuzz",
            "masks": [{"kind": "polygon", "shape": "A"}],
            "faces": {"min_size": 0},
            "align": {"size": 32},
            "output": {"image": "png"},
        }
    )


@cache
def tiny_photo(number: int = 0, ending: str = ".jpg") -> bytes:
    """A photo of 96 x 112 blobs in which no face is found; `points` may be given for it."""
    return encoded(picture(96, 112, number), ending)


@cache
def points() -> list[list[float]]:
    """68 landmarks that fit into a tiny photo."""
    plain: list[list[float]] = landmarks((48, 46), 32).round(2).tolist()
    return plain


@cache
def face_photo() -> bytes:
    """A small public-domain portrait in which a face is found."""
    from faceloom.pipelines.demo import draw_view, load_portraits
    from faceloom.schemas.keys import generator

    view = draw_view(load_portraits()["Eileen_Collins"], "Eileen_Collins", generator(1, "fuzz", "demo"))
    buffer = io.BytesIO()
    view.resize((150, 150)).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def lay_photos(folder: Path) -> Path:
    """The photos that tables list, and a table of three that need no detector; returns the table."""
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(tiny_photo(number))
    table = folder / "photos.csv"
    cells = json.dumps(points()).replace('"', '""')
    table.write_text("uri,identity,landmarks\n" + "".join(f'{n}.jpg,p{n},"{cells}"\n' for n in range(3)))
    return table


@cache
def finished_build() -> Case:
    """The files of a finished build of three photos."""
    from faceloom.pipelines import api

    with tempfile.TemporaryDirectory(prefix="faceloom-fuzz-") as made, without_beam():
        folder = Path(made)
        (folder / INPUT).mkdir()
        api.build(plain_recipe(), lay_photos(folder / INPUT), out=folder / OUT, workers=1)
        root = folder / OUT
        files = {file.relative_to(root).as_posix(): file.read_bytes() for file in root.rglob("*") if file.is_file()}
    return dict(sorted(files.items()))


def warm_up() -> None:
    """Import what a first input would import, so that it is not measured."""
    import torch
    import webdataset

    from faceloom.pipelines.analyse.model_files import find_landmark_model, load_detector, load_predictor

    assert torch and webdataset
    load_detector()
    load_predictor(find_landmark_model(None))
    finished_build()
