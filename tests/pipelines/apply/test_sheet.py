"""A row for each photo: photo, found mask, edited face, swap; a step that fails leaves its cell empty."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from faceloom.models.detector.predict import MaskDetector
from faceloom.models.editor.predict import MaskEditor
from faceloom.pipelines.apply import sheet as module
from faceloom.pipelines.apply.sheet import SIDE, draw_sheet
from faceloom.pipelines.evaluation.sheet import EMPTY, GAP, HEAD
from faceloom.pipelines.run.watcher import Watcher
from faceloom.schemas.errors import PhotoError
from faceloom.transforms.analyse import Face, PhotoAnalysis
from faceloom.transforms.decode import decode_rgb, read_header
from faceloom.transforms.detect import FaceBox
from faceloom.transforms.sample.encode import encode

ALIGN = {"mode": "face_box", "margin": 0.25}


def test_a_sheet_shows_each_step_of_each_photo(
    tmp_path: Path, write_detector: Any, write_editor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finder(faces: Any) -> Any:
        def find(data: bytes) -> PhotoAnalysis:
            if data == b"x":
                raise PhotoError("no_face", "no face was found")
            header, points = read_header(data), np.zeros((68, 2), np.float32)
            # The larger face is bare and has unsure landmarks.
            boxes = (FaceBox(60, 10, 129, 79), FaceBox(10, 20, 49, 59))
            faces = tuple(Face(box, points, None, unsure=box is boxes[0]) for box in boxes)
            return PhotoAnalysis(header, *header.size, faces)

        return find

    def edit(self: MaskEditor, masked: Any, mask: Any) -> Any:
        return np.where(mask[..., None], np.array([255, 0, 0], np.uint8), masked), mask

    monkeypatch.setattr(module, "face_finder", finder)
    monkeypatch.setattr(module, "find_own_face", lambda face: (np.zeros((8, 8, 3), np.uint8), None))
    monkeypatch.setattr(module, "swap_face", lambda photo, *rest: photo + 100)
    monkeypatch.setattr(MaskDetector, "find", lambda self, faces: faces.min(3) >= 128)
    monkeypatch.setattr(MaskEditor, "edit", edit)
    photos = tmp_path / "photos"
    photos.mkdir()
    masked = np.full((100, 160, 3), 60, np.uint8)
    masked[40:55, 12:48] = 240
    (photos / "a.png").write_bytes(encode(masked, "png"))
    (photos / "b.png").write_bytes(encode(np.full_like(masked, 60), "png"))
    (photos / "c.jpg").write_bytes(b"x")
    det, edi = write_detector(tmp_path / "det", align=ALIGN), write_editor(tmp_path / "edit", align=ALIGN)
    words = (edi, det, tmp_path / "mine.jpg", photos)
    done = draw_sheet(*words, str(tmp_path / "out"), Watcher(), count=3, device="cpu")
    assert sorted(done.shown) == ["a.png", "b.png"] and done.left_out == {"c.jpg": "no face was found"}
    assert (done.masked, done.edited, done.swapped) == (1, 1, 1)
    assert list(done.not_swapped) == ["b.png"], "its largest face has unsure landmarks"
    drawn = decode_rgb((tmp_path / "out" / "sheet.png").read_bytes())
    middles = {}
    for row, name in enumerate(done.shown):
        top = HEAD + row * (HEAD + SIDE + GAP) + HEAD
        assert drawn[top - HEAD : top].min() < 100, "the name of the photo"
        middles[name] = [drawn[top + 108, column * (SIDE + GAP) + 96].tolist() for column in range(4)]
    photo, found, edited, swapped = middles["a.png"]
    assert photo == [240] * 3 and swapped == [84] * 3  # 340 in a byte
    assert found[1] < 120 < found[0] and edited[0] > 240 > 20 > edited[1]
    assert middles["b.png"] == [[60] * 3, *[[EMPTY] * 3] * 3]
    one = draw_sheet(*words, str(tmp_path / "one"), Watcher(), count=1, device="cpu")
    assert len(one.shown) + len(one.left_out) == 1 and one.photos == done.photos == 3
