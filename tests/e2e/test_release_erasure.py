"""A person who withdraws leaves nothing behind: not in any release, not in the build, not in the gallery."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines import demo
from faceloom.pipelines.build import prepare, run_build
from faceloom.pipelines.release import gates
from faceloom.pipelines.release.build_erasure import erase_from_build
from faceloom.pipelines.release.create import create_release
from faceloom.pipelines.release.erase import erase
from faceloom.pipelines.release.purge import purge
from faceloom.pipelines.release.resolve import resolve
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.parquet_tables import read_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.index import IndexRow
from faceloom.schemas.keys import generator
from faceloom.schemas.recipe import parse_recipe
from tests.pipelines.release.searching import alike, look, naming, pictures

pytest.importorskip("matplotlib")
pytest.importorskip("skimage")

WHO, OTHER = "Grace_Hopper", "Eileen_Collins"
RECIPE: dict[str, Any] = {
    "name": "mixed", "faces": {"min_size": 20}, "align": {"mode": "face_box", "size": 64},
    "morph": {"neighbours": 2, "texture_size": 48, "weights": "uniform"}, "split": {"per_identity": 0.5},
    "masks": [{"kind": "polygon", "shape": "A"}], "output": {"halves": {}, "shards": {"samples": 8}},
}  # fmt: skip


def build(folder: Path, **changes: Any) -> None:
    source = {"path": str(folder / "photos"), "licence": "public domain", "consent": "works of the government"}
    recipe = parse_recipe({**RECIPE, "sources": [source], **changes})
    run_build(prepare(recipe, str(folder / "out")), workers=1, resume=True, watcher=Watcher())


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Photos of two people, a build with morphs and two releases of it. Do not change it.

    All photos of a person are views of one portrait, so near-duplicates are no surprise.
    """
    patch = pytest.MonkeyPatch()
    request.addfinalizer(patch.undo)
    patch.setattr(gates, "NEAR_DUPLICATES", 1.0)
    folder = tmp_path_factory.mktemp("mixed")
    for name, portrait in demo.load_portraits().items():
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(6):
            view = demo.draw_view(portrait, name, generator(4, f"{name}{number}", "demo"))
            (folder / "photos" / name / f"{number}.jpg").write_bytes(demo.encode_jpeg(view.resize((240, 300)), 90))
    build(folder)
    create_release(folder / "root", "mixed", "1.0.0", out=folder / "out")
    build(folder, masks=[{"kind": "polygon", "shape": "A"}, {"kind": "polygon", "shape": "C", "colour": "red"}])
    create_release(folder / "root", "mixed", "1.1.0", out=folder / "out")
    return folder


@pytest.fixture
def folder(first: Path, tmp_path: Path) -> Path:
    shutil.copytree(first / "root", tmp_path / "root")
    shutil.copytree(first / "out", tmp_path / "out")
    return tmp_path


def rows(root: Path) -> list[IndexRow]:
    storage = Storage(str(root))
    return [row for path in storage.list("index") for row in read_index(storage, path)]


def words(found: list[IndexRow]) -> set[str]:
    """What refers to the person: name, keys, digests and paths of the photos."""
    shas = {row.photo_sha256 for row in found if row.identity == WHO}
    return {WHO, *shas, *(sha[:16] for sha in shas), *(row.uri for row in found if row.identity == WHO)}


def looks(root: Path, keys: set[str]) -> list[Any]:
    """The pictures of samples, without those of masks, which look alike for all people."""
    kinds = ("face", "masked", "upper", "lower")
    wanted = {f"{key}.{kind}" for key in keys for kind in kinds}
    shards = pictures(root / "shards")
    return [look(pixels) for place, pixels in shards if place.partition("::")[2].rpartition(".")[0] in wanted]


def test_after_erasing_and_purging_nothing_is_left(folder: Path) -> None:
    root, out = Storage(str(folder / "root")), folder / "out"
    before = rows(folder / "root")
    of_person = words(before)
    goes = {row.key for row in before if WHO in row.people}
    own = {row.key for row in before if row.people == (WHO,)}
    assert len(goes) > len(own) > 5 and len(of_person) > 15, "with samples of their own and morphs"
    seen = looks(folder / "root", own)
    for place in (folder / "root", out):
        assert naming(place, of_person) and alike(place, seen)

    done = erase(root, "mixed@1.1.0", "1.1.1", identity=WHO)
    assert done.still_in == ("mixed@1.0.0", "mixed@1.1.0") and done.same_photos == 0
    for reference in done.still_in:
        purge(root, reference, why="consent withdrawn")
    erase_from_build(Storage(str(out)), done.traces)

    for place in (folder / "root", out):
        assert naming(place, of_person) == {} and alike(place, seen) == []
    kept = {row.key for row in rows(folder / "root")}
    release = resolve(root, "mixed@latest").release
    assert kept and not kept & goes and (release.written, release.version) == (len(kept), "1.1.1")
    assert naming(folder / "root", [OTHER]), "the other person is still found this way"
    assert json.loads(root.read_bytes("releases/mixed/1.1.1/release.json"))["erased"] == done.samples


def test_every_file_of_a_release_is_searched(folder: Path) -> None:
    """The gallery shows the person before the erasure, so the search is known to look into it."""
    page = folder / "root" / "releases" / "mixed" / "1.1.0"
    seen = looks(folder / "root", {row.key for row in rows(folder / "root") if row.people == (WHO,)})
    assert alike(page, seen) and "gallery.html" in naming(page, [WHO])
