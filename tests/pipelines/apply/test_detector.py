"""Maps of masks lie where the faces are in the photo; each face has a line; the rest is listed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from faceloom.models.detector.predict import MaskDetector
from faceloom.pipelines.apply import detector as module
from faceloom.pipelines.apply.detector import detect_folder, on_photo
from faceloom.pipelines.run.watcher import Watcher
from faceloom.schemas.errors import CheckpointError, FaceloomError, PhotoError
from faceloom.schemas.recipe import Align
from faceloom.transforms.analyse import Face, PhotoAnalysis
from faceloom.transforms.box_alignment import box_aligned_matrix
from faceloom.transforms.decode import decode_rgb, read_header
from faceloom.transforms.detect import FaceBox
from faceloom.transforms.sample.encode import encode

BOXES = (FaceBox(20, 20, 59, 59), FaceBox(90, 30, 129, 69))
ALIGN = {"mode": "face_box", "margin": 0.25}


@pytest.fixture
def run(tmp_path: Path, write_detector: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A detector that takes white for a mask, in photos that show two faces if they are no `x`."""

    def finder(faces: Any) -> Any:
        assert faces.select == "all"

        def find(data: bytes) -> PhotoAnalysis:
            if data == b"x":
                raise PhotoError("no_face", "no face was found")
            header = read_header(data)
            points = np.zeros((68, 2), np.float32)
            return PhotoAnalysis(header, *header.size, tuple(Face(box, points, None) for box in BOXES))

        return find

    monkeypatch.setattr(module, "face_finder", finder)
    monkeypatch.setattr(MaskDetector, "find", lambda self, faces: faces.min(3) >= 128)
    made: Path = write_detector(tmp_path / "det", align=ALIGN)
    return made


def test_maps_lie_on_the_photo_and_each_face_has_its_share(run: Path, tmp_path: Path) -> None:
    photo = np.zeros((100, 160, 3), np.uint8)
    photo[45:60, 20:60] = 255  # the lower part of the first face
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    (tmp_path / "photos" / "a.png").write_bytes(encode(photo, "png"))
    (tmp_path / "photos" / "deep" / "b.png").write_bytes(encode(np.zeros_like(photo), "png"))
    (tmp_path / "photos" / "c.jpg").write_bytes(b"x")
    done = detect_folder(run, tmp_path / "photos", str(tmp_path / "out"), Watcher(), device="cpu")
    assert done.written == ("a.png.png", "deep/b.png.png") and done.faces == 4
    assert done.left_out == {"c.jpg": "no face was found"}
    found = decode_rgb((tmp_path / "out" / "a.png.png").read_bytes())[..., 0]
    assert found.shape == (100, 160) and set(np.unique(found)) == {0, 255}
    true = photo[..., 0] > 0
    assert ((found > 0) & true).sum() / ((found > 0) | true).sum() > 0.7, "a pixel of the crop is four of the photo"
    lines = [json.loads(line) for line in (tmp_path / "out" / module.FACES).read_text().splitlines()]
    assert [(one["photo"], one["face"]) for one in lines] == [
        ("a.png", 0), ("a.png", 1), ("deep/b.png", 0), ("deep/b.png", 1),
    ]  # fmt: skip
    assert lines[0]["share"] == pytest.approx(15 / 40, abs=0.12) and lines[0]["box"] == [20, 20, 59, 59]
    assert [one["share"] for one in lines[1:]] == [0, 0, 0]


def test_a_second_run_leaves_no_map_of_a_photo_without_a_face(run: Path, tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for name in ("a.png", "b.png"):
        (photos / name).write_bytes(encode(np.zeros((100, 160, 3), np.uint8), "png"))
    assert detect_folder(run, photos, str(out), Watcher(), device="cpu").removed == ()
    (photos / "b.png").write_bytes(b"x")
    done = detect_folder(run, photos, str(out), Watcher(), device="cpu")
    assert done.written == ("a.png.png",) and done.removed == ("b.png.png",)
    assert sorted(path.name for path in out.iterdir()) == ["a.png.png", module.FACES]
    (photos / "b.png").unlink()
    (photos / "c.png").write_bytes(b"x")
    assert detect_folder(run, photos, str(out), Watcher(), device="cpu").removed == ()
    (photos / "a.png").unlink()
    with pytest.raises(FaceloomError, match=r"no results of these photos \(got a.png.png\)"):
        detect_folder(run, photos, str(out), Watcher(), device="cpu")
    assert (out / "a.png.png").exists()


@pytest.mark.parametrize("lines", [b'{"name": "mine"}\n', b"mine", b"[1]\n", b'{"photo": "' + b"a" * 2**20, b"\n{}\n"])
def test_a_list_of_faces_of_the_user_is_kept(lines: bytes, run: Path, tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    for folder in (photos, out):
        folder.mkdir()
    (photos / "a.png").write_bytes(encode(np.zeros((100, 160, 3), np.uint8), "png"))
    (out / module.FACES).write_bytes(lines)
    with pytest.raises(FaceloomError, match=r"no results of these photos \(got faces.jsonl\)"):
        detect_folder(run, photos, str(out), Watcher(), device="cpu")
    assert (out / module.FACES).read_bytes() == lines and len(list(out.iterdir())) == 1


@pytest.mark.parametrize("data", [None, b"x"], ids=["faces", "none"])
def test_a_list_of_faces_of_an_earlier_run_is_replaced_also_without_its_maps(
    data: bytes | None, run: Path, tmp_path: Path
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    (photos / "a.png").write_bytes(data or encode(np.zeros((100, 160, 3), np.uint8), "png"))
    detect_folder(run, photos, str(out), Watcher(), device="cpu")
    (out / "a.png.png").unlink(missing_ok=True)
    (photos / "a.png").write_bytes(encode(np.zeros((100, 160, 3), np.uint8), "png"))
    assert detect_folder(run, photos, str(out), Watcher(), device="cpu").faces == 2


def test_a_stopped_second_run_leaves_no_list_of_faces_of_the_first(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(encode(np.zeros((100, 160, 3), np.uint8), "png"))
    detect_folder(run, tmp_path / "photos", str(tmp_path / "out"), Watcher(), device="cpu")

    def stop(path: Path) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "read_photo", stop)
    with pytest.raises(KeyboardInterrupt):
        detect_folder(run, tmp_path / "photos", str(tmp_path / "out"), Watcher(), device="cpu")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png.png"]


def test_batches_hold_the_faces_of_several_photos(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def find(self: MaskDetector, faces: Any) -> Any:
        sizes.append(len(faces))
        return np.zeros(faces.shape[:3], bool)

    monkeypatch.setattr(MaskDetector, "find", find)
    monkeypatch.setattr(module, "WAITING", 4)
    (tmp_path / "photos").mkdir()
    for name in "abc":
        (tmp_path / "photos" / f"{name}.png").write_bytes(encode(np.zeros((100, 160, 3), np.uint8), "png"))
    (tmp_path / "photos" / "d.jpg").write_bytes(b"x")
    done = detect_folder(run, tmp_path / "photos", str(tmp_path / "out"), Watcher(), device="cpu")
    assert sizes == [4, 2] and len(done.written) == 3, "the last batch is written although the last photo has no face"


@pytest.mark.parametrize("turn", [0, 30])
def test_a_map_goes_back_to_where_its_crop_was_cut_also_beyond_the_edge(turn: int) -> None:
    box = FaceBox(-15, 20, 24, 59, turn=turn)
    matrix = box_aligned_matrix(Align.model_validate(ALIGN), box, (64, 64))
    crop = np.zeros((64, 64), bool)
    crop[28:36, 28:36] = True
    found = on_photo(crop[None], [matrix], (160, 100))
    rows, columns = np.nonzero(found)
    assert found.shape == (100, 160)
    assert (columns.mean(), rows.mean()) == pytest.approx(box.centre, abs=1.5)
    assert not on_photo(crop[None], [matrix + np.array([[0, 0, 900], [0, 0, 0]])], (160, 100)).any()


def test_a_foreign_run_and_results_among_the_photos_are_refused(run: Path, tmp_path: Path, tiny_run: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"x")
    with pytest.raises(CheckpointError, match="the network is no detector"):
        detect_folder(tiny_run, tmp_path / "photos", str(tmp_path / "out"), Watcher())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "z.jpg.png").write_bytes(b"x")
    with pytest.raises(FaceloomError, match="no results of these photos"):
        detect_folder(run, tmp_path / "photos", str(tmp_path / "other"), Watcher(), device="cpu")
    with pytest.raises(FaceloomError, match="among the photos"):
        detect_folder(run, tmp_path / "photos", str(tmp_path / "photos" / "out"), Watcher())
    assert not (tmp_path / "out").exists()
