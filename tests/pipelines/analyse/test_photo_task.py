"""Photos become rows once: what is known is not looked at again, what is bad says why, what passes is tried again."""

from __future__ import annotations

import errno
import hashlib
import io
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from faceloom.pipelines.analyse import photo_task as analysis
from faceloom.pipelines.analyse.analysis import TOO_LARGE
from faceloom.pipelines.analyse.face_table import load_analysed
from faceloom.pipelines.analyse.photo_table import stamp_of
from faceloom.pipelines.analyse.photo_task import TASK_PHOTOS, AnalyseTask, analyse_task, analyser_id, tasks_for
from faceloom.pipelines.context import Context
from faceloom.pipelines.store.parquet_tables import read_faces
from faceloom.schemas.errors import ModelFileError, PhotoError, RecipeError, StorageError, WorkerError
from faceloom.schemas.face_options import Faces
from faceloom.schemas.faces import FIGURES, AnalysedPhoto, FaceRow
from faceloom.schemas.photos import Photo
from faceloom.schemas.recipe import parse_recipe
from faceloom.transforms.analyse import Face, PhotoAnalysis, analyse_photo
from faceloom.transforms.detect import FaceBox


def photo(uri: str, size: int = 10, stamp: str = "1", landmarks: Any = None) -> Photo:
    return Photo("s", uri, None, None, None, None, (), landmarks, size, stamp)


def row(one: Photo, **changes: Any) -> AnalysedPhoto:
    face = FaceRow((0.0, 0.0, 50.0, 50.0), bytes(544), 1.0, ())
    sha = hashlib.sha256(one.uri.encode()).hexdigest()
    return replace(AnalysedPhoto(one.photo_id, one.size, stamp_of(one), sha, 9, 9, 1, (face,)), **changes)


def known(*rows: AnalysedPhoto) -> dict[str, AnalysedPhoto]:
    return {one.photo_id: one for one in rows}


def tasks(photos: list[Photo], rows: Mapping[str, AnalysedPhoto], **named: Any) -> list[AnalyseTask]:
    return tasks_for(photos, rows, "id", **{"max_pixels": 100, **named})


def uris(found: list[AnalyseTask]) -> list[str]:
    return [one.uri for task in found for one in task.photos]


def test_only_photos_that_no_row_speaks_of_are_tasks() -> None:
    photos = [photo(f"{n}.jpg") for n in range(5)]
    assert uris(tasks(photos, known(row(photos[1]), row(photos[3])))) == ["0.jpg", "2.jpg", "4.jpg"]
    assert tasks(photos, known(*map(row, photos))) == []
    assert tasks([], {}) == []


def test_what_was_too_large_is_looked_at_again_once_it_no_longer_is() -> None:
    photos = [photo(f"{n}.jpg") for n in range(3)]
    sizes = [(10, 10), (10, 11), (0, 0)]  # the last is too large for Pillow, which does not say how large
    some = zip(photos, sizes, strict=True)
    rows = known(*(row(one, width=wide, height=high, faces=(), code=TOO_LARGE) for one, (wide, high) in some))
    assert uris(tasks(photos, rows, max_pixels=99)) == []
    assert uris(tasks(photos, rows, max_pixels=100)) == ["0.jpg"]
    assert uris(tasks(photos, rows, max_pixels=10**9)) == ["0.jpg", "1.jpg"]


def test_tasks_hold_photos_and_no_rows() -> None:
    """Rows of other photos would make the whole quadratic where all photos have one size in bytes, as crops may."""
    rows = known(*(row(photo(f"old {n}.jpg")) for n in range(500)))
    [few] = [len(pickle.dumps(task)) for task in tasks([photo("new.jpg")], rows, table="t")]
    assert few < 1000


@pytest.mark.parametrize("count", [1, 3, 4, 99, 400, 401, 1001])
def test_tasks_are_alike_and_come_in_fours(count: int) -> None:
    photos = [photo(f"{n}.jpg") for n in range(count)]
    found = tasks(photos, {})
    sizes = [len(task.photos) for task in found]
    assert [one for task in found for one in task.photos] == photos
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= TASK_PHOTOS
    assert len(found) == min(count, 4 * -(-count // (4 * TASK_PHOTOS)))


def test_tasks_name_the_detector_of_the_machine_that_plans() -> None:
    (task,) = tasks([photo("a.jpg")], {}, detector="auto")
    assert task.detector == "auto"


def test_a_row_keeps_what_found_the_face_and_how(monkeypatch: pytest.MonkeyPatch, bench: SimpleNamespace) -> None:
    box = FaceBox(1, 2, 30, 31, 0.912345, "yunet", 90)
    face = Face(box, np.zeros((68, 2), np.float32), None, unsure=True)
    look = lambda *_, **__: SimpleNamespace(faces=(face,))  # noqa: E731
    monkeypatch.setattr(analysis, "analyse_photo", look)
    analyse_task(AnalyseTask("faces/t.parquet", (bench.listed("000.png"),)), bench.context)
    (found,) = read_faces(bench.context.storage, "faces/t.parquet")
    (row,) = found.faces
    assert (row.detector, row.score, row.turn, row.landmarks_unsure) == ("yunet", 0.9123, 90, True)
    assert row.quality == ()


def test_a_tasks_file_is_named_by_its_photos() -> None:
    photos = [photo(f"{n}.jpg") for n in range(8)]
    names = [task.path for task in tasks(photos, {})]
    assert names == [task.path for task in tasks(photos, {})]
    assert len(set(names)) == 4
    assert all(name.startswith("faces/id/") and name.endswith(".parquet") for name in names)
    restamped = [replace(one, stamp="2") for one in photos]
    assert not set(names) & {task.path for task in tasks(restamped, {})}


def test_the_analyser_is_known_by_all_that_rows_depend_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = [tmp_path / "one.dat", tmp_path / "same.dat", tmp_path / "other.dat"]
    for model, data in zip(models, (b"1", b"1", b"2"), strict=True):
        model.write_bytes(data)

    def name(**changes: Any) -> str:
        return analyser_id(Faces(**{"landmark_model": str(models[0]), **changes}))

    same = {name(), name(landmark_model=str(models[1])), name(min_size=3), name(max_pixels=5)}
    assert len(same) == 1, "what the plan decides does not count"
    different = {name(), name(landmark_model=str(models[2])), name(select="all"), name(damaged="keep")}
    different |= {name(assume="aligned")}
    assert name(damaged="reject") == name()
    monkeypatch.setattr(analysis, "ANALYSER", "next")
    assert len(different | {name()}) == 6
    assert all(len(one) == 12 for one in different)
    with pytest.raises(ModelFileError):
        name(landmark_model=str(tmp_path / "none.dat"))


@pytest.fixture
def bench(tmp_path: Path, synthetic: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A flat source of three tiny photos; dlib is not needed, since landmarks are given."""
    monkeypatch.setattr(analysis, "load_landmarks", lambda faces: None)
    photos = tmp_path / "photos"
    synthetic.lay_photos(photos, range(3))
    points = synthetic.landmarks((48, 46), 32)
    recipe = parse_recipe({"name": "x", "sources": [{"path": str(photos), "kind": "flat", "name": "s"}]})
    context = Context(recipe.model_dump_json(), str(tmp_path / "out"))

    def listed(uri: str, given: bool = True) -> Photo:
        data = (photos / uri).read_bytes() if (photos / uri).exists() else b"gone"
        return photo(uri, len(data), "1", points.tobytes() if given else None)

    def run(*some: Photo, path: str = "faces/id/t.parquet", **limits: Any) -> list[AnalysedPhoto]:
        """The rows that analysis writes; what an earlier call wrote to another path is known."""
        own = context
        if limits:
            changed = recipe.model_copy(update={"faces": Faces(**limits)})
            own = replace(context, recipe_json=changed.model_dump_json())
        analyse_task(AnalyseTask(path, some, path), own)
        return read_faces(context.storage, path)

    found = SimpleNamespace(context=context, photos=photos, points=points, listed=listed, run=run, looks=[])

    def look(data: bytes, **named: Any) -> PhotoAnalysis:
        """As if the detector had found the face, and noted."""
        found.looks.append(data)
        return analyse_photo(data, **{**named, "given_landmarks": points})

    monkeypatch.setattr(analysis, "analyse_photo", look)
    yield found


def test_damaged_photos_are_rejected_unless_they_are_kept(bench: SimpleNamespace) -> None:
    noise = np.random.default_rng(0).integers(60, 180, (96, 96, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG", quality=90)
    data = buffer.getvalue()
    (bench.photos / "torn.jpg").write_bytes(data[: len(data) // 2] + data[-2:])
    photo = bench.listed("torn.jpg")
    assert [bench.run(photo, path=f"faces/id/{do}.parquet", damaged=do)[0].code for do in ("reject", "keep")] == [
        "damaged",
        "",
    ]


def test_given_landmarks_are_used_as_they_are(bench: SimpleNamespace) -> None:
    seconds = analyse_task(AnalyseTask("faces/t.parquet", (bench.listed("000.png"),)), bench.context)
    assert {"read", "decode", "write"} <= seconds.keys()
    [found] = read_faces(bench.context.storage, "faces/t.parquet")
    assert (found.photo_id, found.width, found.height, found.orientation, found.code) == ("s/000.png", 96, 112, 1, "")
    assert found.sha256 == hashlib.sha256((bench.photos / "000.png").read_bytes()).hexdigest()
    [face] = found.faces
    assert np.array_equal(np.frombuffer(face.landmarks, np.float32).reshape(68, 2), bench.points)
    left, top, right, bottom = face.box
    assert left < bench.points[36, 0] < bench.points[45, 0] < right
    assert top < bench.points[30, 1] < bottom
    figures = dict(zip(FIGURES, face.quality, strict=True))
    assert abs(figures["yaw"]) < 10 and 0 < figures["brightness"] < 255


def test_every_photo_gets_a_row_and_a_bad_one_a_rejects(bench: SimpleNamespace) -> None:
    (bench.photos / "bad.jpg").write_bytes(b"no picture")
    (bench.photos / "torn.png").write_bytes((bench.photos / "000.png").read_bytes()[:-50])
    rows = bench.run(*map(bench.listed, ["000.png", "bad.jpg", "torn.png", "gone.jpg", "001.png"]))
    assert [one.code for one in rows] == ["", "not_an_image", "truncated", "vanished", ""]
    assert [len(one.faces) for one in rows] == [1, 0, 0, 0, 1]
    assert all(one.message for one in rows if one.code)
    assert rows[1].sha256 == hashlib.sha256(b"no picture").hexdigest()
    assert rows[3].sha256 == ""


def test_copies_in_one_task_have_the_measured_share(bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(number: int, faces: tuple[FaceRow, ...]) -> tuple[FaceRow, ...]:
        return tuple(replace(face, masked=number / 10 + 0.5) for face in faces)

    monkeypatch.setattr(analysis, "load_gate", lambda _: SimpleNamespace(add=lambda *_: None, measured=measured))
    monkeypatch.setattr(analysis, "analyser_id", lambda *_: "id")
    photos = [bench.listed("001.png"), *(copy_of(bench, "000.png", name) for name in ("copy.png", "later.png"))]
    rows = bench.run(*photos)
    assert [row.faces[0].masked for row in rows] == [0.5, 0.6, 0.6]
    assert len(bench.looks) == 2


def test_a_task_that_was_planned_for_other_models_is_refused(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analysis, "load_gate", lambda _: object())
    monkeypatch.setattr(analysis, "analyser_id", lambda *_: "new")
    with pytest.raises(RecipeError, match=r"\$\.faces\.masked\.detector: .*changed.*faces/new instead of faces/id"):
        bench.run(bench.listed("000.png"))
    assert not bench.context.storage.list("faces")


def test_what_passes_is_tried_again_and_what_stays_is_not(bench: SimpleNamespace) -> None:
    (bench.photos / "bad.jpg").write_bytes(b"no picture")
    photos = [bench.listed("gone.jpg"), bench.listed("bad.jpg")]
    bench.run(*photos)
    rows = load_analysed(bench.context.storage, ["faces/id/t.parquet"], photos)
    assert uris(tasks(photos, rows)) == ["gone.jpg"]
    assert rows["s/gone.jpg"].code == "vanished"
    assert rows["s/bad.jpg"].code == "not_an_image"


def copy_of(bench: SimpleNamespace, uri: str, name: str) -> Photo:
    (bench.photos / name).write_bytes((bench.photos / uri).read_bytes())
    return bench.listed(name, given=False)


def test_photos_that_were_renamed_or_touched_are_not_analysed_again(bench: SimpleNamespace) -> None:
    first = [bench.listed(f"00{n}.png", given=False) for n in range(3)]
    before = bench.run(*first, path="faces/id/one.parquet")
    assert len(bench.looks) == 3
    later = [copy_of(bench, "002.png", "renamed.png"), replace(first[0], stamp="2"), copy_of(bench, "001.png", "x.png")]
    rows = bench.run(*later, path="faces/id/two.parquet")
    assert len(bench.looks) == 3
    for now, then, photo_now in zip(rows, (before[2], before[0], before[1]), later, strict=True):
        assert now == replace(then, photo_id=photo_now.photo_id, stamp=photo_now.stamp)


def test_a_copy_within_a_task_is_analysed_once(bench: SimpleNamespace) -> None:
    photos = [bench.listed("000.png", given=False), copy_of(bench, "000.png", "copy.png")]
    one, other = bench.run(*photos)
    assert len(bench.looks) == 1
    assert other == replace(one, photo_id="s/copy.png")


def test_another_analysers_rows_are_not_taken(bench: SimpleNamespace) -> None:
    bench.run(bench.listed("000.png", given=False), path="faces/one/t.parquet")
    bench.run(copy_of(bench, "000.png", "copy.png"), path="faces/other/t.parquet")
    assert len(bench.looks) == 2


@pytest.mark.parametrize("stamp", ["1", "1+512"])
def test_landmarks_that_a_user_gave_say_nothing_of_copies(bench: SimpleNamespace, stamp: str) -> None:
    """And a stamp with a plus is no sign of them: those of photos in tar files have one."""
    given = replace(bench.listed("000.png"), stamp=stamp)
    copies = [replace(copy_of(bench, "000.png", name), stamp=stamp) for name in ("copy.png", "later.png")]
    [one, two] = bench.run(given, copies[0], path="faces/id/one.parquet")
    assert (one.given, two.given, len(bench.looks)) == (True, False, 2)
    bench.run(copies[1], path="faces/id/two.parquet")
    assert len(bench.looks) == 2, "the copy without landmarks speaks for the next one"
    bench.run(replace(given, uri="copy.png"), path="faces/id/three.parquet")
    assert len(bench.looks) == 3, "but for none with landmarks of its own"


def test_a_damaged_table_is_said_and_no_photos_fault(bench: SimpleNamespace) -> None:
    with bench.context.storage.write("faces/id/one.parquet") as stream:
        stream.write(b"no table")
    with pytest.raises(StorageError):
        bench.run(bench.listed("000.png", given=False), path="faces/id/two.parquet")


@pytest.mark.parametrize("limit", [1, 96 * 112 - 1])
def test_a_photo_that_is_too_large_says_how_large(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    [found] = bench.run(bench.listed("000.png"), max_pixels=limit)
    assert (found.code, found.width, found.height, found.faces, bench.looks) == (TOO_LARGE, 96, 112, (), [])
    [found] = bench.run(bench.listed("000.png"), max_pixels=96 * 112)
    assert (found.code, found.width, found.height, len(bench.looks)) == ("", 96, 112, 1)


def test_a_photo_without_faces_says_how_large_it_is(bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a later, lower limit rejects it in the same words as a build from nothing would."""

    def none(*_: object, **__: object) -> None:
        raise PhotoError("no_face", "x")

    monkeypatch.setattr(analysis, "analyse_photo", none)
    [found] = bench.run(bench.listed("000.png"))
    assert (found.code, found.width, found.height) == ("no_face", 96, 112)


def cv2_error() -> Exception:
    import cv2

    return cv2.error("OpenCV(5)\n assertion\tfailed")


@pytest.mark.parametrize(
    "error",
    [
        cv2_error(), RuntimeError("dlib says no"), ValueError("a\nb"), MemoryError(), OverflowError("x" * 9999),
        ZeroDivisionError("z"), IndexError(), OSError("odd"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_an_unforeseen_error_fails_the_task_and_names_the_photo(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    bad, look = (bench.photos / "001.png").read_bytes(), analyse_photo

    def fail(data: bytes, **named: Any) -> PhotoAnalysis:
        if data == bad:
            raise error
        return look(data, **named)

    monkeypatch.setattr(analysis, "analyse_photo", fail)
    photos = [bench.listed(f"00{n}.png") for n in range(3)]
    with pytest.raises(WorkerError) as caught:
        bench.run(*photos)
    assert caught.value.where.endswith("/001.png") and "\n" not in str(caught.value)
    assert not bench.context.storage.list("faces"), "the next run tries again"


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOMEM, errno.EMFILE])
def test_a_fault_of_the_disk_is_no_reject(bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def fail(_: object, uri: str) -> bytes:
        raise PhotoError("unreadable", "cannot be read", where=uri) from OSError(code, "odd")

    listed = bench.listed("000.png")
    monkeypatch.setattr(type(bench.context.source(listed.source)), "read", fail)
    with pytest.raises(WorkerError, match=r"000\.png"):
        bench.run(listed)


@pytest.mark.parametrize("error", [ImportError("no dlib"), ModelFileError("missing"), StorageError("full")])
def test_what_is_no_photos_fault_ends_the_run(
    bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(analysis, "analyse_photo", fail)
    with pytest.raises(type(error)):
        bench.run(bench.listed("000.png"))
    assert not bench.context.storage.list("faces")


def test_the_recipe_is_passed_on(bench: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def look(data: bytes, **named: Any) -> None:
        seen.update(named)
        raise PhotoError("no_face", "x")

    monkeypatch.setattr(analysis, "analyse_photo", look)
    bench.run(bench.listed("000.png", given=False), select="all", assume="aligned", max_pixels=77_777)
    assert (seen["select"], seen["assume"], seen["max_pixels"]) == ("all", "aligned", 77_777)
    assert seen["given_landmarks"] is None
