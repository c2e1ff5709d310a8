"""A person who leaves takes all their morphs along: the index names both parents, and what is built anew has none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from faceloom.pipelines import demo
from faceloom.schemas.keys import generator

pytest.importorskip("matplotlib")
pytest.importorskip("skimage")

RECIPE = """\
name: mixed
faces: {min_size: 20}
align: {mode: face_box, size: 64}
morph: {neighbours: 2, texture_size: 48, weights: uniform}
split: {per_identity: 0.5}
output: {halves: {}}
"""


def lay(folder: Path) -> None:
    """Six photos of each of two people."""
    for name, portrait in demo.load_portraits().items():
        (folder / name).mkdir(parents=True)
        for number in range(6):
            view = demo.draw_view(portrait, name, generator(4, f"{name}{number}", "demo"))
            (folder / name / f"{number}.jpg").write_bytes(demo.encode_jpeg(view.resize((240, 300)), 90))


def rows_of(out: Path) -> list[dict[str, Any]]:
    record = json.loads((out / "build.json").read_text())
    return [row for s in record["shards"] for row in pq.read_table(out / "index" / f"{s['name']}.parquet").to_pylist()]


def must_go(rows: list[dict[str, Any]], **who: str) -> set[str]:
    """Keys of the samples that show somebody, from the index alone: by `identity`, or by `photo_sha256`."""
    [(column, value)] = who.items()
    own = {row["key"] for row in rows if row[column] == value and not row["parents"]}
    return own | {row["key"] for row in rows if value in [parent[column] for parent in row["parents"]]}


def naming(out: Path, words: set[str]) -> set[str]:
    """Top folders of an output in which one of some words occurs, tables read as tables."""

    def text(path: Path) -> str:
        return (
            str(pq.read_table(path).to_pylist()) if path.suffix == ".parquet" else path.read_bytes().decode("latin-1")
        )

    files = [path for path in out.rglob("*") if path.is_file()]
    return {path.relative_to(out).parts[0] for path in files if any(word in text(path) for word in words)}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, run: Any) -> Path:
    """Photos, a recipe, and a build of them; not to be touched."""
    folder = tmp_path_factory.mktemp("mixed")
    lay(folder / "photos")
    (folder / "mixed.yaml").write_text(RECIPE)
    done = run("build", folder / "mixed.yaml", "--source", folder / "photos", "--out", folder / "out", "--json")
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def folder(first: Path, tmp_path: Path) -> Path:
    shutil.copytree(first, tmp_path, dirs_exist_ok=True)
    return tmp_path


def erase(folder: Path, run: Any) -> None:
    """What the guide says, once the photos are gone."""
    shutil.rmtree(folder / "out" / "faces")
    assert run("build", folder / "mixed.yaml", "--source", folder / "photos", "--out", folder / "out").code == 0
    assert run("clean", folder / "out", "--yes").code == 0


def test_a_person_takes_all_their_morphs_along(folder: Path, run: Any) -> None:
    before = rows_of(folder / "out")
    gone = must_go(before, identity="Grace_Hopper")
    mixed = {row["key"] for row in before if row["parents"]}
    assert len(mixed) > 15 and mixed <= gone, "each morph is of both people here"
    photos = {row["photo_sha256"][:16] for row in before if row["identity"] == "Grace_Hopper"}
    assert len(photos) == 6 and {"index", "shards", "neighbours"} <= naming(folder / "out", photos)
    shutil.rmtree(folder / "photos" / "Grace_Hopper")
    erase(folder, run)
    after = rows_of(folder / "out")
    assert {row["key"] for row in after} == {row["key"] for row in before} - gone and len(after) == 6
    assert naming(folder / "out", {"Grace_Hopper", *photos}) == set()


def test_a_photo_takes_all_its_morphs_along(folder: Path, run: Any) -> None:
    before = rows_of(folder / "out")
    photo = next(row["photo_sha256"] for row in before if row["uri"] == "Eileen_Collins/2.jpg" and not row["parents"])
    gone = must_go(before, photo_sha256=photo)
    assert gone >= {row["key"] for row in before if photo[:16] in row["key"]} and len(gone) > 1
    as_neighbour = {row["key"] for row in before if row["key"] in gone and row["photo_sha256"] != photo}
    assert as_neighbour, "also those that lie beside another person's photos"
    (folder / "photos" / "Eileen_Collins" / "2.jpg").unlink()
    erase(folder, run)
    after = rows_of(folder / "out")
    assert not gone & {row["key"] for row in after} and must_go(after, photo_sha256=photo) == set()
    assert naming(folder / "out", {photo, photo[:16]}) == set()


def test_a_build_says_how_many_faces_are_morphs(first: Path, run: Any) -> None:
    record = json.loads((first / "out" / "build.json").read_text())
    folded = record["rejects"].get("render", {}).get("morph_folds", 0)
    assert (record["faces"], record["morphs"], record["written"]) == (36, 24, 36 - folded)
    assert "36 (24 morphs)" in run("show", first / "out").out
    card = (first / "out" / "README.md").read_text()
    assert "24 of 36 faces are morphs" in card and f"{36 - folded} samples of 2 people" in card
    plan = run("plan", first / "mixed.yaml", "--source", first / "photos", "--out", first / "out", "--json").json
    assert (plan["faces"], plan["morphs"], plan["samples_ready"]) == (36, 24, 36)
