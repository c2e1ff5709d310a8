"""Nothing of a person stays in the output folder of a build, whatever state it is in."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from faceloom.pipelines.analyse import photo_task as analysis
from faceloom.pipelines.build import BuildResult, prepare, run_build
from faceloom.pipelines.gallery.write_gallery import gallery_html
from faceloom.pipelines.plan import textures
from faceloom.pipelines.release.build_erasure import BuildErasure, erase_from_build
from faceloom.pipelines.release.traces import traces_of
from faceloom.pipelines.render import sample
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.parquet_tables import read_faces, write_faces, write_rejects
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import PhotoError, StorageError
from faceloom.schemas.photos import Reject
from faceloom.schemas.recipe import parse_recipe
from tests.pipelines.release.searching import alike, look, naming, pictures

ADA = "person 0"
RECIPE: dict[str, Any] = {
    "name": "x", "faces": {"min_size": 0}, "align": {"mode": "face_box", "size": 32},
    "morph": {"neighbours": 2, "texture_size": 32}, "split": {"per_identity": 0.5},
    "output": {"image": "png", "shards": {"samples": 8}},
}  # fmt: skip


def build(folder: Path, out: str = "out") -> BuildResult:
    recipe = {**RECIPE, "sources": [{"path": str(folder / "photos" / "photos.csv"), "name": "s", "licence": "CC0"}]}
    return run_build(prepare(parse_recipe(recipe), str(folder / out)), workers=1, resume=True, watcher=Watcher())


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textures, "BLOCK", 4)
    monkeypatch.setattr(analysis, "load_landmarks", lambda faces: None)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, synthetic: SimpleNamespace) -> Path:
    folder = tmp_path_factory.mktemp("first")
    synthetic.lay_photos(folder / "photos", range(12), people=6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(textures, "BLOCK", 4)
        patch.setattr(analysis, "load_landmarks", lambda faces: None)
        assert build(folder).record.morphs > 0
    return folder


@pytest.fixture
def folder(first: Path, tmp_path: Path) -> Path:
    shutil.copytree(first, tmp_path, dirs_exist_ok=True)
    return tmp_path


def words(folder: Path) -> list[str]:
    """What names the photos of the person: the name, paths, digests, keys."""
    digests = [sha256((folder / "photos" / uri).read_bytes()).hexdigest() for uri in ("000.png", "006.png")]
    return [ADA, "000.png", "006.png", *digests, *(digest[:16] for digest in digests)]


def looks(folder: Path) -> list[Any]:
    """All pictures of the person's own samples."""
    from faceloom.pipelines.store.parquet_tables import read_index

    storage, keys = Storage(str(folder / "out")), set()
    for path in storage.list("index"):
        keys |= {row.key for row in read_index(storage, path) if row.identity == ADA}
    found = [
        look(pixels) for place, pixels in pictures(folder / "out" / "shards") for key in keys if f"::{key}." in place
    ]
    assert len(found) == len(keys) == 2
    return found


def test_nothing_of_the_person_is_left(folder: Path) -> None:
    out, of_person, seen = folder / "out", words(folder), looks(folder)
    before = naming(out, of_person)
    assert {path.split("/")[0] for path in before} == {"faces", "index", "neighbours", "shards"} and alike(out, seen)
    done = erase_from_build(Storage(str(out)), traces_of(ADA))
    assert naming(out, of_person) == {} and alike(out, seen) == []
    assert done.rows == 2 and {"build.json"} | {path for path in before if "faces" not in path} <= set(done.deleted)
    assert set(done.rewritten) == {path for path in before if path.startswith("faces/")}
    assert not (out / "build.json").exists() and naming(out, ["005.png"]), "others stay in the face table"


def test_the_next_build_is_the_same_as_one_without_the_person(folder: Path, synthetic: SimpleNamespace) -> None:
    storage = Storage(str(folder / "out"))
    erase_from_build(storage, traces_of(ADA))
    for uri in ("000.png", "006.png"):
        (folder / "photos" / uri).unlink()
    lines = (folder / "photos" / "photos.csv").read_text().splitlines(keepends=True)
    (folder / "photos" / "photos.csv").write_text("".join(line for line in lines if ADA not in line))
    again, fresh = build(folder), build(folder, "fresh")
    assert again.record == fresh.record and again.analysed == 0, "no other photo is analysed again"


def test_a_photo_alone(folder: Path) -> None:
    photo = words(folder)[3]
    erase_from_build(Storage(str(folder / "out")), traces_of(photos=[photo]))
    assert naming(folder / "out", [photo, photo[:16]]) == {}
    assert naming(folder / "out", [words(folder)[4]]), "the other photo of the person stays in the face table"


def test_an_interrupted_build_is_cleaned_too(folder: Path) -> None:
    out, of_person = folder / "out", words(folder)
    (out / "build.json").unlink()
    (out / "work").mkdir(exist_ok=True)
    (out / "work" / "abc.tar").write_bytes(of_person[3].encode())
    (out / "shards" / "x.tar.partial-1-2").write_bytes(of_person[3].encode())
    (out / "shards" / "train-0-ababababab.tar").write_bytes(of_person[3].encode())
    erase_from_build(Storage(str(out)), traces_of(ADA))
    assert naming(out, of_person) == {}


def test_photos_of_the_person_that_were_rejected_at_any_stage_are_forgotten(
    tmp_path: Path, synthetic: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of the face table and of rejects do not state whose such a photo is."""
    photos, rejected = tmp_path / "photos", [f"{number}.png" for number in (700, 701, 702, 703)]
    synthetic.lay_photos(photos, range(12), people=6)
    table, (broken, copied, folding) = photos / "photos.csv", rejected[1:]  # the first one is missing
    line = table.read_text().splitlines()[1]
    table.write_text(table.read_text() + "".join(line.replace("000.png", uri) + "\n" for uri in rejected))
    (photos / broken).write_bytes(b"no picture")
    (photos / copied).write_bytes((photos / "000.png").read_bytes())
    synthetic.lay_photos(tmp_path / "more", [703], people=1)
    (tmp_path / "more" / folding).rename(photos / folding)

    def compose(key: str, face: Any, *rest: Any) -> Any:
        if folding in (face.uri, face.morph and face.morph.other.uri):
            raise PhotoError("morph_folds", "the mesh folds over", where=key)
        return honest(key, face, *rest)

    honest = sample.compose_sample
    monkeypatch.setattr("faceloom.pipelines.render.render_photos.compose_sample", compose)
    record, out = build(tmp_path).record, tmp_path / "out"
    assert {stage for stage, codes in record.rejects.items() if codes} == {"scan", "analyse", "plan", "render"}
    digests = [sha256((photos / uri).read_bytes()).hexdigest() for uri in (broken, copied, folding)]
    of_person = [*words(tmp_path), *rejected, *digests, *(digest[:16] for digest in digests)]
    storage = Storage(str(out))
    (out / "gallery.html").write_bytes(gallery_html(storage, "x", record.shards, record.rejects, Watcher()))
    before = naming(out, of_person)
    assert {path.split("/")[0] for path in before} >= {"faces", "index", "neighbours", "shards", "rejects"}
    erase_from_build(Storage(str(out)), traces_of(ADA))
    assert naming(out, of_person) == {} and naming(out, ["005.png"])


@pytest.mark.slow
def test_an_erasure_that_was_killed_at_any_file_is_finished_by_the_same_call(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the indexes nothing would state which neighbours are of photos of the person."""

    out, of_person, honest = folder / "out", words(folder), Storage.remove
    left = 0

    def killed(self: Storage, path: str) -> None:
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        honest(self, path)

    for count in range(100):
        left = count
        shutil.copytree(out, folder / "copy")
        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            patch.setattr(Storage, "remove", killed)
            erase_from_build(Storage(str(folder / "copy")), traces_of(ADA))
            break
        erase_from_build(Storage(str(folder / "copy")), traces_of(ADA))
        assert naming(folder / "copy", of_person) == {}, count
        shutil.rmtree(folder / "copy")
    assert count > 5


@pytest.mark.parametrize("top", ["index", "faces", "neighbours", "rejects"])
def test_a_file_that_cannot_be_read_goes(folder: Path, top: str) -> None:
    out = folder / "out"
    path = next(path for path in sorted((out / top).rglob("*.parquet")))
    path.write_bytes(b"PAR1" + words(folder)[3].encode())
    done = erase_from_build(Storage(str(out)), traces_of(ADA))
    assert path.relative_to(out).as_posix() in done.deleted and naming(out, words(folder)) == {}


@pytest.mark.parametrize("asked", [{"identity": "person O"}, {"photos": ["0" * 64]}])
def test_a_build_that_holds_nothing_of_a_misspelt_name_stays_as_it_is(folder: Path, asked: dict[str, Any]) -> None:
    def tree() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in (folder / "out").rglob("*") if path.is_file()}

    before = tree()
    assert erase_from_build(Storage(str(folder / "out")), traces_of(**asked)) == BuildErasure((), (), 0, True)
    assert {**tree(), str(folder / "out" / ".lock"): b""} == {**before, str(folder / "out" / ".lock"): b""}


@pytest.mark.parametrize("known", ["path", "photo", "reject"])
def test_a_photo_without_samples_is_found_by_what_is_known_of_it(folder: Path, known: str) -> None:
    storage = Storage(str(folder / "out"))
    if known == "reject":
        write_rejects(storage, "rejects/plan.parquet", [Reject("plan", "s", "Rosa/1.png", "no_split", "no split", "")])
    else:
        path = storage.list("faces")[0]
        photos = read_faces(storage, path)
        write_faces(storage, path, [replace(photos[0], photo_id="s/Rosa/1.png", sha256="ab" * 32), *photos[1:]])
    traces = traces_of(photos=["ab" * 32]) if known == "photo" else traces_of("Rosa")
    done = erase_from_build(storage, traces)
    assert "build.json" in done.deleted and naming(folder / "out", ["Rosa", "ab" * 32]) == {}


def test_another_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("precious")
    with pytest.raises(StorageError, match="of faceloom"):
        erase_from_build(Storage(str(tmp_path)), traces_of(ADA))
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_not_while_a_build_is_at_work(folder: Path) -> None:
    storage = Storage(str(folder / "out"))
    with storage.exclusive(), pytest.raises(StorageError, match="another process"):
        erase_from_build(storage, traces_of(ADA))


def test_what_is_left_of_the_build_is_explained_until_the_next_build(folder: Path) -> None:
    storage = Storage(str(folder / "out"))
    for _ in range(2):
        erase_from_build(storage, traces_of(ADA))
        with pytest.raises(StorageError, match=r"people were erased from this build.*same `faceloom build` again"):
            read_record(storage)
    build(folder)
    assert read_record(storage).written and "erased" not in {path.name for path in (folder / "out").rglob("*")}
