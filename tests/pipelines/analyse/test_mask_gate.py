"""The gate: the share of a face that a mask covers, in batches, cached with the face, and clear errors."""

from __future__ import annotations

import json
import shutil
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

from faceloom.models.checkpoint import BEST, CARD
from faceloom.models.detector.predict import MaskDetector
from faceloom.pipelines.analyse.mask_gate import check_gate, gate_id, load_gate, masked_share
from faceloom.pipelines.analyse.photo_task import analyser_id
from faceloom.pipelines.build import prepare, run_build
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import portable_recipe, read_record
from faceloom.pipelines.store.parquet_tables import read_faces, read_rejects
from faceloom.pipelines.store.paths import reject_table
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import RecipeError
from faceloom.schemas.face_options import Faces
from faceloom.schemas.faces import FaceRow
from faceloom.schemas.recipe import parse_recipe
from faceloom.transforms.align import cut_crop
from faceloom.transforms.box_alignment import box_aligned_matrix
from faceloom.transforms.decode import read_header
from faceloom.transforms.detect import FaceBox

WHITE = 250


def gated(folder: Path | str, **keys: Any) -> Faces:
    return Faces.model_validate({"masked": {"detector": str(folder), **keys}, "min_size": 0})


@pytest.fixture
def detector(tmp_path: Path, write_detector: Any) -> Path:
    made: Path = write_detector(tmp_path / "det")
    return made


@pytest.fixture
def white(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A detector that takes white for a mask; returns the sizes of its batches."""
    sizes: list[int] = []

    def find(self: MaskDetector, faces: Any) -> Any:
        sizes.append(len(faces))
        return faces.min(3) >= WHITE

    monkeypatch.setattr(MaskDetector, "find", find)
    return sizes


@pytest.mark.parametrize("turn", [0, 30])
def test_the_share_is_that_of_the_face_box_and_not_of_the_crop(turn: int) -> None:
    box = FaceBox(20, 30, 59, 69, turn=turn)
    align = parse_recipe({"name": "x", "align": {"mode": "face_box", "size": 80, "margin": 0.5}}).align
    matrix = box_aligned_matrix(align, box, (80, 80))
    assert masked_share(np.ones((80, 80), bool), matrix, box) == 1
    lower = np.zeros((80, 80), bool)
    lower[40:] = True
    assert masked_share(lower, matrix, box) == pytest.approx(0.5, abs=0.03)
    outside = np.ones((80, 80), bool)
    outside[18:62, 18:62] = False
    assert masked_share(outside, matrix, box) == 0


def test_crops_of_several_photos_are_measured_in_one_batch(
    detector: Path, white: list[int], synthetic: SimpleNamespace
) -> None:
    gate = load_gate(gated(detector))
    assert gate is not None
    for number in range(3):
        picture = np.zeros((64, 64, 3), np.uint8)
        picture[32:, :, :] = 255 if number else 0
        data = synthetic.encoded(picture)
        faces = [FaceRow((16.0, 16.0, 47.0, 47.0), b"", 1.0, ())] * (number + 1)
        gate.add(number, data, read_header(data), faces, 10**6)
        assert number == 2 or not white
    face = FaceRow((16.0, 16.0, 47.0, 47.0), b"", 1.0, ())
    shares = [[one.masked for one in gate.measured(number, [face] * (number + 1))] for number in range(3)]
    assert white == [6] and shares[0] == [0.0]
    assert shares[1] == pytest.approx([0.5] * 2, abs=0.13) and shares[2] == pytest.approx([0.5] * 3, abs=0.13)


@pytest.mark.parametrize(("times", "orientation"), [(1, 6), (8, 1), (8, 3)])
def test_photos_are_measured_upright_and_reduced(
    detector: Path, white: list[int], times: int, orientation: int
) -> None:
    """The lower half of the upright picture is white."""
    upright = np.zeros((64 * times, 96 * times, 3), np.uint8)
    upright[32 * times :] = 255
    stored = np.rot90(upright, {1: 0, 6: 1, 3: 2}[orientation])
    exif, file = Image.Exif(), BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(file, "JPEG", exif=exif)
    gate, data = load_gate(gated(detector)), file.getvalue()
    assert gate is not None
    face = FaceRow((16.0 * times, 16.0 * times, 48.0 * times - 1, 48.0 * times - 1), b"", 1.0, ())
    gate.add(0, data, read_header(data), [face], 10**6)
    assert gate.measured(0, [face])[0].masked == pytest.approx(0.5, abs=0.13)


def test_a_box_without_a_size_is_not_measured_and_the_others_are(
    detector: Path, white: list[int], synthetic: SimpleNamespace
) -> None:
    gate, data = load_gate(gated(detector)), synthetic.encoded(np.full((64, 64, 3), 255, np.uint8))
    assert gate is not None
    faces = [FaceRow((9.0, 9.0, 9.0, 9.0), b"", 1.0, ()), FaceRow((16.0, 16.0, 47.0, 47.0), b"", 1.0, ())]
    gate.add(0, data, read_header(data), faces, 10**6)
    gate.add(1, data, read_header(data), faces[:1], 10**6)
    assert [face.masked for face in gate.measured(0, faces)] == [-1, 1] and white == [1]
    assert gate.measured(1, faces[:1]) == (faces[0],)


def test_crops_are_fitted_and_blurred_as_those_of_the_training(
    tmp_path: Path, write_detector: Any, monkeypatch: pytest.MonkeyPatch, synthetic: SimpleNamespace
) -> None:
    align = {"mode": "face_box", "size": 16, "margin": 0.5, "beyond": "fit"}
    run, seen = write_detector(tmp_path / "fit"), list[Any]()
    card = json.loads((run / CARD).read_text())
    before = analyser_id(gated(run))
    card["data"]["align"] = align
    (run / CARD).write_text(json.dumps(card))
    assert analyser_id(gated(run)) != before, "another crop is another analysis"

    def find(self: MaskDetector, faces: Any) -> Any:
        seen.extend(faces)
        return faces.min(3) >= WHITE

    monkeypatch.setattr(MaskDetector, "find", find)
    gate, picture = load_gate(gated(run)), synthetic.picture(64, 64, 1)
    data, boxes = synthetic.encoded(picture), [(2.0, 16.0, 33.0, 47.0), (-9.0, -9.0, 60.0, 60.0)]
    faces = [FaceRow(box, b"", 1.0, ()) for box in boxes]
    assert gate is not None
    gate.add(0, data, read_header(data), faces, 10**6)
    gate.measured(0, faces)
    how = parse_recipe({"name": "x", "align": align}).align
    for crop, box in zip(seen, boxes, strict=True):
        matrix = box_aligned_matrix(how, FaceBox(*box), (16, 16), (64, 64))
        assert np.array_equal(crop, cut_crop(picture, matrix, (16, 16), "blur")[0])


def test_another_checkpoint_is_another_analysis(detector: Path, tmp_path: Path, write_detector: Any) -> None:
    other = write_detector(tmp_path / "other", seed=5)
    assert gate_id(Faces()) == () and gate_id(gated(detector))[1] != gate_id(gated(other))[1]
    ids = {analyser_id(faces) for faces in (Faces(), gated(detector), gated(other))}
    assert len(ids) == 3
    assert analyser_id(gated(detector)) == analyser_id(gated(detector, above=0.4, do="keep")), "limits change no row"


def test_a_missing_foreign_or_damaged_checkpoint_is_an_error_of_the_recipe(
    detector: Path, tmp_path: Path, tiny_run: Path
) -> None:
    where = r"\$\.faces\.masked\.detector: cannot be used: "
    with pytest.raises(RecipeError, match=rf"{where}.*the folder does not exist.*faceloom train detector"):
        gate_id(gated(tmp_path / "nowhere"))
    with pytest.raises(RecipeError, match=rf"{where}.*the network is no detector \(got autoencoder\)"):
        check_gate(gated(tiny_run))
    shutil.copy(tiny_run / BEST, detector / BEST)
    with pytest.raises(RecipeError, match=rf"{where}.*damaged"):
        check_gate(gated(detector))
    (detector / CARD).write_text("{")
    with pytest.raises(RecipeError, match=rf"{where}.*damaged"):
        gate_id(gated(detector))


def test_masked_faces_are_rejected_and_shares_kept_in_the_face_table(
    detector: Path, tmp_path: Path, white: list[int], synthetic: SimpleNamespace
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    rows = []
    for number in range(4):
        picture = synthetic.picture(96, 112, number) // 2
        points = synthetic.landmarks((48, 46), 32)
        if number % 2:
            picture[40:] = 255
        (photos / f"{number}.png").write_bytes(synthetic.encoded(picture))
        rows.append((f"{number}.png", f"p{number}", points))
    table = synthetic.write_table(photos, rows)
    plain = {
        "name": "gate", "sources": [{"path": str(table)}], "align": {"size": 32}, "split": {"shares": {"train": 1.0}},
        "faces": {"min_size": 0, "masked": {"detector": str(detector)}},
    }  # fmt: skip

    def built(do: str) -> tuple[int, list[str]]:
        plain["faces"]["masked"]["do"] = do  # type: ignore[index]
        out = str(tmp_path / "out")
        run_build(prepare(parse_recipe(plain), out), workers=1, resume=True, watcher=Watcher())
        found = [(one.code, one.uri) for one in read_rejects(Storage(out), reject_table("plan"))]
        return read_record(Storage(out)).written, [f"{code} {uri}" for code, uri in sorted(found)]

    assert built("reject") == (2, ["face_masked 1.png", "face_masked 3.png"])
    measured = len(white)
    assert built("only") == (2, ["face_bare 0.png", "face_bare 2.png"])
    assert built("keep") == (4, [])
    assert 0 < measured == len(white), "shares are cached with the faces"
    storage = Storage(str(tmp_path / "out"))
    shares = {
        row.photo_id[-5:]: row.faces[0].masked for path in storage.list("faces") for row in read_faces(storage, path)
    }
    assert shares["0.png"] == shares["2.png"] == 0 and shares["1.png"] == shares["3.png"] > 0.22
    record = read_record(storage)
    assert record.figures["masked"].faces == 4
    assert [use.name for use in record.models if use.role == "masked"] == ["det"]
    assert str(tmp_path) not in str(portable_recipe(parse_recipe(plain)))


def test_faces_of_other_builds_have_no_share() -> None:
    assert FaceRow((0.0, 0.0, 5.0, 5.0), bytes(544), 1.0, ()).masked == -1
