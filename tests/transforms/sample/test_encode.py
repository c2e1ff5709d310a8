"""Files of a sample: lossless where they must be, and the same bytes for the same content."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from faceloom.schemas.errors import FaceloomError, PhotoError
from faceloom.transforms.sample.encode import encode, json_bytes, npy


@pytest.mark.parametrize("name", ["png", "webp"])
@pytest.mark.parametrize("shape", [(40, 30, 3), (40, 30)])
def test_png_and_webp_are_lossless(synthetic: SimpleNamespace, name: str, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    back = synthetic.decoded(encode(pixels, name, 5))
    if back.ndim > pixels.ndim:
        back = back[..., 0]
    assert np.array_equal(back, pixels)


def test_jpg_quality_and_colour_order(synthetic: SimpleNamespace) -> None:
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 250
    assert synthetic.decoded(encode(red, "jpg", 95))[16, 16].tolist() == pytest.approx([250, 0, 0], abs=4)
    noise = synthetic.picture(64, 64, 5)
    assert len(encode(noise, "jpg", 50)) < len(encode(noise, "jpg", 95))


def test_what_cannot_be_encoded_is_no_fault_of_the_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imencode", lambda *_: (False, None))
    with pytest.raises(FaceloomError, match="cannot be encoded as png") as caught:
        encode(np.zeros((4, 4), np.uint8), "png", 1)
    assert not isinstance(caught.value, PhotoError) and "memory" in caught.value.remedy


def test_npy_needs_no_pickle() -> None:
    array = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert np.array_equal(np.load(io.BytesIO(npy(array)), allow_pickle=False), array)
    assert npy(array) == npy(array.copy())


def test_json_is_compact_sorted_and_keeps_any_name() -> None:
    record = {"b": 1, "a": "Zoë 写真", "uri": "a\udc80.png"}
    data = json_bytes(record)
    assert data.startswith(b'{"a":"')
    assert "Zoë 写真".encode() in data
    assert json.loads(data) == record
    assert json_bytes(dict(reversed(record.items()))) == data
