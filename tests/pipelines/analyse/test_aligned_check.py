"""A source that the recipe calls aligned crops, and that holds something else, is reported; true crops are not."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from faceloom.pipelines.analyse import aligned_check
from faceloom.pipelines.analyse.aligned_check import SAMPLE, unaligned_sources
from faceloom.pipelines.analyse.analysis import Analysis
from faceloom.pipelines.analyse.photo_table import PhotoTable
from faceloom.pipelines.build import plan_build, prepare, run_build
from faceloom.pipelines.context import Context
from faceloom.pipelines.preview import preview
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.faces import AnalysedPhoto, FaceRow
from faceloom.schemas.photos import Photo
from faceloom.schemas.recipe import parse_recipe
from faceloom.transforms.align import ARCFACE_POINTS


@pytest.fixture
def folder(tmp_path: Path, synthetic: SimpleNamespace) -> Path:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(synthetic.encoded(synthetic.picture(112, 112)))
    return tmp_path / "a"


def context(folder: Path, assume: str = "aligned") -> Context:
    sources = [{"path": str(folder), "name": name} for name in ("a", "b")]
    recipe = parse_recipe({"name": "x", "sources": sources, "faces": {"assume": assume}})
    return Context(recipe.model_dump_json(exclude_unset=True), str(folder.parent / "out"))


def row(number: int, off: float, source: str = "a", size: tuple[int, int] = (112, 112)) -> tuple[Photo, AnalysedPhoto]:
    """A photo whose five points lie so far from the template, in heights."""
    points = np.zeros((68, 2), np.float32)
    five = ARCFACE_POINTS * (size[1] / 112) + ((size[0] - size[1]) / 2 + off * size[1], 0)
    points[36:42], points[42:48], points[[30, 48, 54]] = five[0], five[1], five[2:]
    photo = Photo(source, f"{number}.png", None, None, None, None, (), None, 9, "1")
    face = FaceRow((0, 0, 99, 99), points.tobytes(), 0.0, ())
    return photo, AnalysedPhoto(photo.photo_id, 9, "1", f"{number + 1:064d}", *size, 1, (face,))


def rows(found: Iterable[tuple[Photo, AnalysedPhoto]]) -> Analysis:
    photos, analysed = zip(*found, strict=True)
    rows = {one.photo_id: one for one in analysed}
    return Analysis.of(Storage(tempfile.gettempdir()), PhotoTable.of(photos), rows)


def faces_at(monkeypatch: pytest.MonkeyPatch, overlaps: Mapping[str, float | None]) -> list[str]:
    """Have the detector see faces at known places, by uri; returns the ids that it is asked about."""
    asked: list[str] = []

    def overlap(context: Context, photo: Photo, row: AnalysedPhoto) -> float | None:
        asked.append(photo.photo_id)
        return overlaps[photo.uri]

    monkeypatch.setattr(aligned_check, "_overlap", overlap)
    return asked


def test_crops_are_left_in_peace_and_no_detector_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = faces_at(monkeypatch, {})
    assert unaligned_sources(context(folder), rows(row(number, 0.04) for number in range(50))) == ()
    assert not asked


def test_a_few_odd_crops_are_no_reason_for_a_warning(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces_at(monkeypatch, {})
    found = rows(row(number, 0.2 if number < 9 else 0.02) for number in range(20))
    assert unaligned_sources(context(folder), found) == ()


def test_photos_are_told_by_their_source(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = faces_at(monkeypatch, {f"{number}.png": 0.3 for number in range(50)})
    found = rows([*(row(n, 0.01, "a") for n in range(30)), *(row(n, 0.07, "b") for n in range(50))])
    [warning] = unaligned_sources(context(folder), found)
    assert warning.startswith("source b: in 20 of 20 checked photos the face is not where an ArcFace crop has it.")
    assert "`assume: photo`" in warning
    assert len(asked) == SAMPLE and all(name.startswith("b/") for name in asked)


def test_the_order_of_photos_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overlaps = {f"{number}.png": 0.3 if number % 3 else 0.9 for number in range(50)}
    asked = faces_at(monkeypatch, overlaps)
    found = [row(number, 0.07) for number in range(50)]
    first = unaligned_sources(context(folder), rows(found))
    assert first and first == unaligned_sources(context(folder), rows(found[::-1]))
    assert asked[:SAMPLE] == asked[SAMPLE:]


def test_copies_of_one_photo_are_sampled_by_their_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = faces_at(monkeypatch, {f"{number}.png": 0.3 for number in range(10, 60)})
    found = [row(number, 0.07) for number in range(10, 60)]
    assert unaligned_sources(context(folder), rows((photo, replace(one, sha256="ab" * 32)) for photo, one in found))
    assert asked == [f"a/{number}.png" for number in range(10, 10 + SAMPLE)]


def test_odd_landmarks_alone_are_no_reason_while_faces_lie_where_they_should(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Turned, covered or tiny faces: the predictor errs, but the crop is one."""
    for overlaps in (
        {f"{number}.png": 0.75 for number in range(20)},
        {f"{number}.png": None for number in range(20)},
        {f"{number}.png": 0.3 if number < 10 else 0.9 for number in range(20)},
    ):
        faces_at(monkeypatch, overlaps)
        assert unaligned_sources(context(folder), rows(row(number, 0.08) for number in range(20))) == ()


def test_pictures_of_another_shape_are_counted_all(folder: Path) -> None:
    found = [row(number, 0.01, size=(640, 480) if number < 30 else (96, 112)) for number in range(1200)]
    [warning] = unaligned_sources(context(folder), rows(found))
    assert "source a: 30 of 1,200 photos are neither square nor 96 to 112. " in warning


def test_rejects_and_recipes_for_photos_are_no_matter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo, analysed = row(1, 0.3, size=(640, 480))
    reject = replace(analysed, faces=(), code="truncated", message="cut short")
    assert unaligned_sources(context(folder), rows([(photo, reject)])) == ()
    assert unaligned_sources(context(folder, "photo"), rows([(photo, analysed)])) == ()


def test_the_photo_itself_is_looked_at_and_one_that_is_gone_is_passed_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, ...]] = []

    def overlap(grey: Any, detector: Any) -> float:
        seen.append(grey.shape)
        return 0.1

    monkeypatch.setattr(aligned_check, "template_iou", overlap)
    found = rows([row(1, 0.07), row(2, 0.07)])
    [warning] = unaligned_sources(context(folder), found)
    assert seen == [(112, 112)] and "in 1 of 2 checked photos" in warning


def test_the_warning_is_told_and_stands_in_plan_and_record(
    tmp_path: Path, synthetic: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Reports(Watcher):
        notes: list[str] = []  # noqa: RUF012

        def note(self, text: str) -> None:
            self.notes.append(text)

    monkeypatch.setattr(aligned_check, "template_iou", lambda *_: 0.1)
    table = synthetic.lay_photos(tmp_path / "photos", range(3))
    faces, split = {"assume": "aligned", "min_size": 0}, {"shares": {"train": 1.0}}
    plain = {"name": "x", "sources": [{"path": str(table), "name": "s"}], "faces": faces, "split": split}
    made = prepare(parse_recipe(plain), str(tmp_path / "out"))
    survey, plan = plan_build(made, workers=1, watcher=Reports())
    [warning] = preview(made, survey, plan).warnings
    assert f"Warning: {warning}" in Reports.notes
    first = run_build(made, workers=1, resume=True, watcher=Watcher())
    again = run_build(made, workers=1, resume=True, watcher=Watcher())
    assert first.record.warnings == again.record.warnings == (warning,) and again.rendered == 0
