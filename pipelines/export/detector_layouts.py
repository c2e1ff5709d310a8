"""Export frames for face detectors: as COCO, or as YOLO reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Any

from faceloom.pipelines.export.folder_names import folder_name
from faceloom.pipelines.export.sample_facts import is_picture_named
from faceloom.pipelines.read.sample_members import decode_member
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError
from faceloom.schemas.index import IndexRow
from faceloom.schemas.keys import to_json

FACE, MASKED_FACE = 0, 1
"""Classes: a bare face, and one that wears a painted mask."""
CLASSES = ("face", "masked_face")
LANDMARKS = 68


class YoloFormat:
    """`images/{split}/{key}.jpg` and `labels/{split}/{key}.txt`, a line per face: class, centre and size of its box.

    Numbers are shares of the picture's width and height. Faces that the recipe does not use have no line.
    `data.yaml` names the splits and classes.
    """

    threads = 8
    morphs = False
    pictures: Mapping[str, int] = {}

    def __init__(self, storage: Storage, pictures: tuple[str, ...] = (), splits: Collection[str] = ()) -> None:
        """Args:
        pictures: the picture to write; empty for the masked one, or the face without masks.
        splits: those of the build.
        """
        self._storage, self._pictures, self._splits = storage, pictures or ("masked", "face"), sorted(splits)

    def takes(self, names: Collection[str]) -> tuple[str, ...]:
        """Return the names of the picture and of the record, or nothing without such a picture."""
        picture = [name for wanted in self._pictures for name in names if is_picture_named(name, wanted)]
        return (picture[0], "json") if picture and "json" in names else ()

    def holds(self, row: IndexRow) -> bool:
        """False: what is there is compared when the sample is read."""
        return False

    def add(self, row: IndexRow, members: Mapping[str, bytes]) -> None:
        """Write picture and labels of a sample."""
        picture, _ = self.takes(members)
        frame = frame_of(row, members)
        lines = []
        for face in frame["faces"]:
            x, y, width, height = clipped(face["box"], frame)
            if face["used"] and width > 0 and height > 0:
                centre = (x + width / 2) / frame["width"], (y + height / 2) / frame["height"]
                values = *centre, width / frame["width"], height / frame["height"]
                lines.append(f"{class_of(face, picture)} {' '.join(f'{value:.6f}' for value in values)}\n")
        split = folder_name(row.split)
        self._write(f"labels/{split}/{row.key}.txt", "".join(lines).encode())
        self._write(f"images/{split}/{row.key}.{picture.rpartition('.')[2]}", members[picture])

    def finish(self) -> None:
        """Write `data.yaml`."""
        lines = ["path: .\n", *(f"{name}: images/{folder_name(name)}\n" for name in self._splits)]
        lines += ["names:\n", *(f"  {number}: {name}\n" for number, name in enumerate(CLASSES))]
        self._write("data.yaml", "".join(lines).encode())

    def abandon(self) -> None:
        """Do nothing: every file is complete."""

    def _write(self, path: str, data: bytes) -> None:
        if self._storage.exists(path) and self._storage.size(path) == len(data):
            there = hashlib.sha256(self._storage.read_bytes(path)).digest()
            if there == hashlib.sha256(data).digest():
                return
        with self._storage.write(path) as stream:
            stream.write(data)


class CocoFormat(YoloFormat):
    """`{split}/{key}.jpg`, and `annotations/{split}.json` with the boxes, landmarks and identities of their faces.

    Faces that the recipe does not use have `iscrowd: 1`, which trainers and evaluations ignore. The mask of a face is
    `mask_bbox`. Numbers of images and annotations follow the order of the shards.
    """

    threads = 1

    def __init__(self, storage: Storage, pictures: tuple[str, ...] = ()) -> None:
        super().__init__(storage, pictures)
        self._files: dict[str, dict[str, list[Any]]] = {}

    def add(self, row: IndexRow, members: Mapping[str, bytes]) -> None:
        """Write the picture of a sample, and keep its annotations until the end."""
        picture, _ = self.takes(members)
        frame = frame_of(row, members)
        split = folder_name(row.split)
        path = f"{split}/{row.key}.{picture.rpartition('.')[2]}"
        self._write(path, members[picture])
        file = self._files.setdefault(split, {"images": [], "annotations": []})
        number = len(file["images"]) + 1
        size = {"width": frame["width"], "height": frame["height"]}
        file["images"].append({"id": number, "file_name": path, **size, "key": row.key, "source": row.uri})
        for face in frame["faces"]:
            box = clipped(face["box"], frame)
            if box[2] <= 0 or box[3] <= 0:
                continue
            points = [value for x, y in face["landmarks"] for value in (x + 0.5, y + 0.5, 2)]
            file["annotations"].append({
                "id": len(file["annotations"]) + 1,
                "image_id": number,
                "category_id": class_of(face, picture) + 1,
                "bbox": box,
                "area": round(box[2] * box[3], 2),
                "segmentation": [],
                "iscrowd": 0 if face["used"] else 1,
                "keypoints": points or [0] * (3 * LANDMARKS),
                "num_keypoints": len(face["landmarks"]),
                "identity": face["identity"],
                "mask": face["mask"],
                "mask_bbox": clipped(face["mask_box"], frame) if face["mask_box"] else [],
                "instance": face["instance"],
            })  # fmt: skip

    def finish(self) -> None:
        """Write the annotations of each split."""
        points = [f"landmark_{number}" for number in range(LANDMARKS)]
        categories = [
            {"id": number + 1, "name": name, "supercategory": "face", "keypoints": points, "skeleton": []}
            for number, name in enumerate(CLASSES)
        ]
        for split, file in self._files.items():
            text = to_json({"info": {"description": "faceloom"}, "licenses": [], "categories": categories, **file})
            self._write(f"annotations/{split}.json", text.encode("utf-8", "backslashreplace"))


def frame_of(row: IndexRow, members: Mapping[str, bytes]) -> dict[str, Any]:
    """The record of a frame: width, height, and faces.

    Raises:
        FaceloomError: the sample is a crop.
    """
    frame = decode_member("json", members["json"], row.key).get("frame")
    if not isinstance(frame, dict) or not isinstance(frame.get("faces"), list):
        remedy = "Build with `align: {mode: frame}`"
        raise FaceloomError("a sample is a crop of one face, not a whole photo", where=row.key, remedy=remedy)
    return frame


def clipped(box: list[float], frame: Mapping[str, Any]) -> list[float]:
    """Left, top, width and height of a box, inside the picture, from its upper left corner on.

    >>> clipped([-3.5, 9.5, 10.5, 19.5], {"width": 100, "height": 100})
    [0.0, 10.0, 11.0, 10.0]
    """
    left, right = (min(max(0.0, value + 0.5), float(frame["width"])) for value in (box[0], box[2]))
    top, bottom = (min(max(0.0, value + 0.5), float(frame["height"])) for value in (box[1], box[3]))
    return [round(value, 2) for value in (left, top, right - left, bottom - top)]


def class_of(face: Mapping[str, Any], picture: str) -> int:
    """The class of a face in a picture with or without masks."""
    return MASKED_FACE if face["mask"] and picture.startswith("masked.") else FACE
