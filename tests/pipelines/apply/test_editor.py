"""Masks are painted over where the detector finds them; the rest of a photo keeps its pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from faceloom.models.detector.predict import MaskDetector
from faceloom.models.editor.predict import MaskEditor
from faceloom.pipelines.analyse.mask_gate import masked_share
from faceloom.pipelines.apply import editor as module
from faceloom.pipelines.apply.editor import edit_folder, edit_photo, find_masks
from faceloom.pipelines.run.watcher import Watcher
from faceloom.schemas.errors import CheckpointError, FaceloomError, PhotoError
from faceloom.transforms.analyse import Face, PhotoAnalysis
from faceloom.transforms.decode import decode_rgb, read_header
from faceloom.transforms.detect import FaceBox
from faceloom.transforms.sample.encode import encode

BOXES = (FaceBox(20, 20, 59, 59), FaceBox(90, 30, 129, 69))
ALIGN = {"mode": "face_box", "margin": 0.25}


@pytest.fixture
def runs(tmp_path: Path, write_detector: Any, write_editor: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """An editor that paints red, and a detector that takes white for a mask, on photos that show two faces."""

    def finder(faces: Any) -> Any:
        def find(data: bytes) -> PhotoAnalysis:
            if data == b"x":
                raise PhotoError("no_face", "no face was found")
            header = read_header(data)
            points = np.zeros((68, 2), np.float32)
            return PhotoAnalysis(header, *header.size, tuple(Face(box, points, None) for box in BOXES))

        return find

    def edit(self: MaskEditor, masked: Any, mask: Any) -> Any:
        return np.where(mask[..., None], np.array([255, 0, 0], np.uint8), masked), mask

    monkeypatch.setattr(module, "face_finder", finder)
    monkeypatch.setattr(MaskDetector, "find", lambda self, faces: faces.min(3) >= 128)
    monkeypatch.setattr(MaskEditor, "edit", edit)
    return write_editor(tmp_path / "edit", align=ALIGN), write_detector(tmp_path / "det", align=ALIGN)


def photo_with_a_mask() -> Any:
    photo = np.full((100, 160, 3), 60, np.uint8)
    photo[45:60, 22:58] = 255
    return photo


def test_the_mask_is_painted_and_the_rest_stays(runs: tuple[Path, Path], tmp_path: Path) -> None:
    photo = photo_with_a_mask()
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    (tmp_path / "photos" / "a.png").write_bytes(encode(photo, "png"))
    (tmp_path / "photos" / "deep" / "b.png").write_bytes(encode(np.zeros_like(photo), "png"))
    (tmp_path / "photos" / "c.jpg").write_bytes(b"x")
    done = edit_folder(*runs, tmp_path / "photos", str(tmp_path / "out"), Watcher(), device="cpu")
    assert done.written == ("a.png.png",) and done.faces == 1
    assert done.left_out == {"c.jpg": "no face was found", "deep/b.png": "no face wears a mask"}
    made = decode_rgb((tmp_path / "out" / "a.png.png").read_bytes())
    assert made.shape == photo.shape
    assert (np.abs(made[49:56, 28:52].astype(int) - [255, 0, 0]) <= 2).all(), "painted"
    away = np.ones((100, 160), bool)
    away[36:69, 13:67] = False  # four pixels of the crop around the mask
    assert np.array_equal(made[away], photo[away])


def test_a_second_run_leaves_no_picture_of_a_photo_that_it_does_not_edit(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "photos" / name).write_bytes(encode(photo_with_a_mask(), "png"))
    assert edit_folder(*runs, tmp_path / "photos", str(tmp_path / "out"), Watcher(), device="cpu").removed == ()
    (tmp_path / "photos" / "b.png").write_bytes(b"x")
    done = edit_folder(*runs, tmp_path / "photos", str(tmp_path / "out"), Watcher(), device="cpu")
    assert done.written == ("a.png.png",) and done.removed == ("b.png.png",)
    done = edit_folder(*runs, tmp_path / "photos", str(tmp_path / "out"), Watcher(), above=0.9, device="cpu")
    assert done.written == () and done.removed == ("a.png.png",) and not [*(tmp_path / "out").iterdir()]


def test_only_faces_with_a_mask_are_painted(runs: tuple[Path, Path]) -> None:
    data = encode(photo_with_a_mask(), "png")
    header = read_header(data)
    detector, editor = MaskDetector.load(runs[1]), MaskEditor.load(runs[0])
    masks = find_masks(detector, data, header, BOXES)
    assert masks[0] is not None and 0.1 < masks[0].region.mean() < 0.5 and masks[1] is None
    made, faces = edit_photo(editor, data, header, BOXES, masks)
    assert faces == 1 and np.array_equal(made[:, 90:], decode_rgb(data)[:, 90:])
    share = masked_share(masks[0].region, masks[0].matrix, BOXES[0])
    assert find_masks(detector, data, header, BOXES, share) == [None, None], "no more than the limit"
    assert find_masks(detector, data, header, BOXES, share - 0.01)[0] is not None
    made, faces = edit_photo(editor, data, header, BOXES, [None, None])
    assert faces == 0 and np.array_equal(made, decode_rgb(data))


def test_runs_that_are_swapped_and_results_among_the_photos_are_refused(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"the network is no detector \(got editor\)"):
        edit_folder(runs[1], runs[0], tmp_path / "photos", str(tmp_path / "out"), Watcher(), device="cpu")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "z.jpg.png").write_bytes(b"x")
    with pytest.raises(FaceloomError, match="no results of these photos"):
        edit_folder(*runs, tmp_path / "photos", str(tmp_path / "other"), Watcher(), device="cpu")
    with pytest.raises(FaceloomError, match="among the photos"):
        edit_folder(*runs, tmp_path / "photos", str(tmp_path / "photos" / "out"), Watcher(), device="cpu")
    assert not (tmp_path / "out").exists()
