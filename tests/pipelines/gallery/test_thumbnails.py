"""Small pictures of one sample, and its figures."""

from __future__ import annotations

import base64
import io
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from faceloom.pipelines.gallery.overview import Drawn
from faceloom.pipelines.gallery.thumbnails import SIDE, data_uri, reject_uri, show_sample
from faceloom.schemas.errors import StorageError
from faceloom.transforms.sample.encode import npy

DRAWN = Drawn(b"", 0, 0, "k", "train", "surgical", "photos", ("Ada",), "", "")


def opened(uri: str) -> Image.Image:
    head, _, data = uri.partition(",")
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.fixture
def files(synthetic: SimpleNamespace) -> dict[str, bytes]:
    mask = np.zeros((100, 80), np.uint8)
    mask[50:] = 255
    points = synthetic.landmarks((40, 40), 26)
    return {
        "face.png": synthetic.encoded(synthetic.picture(80, 100, 1)),
        "masked.png": synthetic.encoded(synthetic.picture(80, 100, 2)),
        "mask.png": synthetic.encoded(np.repeat(mask[..., None], 3, axis=2)),
        "landmarks.npy": npy(points),
        "json": json.dumps({"face_box": [10.0, 20.0, 70.5, 90.0]}).encode(),
        "lr.png": b"not read",
    }


def test_a_sample_has_pictures_and_figures(files: dict[str, bytes]) -> None:
    shown = show_sample(DRAWN, files, "s::k")
    assert (shown.width, shown.height) == (80, 100) and shown.covered == 0.5 and shown.face_width == 60.5
    assert shown.yaw is not None and abs(shown.yaw) < 15
    assert shown.sharpness is not None and shown.sharpness > 0
    assert opened(shown.face).size == opened(shown.masked).size == (80, 100) and shown.face != shown.masked


def test_the_overlay_marks_mask_and_landmarks_and_is_clear_elsewhere(files: dict[str, bytes]) -> None:
    shown = show_sample(DRAWN, files, "s::k")
    pixels = np.asarray(opened(shown.overlay).convert("RGBA"))
    assert shown.marks == ("mask", "landmarks")
    assert pixels[2, 2, 3] == 0 and tuple(pixels[98, 2]) == (255, 64, 0, 128)
    assert (pixels[..., 3] == 255).any()


def test_a_mask_at_the_edge_is_shown_as_alpha(files: dict[str, bytes], synthetic: SimpleNamespace) -> None:
    files["alpha.png"] = synthetic.encoded(np.full((100, 80, 3), 100, np.uint8))
    pixels = np.asarray(opened(show_sample(DRAWN, files, "s::k").overlay).convert("RGBA"))
    assert pixels[2, 2, 3] == 50


def test_a_guide_is_seen_under_the_mask(files: dict[str, bytes], synthetic: SimpleNamespace) -> None:
    files["guide.png"] = synthetic.encoded(np.full((100, 80, 3), 255, np.uint8))
    shown = show_sample(DRAWN, files, "s::k")
    pixels = np.asarray(opened(shown.overlay).convert("RGBA"))
    assert shown.marks == ("mask", "guide", "landmarks")
    assert tuple(pixels[98, 2]) == tuple(pixels[2, 2]) == (0, 150, 255, 153)


def test_a_sample_without_mask_has_no_masked_picture_whatever_its_members(files: dict[str, bytes]) -> None:
    shown = show_sample(DRAWN._replace(mask=""), files, "s::k")
    assert shown.masked == "" and shown.covered is None and shown.marks == ("landmarks",)


def test_absent_landmarks_are_not_drawn(files: dict[str, bytes]) -> None:
    files["landmarks.npy"] = npy(np.full((68, 2), np.nan, np.float32))
    shown = show_sample(DRAWN, files, "s::k")
    assert shown.marks == ("mask",) and shown.yaw is None and shown.sharpness is None


def test_landmarks_far_outside_do_no_harm(files: dict[str, bytes]) -> None:
    files["landmarks.npy"] = npy(np.full((68, 2), 1e30, np.float32))
    assert show_sample(DRAWN, files, "s::k").yaw is None


@pytest.mark.parametrize("box", [None, [], [1, 2, 3], ["a", 0, 1, 1], [5, 0, 1, 1], {}])
def test_a_record_without_a_face_box_gives_no_width(files: dict[str, bytes], box: Any) -> None:
    files["json"] = json.dumps({"face_box": box}).encode()
    assert show_sample(DRAWN, files, "s::k").face_width is None


@pytest.mark.parametrize("right", [1e17, 10**400, 2**24 + 1, 1e308], ids=["float", "long", "least", "largest"])
def test_a_face_wider_than_any_photo_gives_no_width(files: dict[str, bytes], right: float) -> None:
    files["json"] = json.dumps({"face_box": [0, 0, right, 1]}).encode()
    assert show_sample(DRAWN, files, "s::k").face_width is None


def test_a_sample_without_pictures_is_shown_as_such() -> None:
    shown = show_sample(DRAWN, {"json": b"{}"}, "s::k")
    assert shown.face == shown.masked == shown.overlay == "" and shown.width == 0


def test_a_damaged_member_is_named(files: dict[str, bytes]) -> None:
    with pytest.raises(StorageError, match=r"s::k: the masked\.png of a sample cannot be decoded"):
        show_sample(DRAWN, {**files, "masked.png": b"\x89PNG"}, "s::k")


def test_large_pictures_are_made_small(synthetic: SimpleNamespace) -> None:
    assert opened(data_uri(synthetic.picture(600, 300))).size == (SIDE, SIDE // 2)
    assert opened(data_uri(synthetic.picture(4000, 2))).size == (SIDE, 1)


def test_a_reject_is_shown_if_it_can_be_decoded(synthetic: SimpleNamespace) -> None:
    photo = synthetic.encoded(synthetic.picture(300, 200))
    assert opened(reject_uri(photo)).size == (SIDE, SIDE * 2 // 3)
    assert reject_uri(photo[: len(photo) // 2]) == reject_uri(b"") == reject_uri(b"text") == ""
