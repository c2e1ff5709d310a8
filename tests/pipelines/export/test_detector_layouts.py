"""Frames for detectors: tools read the COCO file, and lines of YOLO give the boxes back."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from faceloom.pipelines.export.detector_layouts import CLASSES, CocoFormat, YoloFormat, clipped
from faceloom.pipelines.export.export_options import ExportOptions
from faceloom.pipelines.export.export_samples import export_samples, open_format
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError
from faceloom.schemas.index import IndexRow, Member
from tests.pipelines.export.test_export_samples import build
from tests.pipelines.export.test_folder_layouts import a_row

BOXES = [[9.5, 19.5, 49.5, 59.5], [-20.5, 9.5, 19.5, 49.5], [300.0, 10.0, 340.0, 50.0], [99.5, 49.5, 119.5, 69.5]]


def face(number: int, **changes: Any) -> dict[str, Any]:
    plain = {
        "instance": number + 1, "face": number, "identity": f"p{number}", "used": True, "box": BOXES[number],
        "landmarks": [[10.0 + k, 20.0] for k in range(68)], "detector": "hog", "score": 1.0, "turn": 0,
        "mask": "surgical", "mask_box": [9.5, 39.5, 49.5, 59.5], "fault": "",
    }  # fmt: skip
    return plain | changes


FACES = [face(0), face(1, mask="", mask_box=[], landmarks=[]), face(2), face(3, used=False, landmarks=[], mask="")]


def sample(key: str, split: str = "train", **record: Any) -> tuple[IndexRow, dict[str, bytes]]:
    buffer = io.BytesIO()
    Image.fromarray(np.full((100, 200, 3), 90, np.uint8)).save(buffer, "JPEG")
    note = record or {"frame": {"width": 200, "height": 100, "faces": FACES}}
    content = {"face.jpg": buffer.getvalue(), "masked.jpg": buffer.getvalue(), "json": json.dumps(note).encode()}
    members = tuple(Member(name, 0, len(data), hashlib.sha256(data).hexdigest()) for name, data in content.items())
    return dataclasses.replace(a_row(), key=key, split=split, members=members), content


def coco(folder: Path, *pictures: str) -> Path:
    layout = CocoFormat(Storage(str(folder)), pictures)
    for key, split in (("a-f00-m000", "train"), ("b-f00-m000", "train"), ("c-f00-m000", "val")):
        row, members = sample(key, split)
        assert not layout.holds(row)
        layout.add(row, members)
    layout.finish()
    return folder / "annotations" / "train.json"


def test_pycocotools_reads_the_file(tmp_path: Path) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(coco(tmp_path)))
        assert [one["name"] for one in truth.loadCats(truth.getCatIds())] == list(CLASSES)
        images = truth.loadImgs(truth.getImgIds())
        assert [(tmp_path / one["file_name"]).exists() for one in images] == [True, True]
        for one in images:
            with Image.open(tmp_path / one["file_name"]) as picture:
                assert picture.size == (one["width"], one["height"])
        found = truth.loadAnns(truth.getAnnIds(imgIds=[1]))
        results = [
            {"image_id": one["image_id"], "category_id": one["category_id"], "bbox": one["bbox"], "score": 0.9}
            for one in truth.loadAnns(truth.getAnnIds(iscrowd=False))
        ]
        scores = COCOeval(truth, truth.loadRes(results), "bbox")
        scores.evaluate()
        scores.accumulate()
        scores.summarize()
    assert scores.stats[0] == pytest.approx(1.0)
    assert [one["bbox"] for one in found] == [[10, 20, 40, 40], [0, 10, 20, 40], [100, 50, 20, 20]]
    assert [one["category_id"] for one in found] == [2, 1, 1]
    assert [one["iscrowd"] for one in found] == [0, 0, 1]
    assert [one["identity"] for one in found] == ["p0", "p1", "p3"]
    assert found[0]["mask_bbox"] == [10, 40, 40, 20] and found[1]["mask_bbox"] == []
    assert found[0]["num_keypoints"] == 68 and found[0]["keypoints"][:3] == [10.5, 20.5, 2]
    assert found[1]["num_keypoints"] == 0 and len(found[1]["keypoints"]) == 204


def test_in_bare_pictures_no_face_is_masked(tmp_path: Path) -> None:
    found = json.loads(coco(tmp_path, "face").read_text(encoding="utf-8"))["annotations"]
    assert {one["category_id"] for one in found} == {1}


def test_lines_of_yolo_give_the_boxes_back(tmp_path: Path) -> None:
    layout = YoloFormat(Storage(str(tmp_path)), splits=["val", "train"])
    row, members = sample("a-f00-m000")
    layout.add(row, members)
    layout.finish()
    lines = [
        line.split() for line in (tmp_path / "labels/train/a-f00-m000.txt").read_text(encoding="utf-8").splitlines()
    ]
    assert [line[0] for line in lines] == ["1", "0"], "unused faces, and those outside, have no line"
    x, y, width, height = (float(value) for value in lines[0][1:])
    assert (x * 200, y * 100, width * 200, height * 100) == pytest.approx((30, 40, 40, 40))
    assert (tmp_path / "images/train/a-f00-m000.jpg").exists()
    text = (tmp_path / "data.yaml").read_text(encoding="utf-8")
    assert text.startswith("path: .\ntrain: images/train\nval: images/val\nnames:\n  0: face\n")


@pytest.mark.parametrize("kind", [CocoFormat, YoloFormat])
def test_a_second_export_writes_the_same_files(kind: type[YoloFormat], tmp_path: Path) -> None:
    def files() -> dict[str, tuple[bytes, int]]:
        layout = kind(Storage(str(tmp_path)))
        layout.add(*sample("a-f00-m000"))
        layout.finish()
        paths = [path for path in tmp_path.rglob("*") if path.is_file()]
        return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}

    assert files() == files()


def test_samples_without_a_frame_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FaceloomError, match="frame"):
        CocoFormat(Storage(str(tmp_path))).add(*sample("a-f00-m000", identity="a"))


def test_a_build_of_frames_can_be_exported(tmp_path: Path, synthetic: SimpleNamespace) -> None:
    table = synthetic.lay_photos(tmp_path / "photos", range(4))
    split = {"shares": {"train": 1.0}}
    storage = build(table, tmp_path / "out", align={"mode": "frame", "max_side": 64}, split=split)
    record = read_record(storage)
    assert record.written == 4
    for layout, file in (("coco", "annotations/train.json"), ("yolo", "data.yaml")):
        to = tmp_path / layout
        opened = open_format(storage, record, Storage(str(to)), ExportOptions(layout=layout))
        done = export_samples(storage, record, opened, watcher=Watcher())
        assert done.written == 4 and (to / file).exists()
    found = json.loads((tmp_path / "coco/annotations/train.json").read_text(encoding="utf-8"))
    assert [one["category_id"] for one in found["annotations"]] == [2] * 4
    assert {one["identity"] for one in found["annotations"]} <= {f"person {number}" for number in range(4)}
    crops = build(table, tmp_path / "crops", split=split)
    with pytest.raises(FaceloomError, match="needs frames"):
        open_format(crops, read_record(crops), Storage(str(tmp_path / "no")), ExportOptions(layout="coco"))


def test_a_sample_needs_a_picture_and_its_record(tmp_path: Path) -> None:
    layout = YoloFormat(Storage(str(tmp_path)))
    assert layout.takes(["face.jpg", "json", "masked.jpg"]) == ("masked.jpg", "json")
    assert layout.takes(["face.jpg", "json"]) == ("face.jpg", "json")
    assert layout.takes(["json"]) == layout.takes(["face.jpg"]) == ()


def test_boxes_are_clipped_to_the_picture() -> None:
    frame = {"width": 100, "height": 50}
    assert clipped([-0.5, -0.5, 99.5, 49.5], frame) == [0, 0, 100, 50]
    assert clipped([90, 40, 120, 90], frame) == [90.5, 40.5, 9.5, 9.5]
    assert clipped([120, 0, 140, 10], frame)[2] == 0
