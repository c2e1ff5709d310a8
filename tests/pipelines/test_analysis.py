"""Photos become rows once: what is known is not looked at again, what is bad says why, what passes is tried again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from faceloom.pipelines import analysis
from faceloom.pipelines.analysis import (
    TASK_PHOTOS,
    AnalyseTask,
    analyse_task,
    analyser_id,
    find_row,
    load_analysed,
    row_key,
    stamp_of,
    tasks_for,
)
from faceloom.pipelines.context import Context
from faceloom.pipelines.tables import read_faces
from faceloom.schemas.errors import ModelFileError, PhotoError
from faceloom.schemas.faces import AnalysedPhoto, FaceRow
from faceloom.schemas.photos import Photo
from faceloom.schemas.recipe import Faces, parse_recipe


def photo(uri: str, size: int = 10, stamp: str = "1", landmarks: Any = None) -> Photo:
    return Photo("s", uri, None, None, None, None, (), landmarks, size, stamp)


def row(one: Photo, **changes: Any) -> AnalysedPhoto:
    face = FaceRow((0.0, 0.0, 50.0, 50.0), bytes(544), 1.0, ())
    sha = hashlib.sha256(one.uri.encode()).hexdigest()
    return replace(AnalysedPhoto(one.photo_id, one.size, stamp_of(one), sha, 9, 9, 1, (face,)), **changes)


def known(*rows: AnalysedPhoto) -> dict[analysis.RowKey, AnalysedPhoto]:
    return {(one.photo_id, one.size, one.stamp): one for one in rows}


GIVEN = tuple((float(n), float(n * n % 7)) for n in range(68))


def test_only_photos_that_no_row_speaks_of_are_tasks() -> None:
    photos = [photo(f"{n}.jpg") for n in range(5)]
    tasks = tasks_for(photos, known(row(photos[1]), row(photos[3])), "id")
    assert [one.uri for task in tasks for one in task.photos] == ["0.jpg", "2.jpg", "4.jpg"]
    assert tasks_for(photos, known(*map(row, photos)), "id") == []
    assert tasks_for([], {}, "id") == []


@pytest.mark.parametrize(
    "changes", [{"size": 11}, {"stamp": "2"}, {"uri": "b.jpg"}, {"source": "t"}, {"landmarks": GIVEN}]
)
def test_a_photo_that_may_have_changed_is_looked_at_again(changes: dict[str, Any]) -> None:
    one = photo("a.jpg")
    assert len(tasks_for([replace(one, **changes)], known(row(one)), "id")) == 1


@pytest.mark.parametrize(
    "changes", [{"identity": "Ada"}, {"split": "train"}, {"licence": "CC0"}, {"attributes": (("a", 1),)}]
)
def test_what_is_said_about_a_photo_is_no_reason_to_look_again(changes: dict[str, Any]) -> None:
    one = photo("a.jpg")
    assert tasks_for([replace(one, **changes)], known(row(one)), "id") == []


def test_given_landmarks_are_part_of_the_stamp() -> None:
    one, other = photo("a.jpg", landmarks=GIVEN), photo("a.jpg", landmarks=(*GIVEN[:-1], (1.0, 2.5)))
    assert len({stamp_of(photo("a.jpg")), stamp_of(one), stamp_of(other)}) == 3
    assert row_key(one) == ("s/a.jpg", 10, stamp_of(one))


@pytest.mark.parametrize("count", [1, 3, 4, 99, 400, 401, 1001])
def test_tasks_are_alike_and_come_in_fours(count: int) -> None:
    photos = [photo(f"{n}.jpg") for n in range(count)]
    tasks = tasks_for(photos, {}, "id")
    sizes = [len(task.photos) for task in tasks]
    assert [one for task in tasks for one in task.photos] == photos
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= TASK_PHOTOS
    assert len(tasks) == min(count, 4 * -(-count // (4 * TASK_PHOTOS)))


def test_a_tasks_file_is_named_by_its_photos() -> None:
    photos = [photo(f"{n}.jpg") for n in range(8)]
    names = [task.path for task in tasks_for(photos, {}, "id")]
    assert names == [task.path for task in tasks_for(photos, {}, "id")]
    assert len(set(names)) == 4
    assert all(name.startswith("faces/id/") and name.endswith(".parquet") for name in names)
    restamped = [replace(one, stamp="2") for one in photos]
    assert not set(names) & {task.path for task in tasks_for(restamped, {}, "id")}


def test_rows_of_other_photos_of_the_same_size_are_candidates() -> None:
    old = [row(photo("old.jpg", size=10)), row(photo("other.jpg", size=99))]
    [task] = tasks_for([photo("new.jpg", size=10)], known(*old), "id")
    assert task.candidates == (old[0],)
    [task] = tasks_for([photo("new.jpg", size=10, landmarks=GIVEN)], known(*old), "id")
    assert task.candidates == ()


def test_find_row_takes_the_row_of_this_very_photo_or_the_passing_one() -> None:
    one = photo("a.jpg")
    passing = row(one, stamp="", faces=(), code="vanished")
    assert find_row(one, known(passing)) == passing
    assert find_row(one, known(passing, row(one))) == row(one)
    with pytest.raises(KeyError):
        find_row(replace(one, size=3), known(passing, row(one)))


def test_the_analyser_is_known_by_all_that_rows_depend_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = [tmp_path / "one.dat", tmp_path / "same.dat", tmp_path / "other.dat"]
    for model, data in zip(models, (b"1", b"1", b"2"), strict=True):
        model.write_bytes(data)

    def name(**changes: Any) -> str:
        return analyser_id(Faces(**{"landmark_model": str(models[0]), **changes}))

    assert name() == name(landmark_model=str(models[1])) == name(min_size=3), "what the plan decides does not count"
    different = {
        name(), name(landmark_model=str(models[2])), name(select="all"), name(assume="aligned"), name(max_pixels=5)
    }  # fmt: skip
    monkeypatch.setattr(analysis, "ANALYSER", "next")
    assert len(different | {name()}) == 6
    assert all(len(one) == 12 for one in different)
    with pytest.raises(ModelFileError):
        name(landmark_model=str(tmp_path / "none.dat"))


@pytest.fixture
def bench(tmp_path: Path, synthetic: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A flat source of three tiny photos; dlib is not needed, since landmarks are given."""
    monkeypatch.setattr(analysis, "_predictor", lambda path: None)
    photos = tmp_path / "photos"
    synthetic.lay_photos(photos, range(3))
    points = synthetic.landmarks((48, 46), 32)
    recipe = parse_recipe({"name": "x", "sources": [{"path": str(photos), "kind": "flat", "name": "s"}]})
    context = Context(recipe.model_dump_json(), str(tmp_path / "out"))

    def listed(uri: str, given: bool = True) -> Photo:
        data = (photos / uri).read_bytes() if (photos / uri).exists() else b"gone"
        return photo(uri, len(data), "1", tuple(map(tuple, points.tolist())) if given else None)

    def run(*some: Photo, candidates: tuple[AnalysedPhoto, ...] = ()) -> list[AnalysedPhoto]:
        analyse_task(AnalyseTask("faces/t.parquet", some, candidates), context)
        return read_faces(context.storage, "faces/t.parquet")

    yield SimpleNamespace(context=context, photos=photos, points=points, listed=listed, run=run)


def test_given_landmarks_are_used_as_they_are(bench: SimpleNamespace) -> None:
    seconds = analyse_task(AnalyseTask("faces/t.parquet", (bench.listed("000.png"),), ()), bench.context)
    assert {"read", "decode", "write"} <= seconds.keys()
    [found] = read_faces(bench.context.storage, "faces/t.parquet")
    assert (found.photo_id, found.width, found.height, found.orientation, found.code) == ("s/000.png", 96, 112, 1, "")
    assert found.sha256 == hashlib.sha256((bench.photos / "000.png").read_bytes()).hexdigest()
    [face] = found.faces
    assert np.array_equal(np.frombuffer(face.landmarks, np.float32).reshape(68, 2), bench.points)
    left, top, right, bottom = face.box
    assert left < bench.points[36, 0] < bench.points[45, 0] < right
    assert top < bench.points[30, 1] < bottom
    assert dict(face.quality)["eye_distance"] == pytest.approx(32, abs=0.1)
    assert dict(face.quality)["roll"] == pytest.approx(0, abs=2)


def test_every_photo_gets_a_row_and_a_bad_one_a_rejects(bench: SimpleNamespace) -> None:
    (bench.photos / "bad.jpg").write_bytes(b"no picture")
    (bench.photos / "torn.png").write_bytes((bench.photos / "000.png").read_bytes()[:-50])
    rows = bench.run(*map(bench.listed, ["000.png", "bad.jpg", "torn.png", "gone.jpg", "001.png"]))
    assert [one.code for one in rows] == ["", "not_an_image", "truncated", "vanished", ""]
    assert [len(one.faces) for one in rows] == [1, 0, 0, 0, 1]
    assert all(one.message for one in rows if one.code)
    assert rows[1].sha256 == hashlib.sha256(b"no picture").hexdigest()
    assert rows[3].sha256 == ""


def test_what_passes_is_tried_again_and_what_stays_is_not(bench: SimpleNamespace) -> None:
    (bench.photos / "bad.jpg").write_bytes(b"no picture")
    photos = [bench.listed("gone.jpg"), bench.listed("bad.jpg")]
    bench.run(*photos)
    rows = {(one.photo_id, one.size, one.stamp): one for one in read_faces(bench.context.storage, "faces/t.parquet")}
    assert [one.uri for task in tasks_for(photos, rows, "id") for one in task.photos] == ["gone.jpg"]
    assert find_row(photos[0], rows).code == "vanished"
    assert find_row(photos[1], rows).code == "not_an_image"


def test_a_copy_of_a_known_photo_is_not_analysed_again(bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    [before] = bench.run(bench.listed("000.png"))
    before = replace(before, stamp="1")
    (bench.photos / "copy.png").write_bytes((bench.photos / "000.png").read_bytes())
    monkeypatch.setattr(analysis, "analyse_photo", lambda *_, **__: pytest.fail("it is known"))
    [copy] = bench.run(bench.listed("copy.png", given=False), candidates=(before,))
    assert copy == replace(before, photo_id="s/copy.png")


def test_a_copy_with_landmarks_of_its_own_is_and_one_of_a_photo_with_such_too(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Landmarks that a user gave for one photo say nothing of its copy."""
    [before] = bench.run(bench.listed("000.png"))
    assert "+" in before.stamp

    def found_none(*_: object, **__: object) -> None:
        raise PhotoError("no_face", "looked at")

    monkeypatch.setattr(analysis, "analyse_photo", found_none)
    for given in (True, False):
        [again] = bench.run(bench.listed("000.png", given=given), candidates=(before,))
        assert (again.code, again.faces) == ("no_face", ())


def test_the_recipe_is_passed_on(bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def look(data: bytes, **named: Any) -> None:
        seen.update(named)
        raise PhotoError("no_face", "x")

    monkeypatch.setattr(analysis, "analyse_photo", look)
    recipe = bench.context.recipe.model_copy(update={"faces": Faces(select="all", assume="aligned", max_pixels=77)})
    context = replace(bench.context, recipe_json=recipe.model_dump_json())
    analyse_task(AnalyseTask("faces/t.parquet", (bench.listed("000.png", given=False),), ()), context)
    assert (seen["select"], seen["assume"], seen["max_pixels"], seen["given_landmarks"]) == ("all", "aligned", 77, None)


def test_all_rows_of_an_analyser_are_loaded(bench: SimpleNamespace) -> None:
    for number in range(2):
        task = AnalyseTask(f"faces/one/{number}.parquet", (bench.listed(f"00{number}.png"),), ())
        analyse_task(task, bench.context)
    analyse_task(AnalyseTask("faces/other/0.parquet", (bench.listed("002.png"),), ()), bench.context)
    rows = load_analysed(bench.context.storage, "one")
    assert {key[0] for key in rows} == {"s/000.png", "s/001.png"}
    assert all(rows[row_key(bench.listed(f"00{number}.png"))].faces for number in range(2))
    assert load_analysed(bench.context.storage, "none") == {}
