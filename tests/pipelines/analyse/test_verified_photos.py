"""What an earlier stage has seen is read as it was, or not at all."""

from __future__ import annotations

import errno
import hashlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import numpy as np
import pytest

from faceloom.pipelines.analyse.verified_photos import bad_photos, read_labels, read_unchanged
from faceloom.pipelines.context import Context
from faceloom.pipelines.sources import source
from faceloom.pipelines.sources.source import labels_of
from faceloom.schemas.errors import PhotoError, WorkerError
from faceloom.schemas.plan import PlannedFace, PlannedMorph
from faceloom.schemas.recipe import parse_recipe
from faceloom.schemas.regular_files import open_regular_file


@pytest.fixture
def bench(tmp_path: Path, synthetic: SimpleNamespace) -> SimpleNamespace:
    """Three photos with a label map each, and their planned faces."""
    synthetic.lay_photos(tmp_path / "photos", range(3))
    (tmp_path / "labels").mkdir()
    for number in range(3):
        map_ = np.full((112, 96), number, np.uint8)
        (tmp_path / "labels" / f"{number:03d}.png").write_bytes(synthetic.encoded(map_))
    source = {"path": str(tmp_path / "photos"), "kind": "label_maps", "name": "s", "labels": str(tmp_path / "labels")}
    recipe = parse_recipe({"name": "x", "sources": [source]})
    context = Context(recipe.model_dump_json(exclude_unset=True), str(tmp_path / "out"))
    faces = []
    for number in range(3):
        uri = f"{number:03d}.png"
        labels = labels_of(context.source("s"), uri)
        assert labels is not None
        data = (tmp_path / "photos" / uri).read_bytes()
        faces.append(synthetic.planned(data, synthetic.landmarks((48, 46), 32), uri=uri, labels=labels.sha256))
    return SimpleNamespace(context=context, faces=faces, folder=tmp_path)


def mixed(face: PlannedFace, other: PlannedFace) -> PlannedFace:
    return replace(face, morph=PlannedMorph(other, 0, 0.0, 0.0, 0.0, 0.0, 0.0))


def test_bytes_come_as_they_were(bench: SimpleNamespace) -> None:
    data = read_unchanged(bench.context, "s", "001.png", bench.faces[1].photo_sha256)
    assert hashlib.sha256(data).hexdigest() == bench.faces[1].photo_sha256


def test_other_bytes_are_refused(bench: SimpleNamespace) -> None:
    with pytest.raises(PhotoError, match="changed after it was analysed") as caught:
        read_unchanged(bench.context, "s", "001.png", "0" * 64)
    assert caught.value.code == "changed" and caught.value.where == "s/001.png"


def test_labels_come_only_if_they_were_planned(bench: SimpleNamespace) -> None:
    found = read_labels(bench.context, bench.faces[2])
    assert found is not None and found.sha256 == bench.faces[2].labels
    assert read_labels(bench.context, replace(bench.faces[2], labels="")) is None


@pytest.mark.parametrize("gone", [True, False])
def test_labels_that_changed_are_refused(bench: SimpleNamespace, gone: bool) -> None:
    path = bench.folder / "labels" / "002.png"
    if gone:
        path.unlink()
    else:
        path.write_bytes((bench.folder / "labels" / "001.png").read_bytes())
    with pytest.raises(PhotoError, match="label files changed"):
        read_labels(bench.context, bench.faces[2])


def test_all_that_is_bad_is_found_in_one_go(bench: SimpleNamespace) -> None:
    assert bad_photos(bench.context, bench.faces) == {}
    (bench.folder / "photos" / "000.png").write_bytes(b"x")
    (bench.folder / "photos" / "002.png").unlink()
    bad = bad_photos(bench.context, bench.faces)
    assert set(bad) == {"s/000.png", "s/002.png"} and "changed" in bad["s/000.png"]


@pytest.mark.parametrize("broken", ["photos", "labels"])
def test_files_that_the_machine_cannot_read_are_not_bad(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def failing(path: Path, *args: Any, **named: Any) -> IO[bytes]:
        if path.parent.name == broken:
            raise OSError(errno.EMFILE, "Too many open files")
        return open_regular_file(path, *args, **named)

    monkeypatch.setattr(source, "open_regular_file", failing)
    with pytest.raises(WorkerError, match=r"^s/000\.png: (unexpected OSError|too many open files)"):
        bad_photos(bench.context, bench.faces)


def test_neighbours_are_looked_at_too(bench: SimpleNamespace) -> None:
    (bench.folder / "photos" / "002.png").unlink()
    assert set(bad_photos(bench.context, [mixed(bench.faces[0], bench.faces[2])])) == {"s/002.png"}


def test_labels_are_looked_at_although_the_photo_is_somebodys_neighbour(bench: SimpleNamespace) -> None:
    """A morph needs its neighbour's photo alone; that must not hide what the neighbour itself needs."""
    (bench.folder / "labels" / "002.png").unlink()
    first, last = bench.faces[0], bench.faces[2]
    for faces in ([last, mixed(first, last)], [mixed(first, last), last]):
        assert set(bad_photos(bench.context, faces)) == {"s/002.png"}
    assert bad_photos(bench.context, [mixed(first, last)]) == {}
