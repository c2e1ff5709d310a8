"""Members of one sample: which are picked, and what they are decoded to."""

from __future__ import annotations

import json
import pickle
import struct
import zlib
from typing import Any

import numpy as np
import pytest

from faceloom.pipelines.read.sample_members import MOST_JSON, check_missing, decode_member, pick_members
from faceloom.schemas.errors import FaceloomError, StorageError
from faceloom.transforms.sample.encode import encode, npy
from tests.pipelines.read.builds import sample_files


def test_a_damaged_picture_is_named() -> None:
    with pytest.raises(StorageError, match="cannot be decoded"):
        decode_member("face.jpg", b"\xff\xd8 but no more")


def png_header(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">II5B", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


def npy_of(shape: str, descr: str = "'<f4'", fortran: str = "False", content: int = 544) -> bytes:
    head = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + bytes(content)


JPEG = encode(np.zeros((16, 16, 3), np.uint8), "jpg", 90)
HOSTILE = {
    "a picture of four gigapixels": ("face.png", png_header(65536, 65536)),
    "a wide picture": ("mask.png", png_header(2**31 - 1, 1)),
    "a JPEG of four gigapixels": ("face.jpg", JPEG.replace(b"\x08\0\x10\0\x10", b"\x08\xff\xff\xff\xff")),
    "half a JPEG": ("face.jpg", JPEG[: len(JPEG) // 2]),
    "a TIFF": ("face.png", b"II*\0" + bytes(100)),
    "WEBP without pixels": ("face.webp", b"RIFF\x04\0\0\0WEBP"),
    "no bytes": ("face.jpg", b""),
    "an array of 10**12": ("landmarks.npy", npy_of("(1000000, 1000000)")),
    "features of 10**18": ("features.npy", npy_of("(1000000000000000000,)")),
    "an array of booleans": ("landmarks.npy", npy_of("(68, 2)", "'|b1'", content=136)),
    "an array of doubles": ("landmarks.npy", npy_of("(68, 2)", "'<f8'", content=1088)),
    "an array of objects": ("features.npy", npy_of("(68,)", "'|O'")),
    "an array in columns": ("landmarks.npy", npy_of("(68, 2)", fortran="True")),
    "an array of another shape": ("lower_landmarks.npy", npy_of("(2, 68)")),
    "an array without pixels": ("landmarks.npy", npy_of("(68, 2)", content=0)),
    "an array of negative length": ("features.npy", npy_of("(-136,)")),
    "a shape of booleans": ("features.npy", npy_of("(True,)", content=4)),
    "a pickle": ("landmarks.npy", pickle.dumps([1])),
    "no .npy": ("landmarks.npy", b"\x93NUMPY"),
    "a broken header": ("landmarks.npy", npy_of("(68, 2")),
    "a zip": ("landmarks.npy", b"PK\x03\x04" + bytes(100)),
    "deep JSON": ("json", b"[" * 100_000),
    "deep objects": ("json", b'{"a":' * 2000 + b"1" + b"}" * 2000),
    "long JSON": ("json", b'{"a":"' + b"a" * MOST_JSON + b'"}'),
    "a number of 5,000 digits": ("json", b'{"a":' + b"9" * 5000 + b"}"),
    "a list": ("json", b"[]"),
    "no JSON": ("json", b"\xff"),
    "no bytes of JSON": ("json", b""),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_member_that_makes_no_sense_is_named_with_its_sample(kind: str) -> None:
    name, data = HOSTILE[kind]
    with pytest.raises(StorageError, match=f"^shards/x.tar::k: the {name} of a sample cannot be decoded: ") as found:
        decode_member(name, data, "shards/x.tar::k")
    assert str(found.value).isprintable() and len(str(found.value)) < 400


def test_arrays_and_records_of_samples_are_decoded() -> None:
    points = np.random.default_rng(0).random((68, 2), np.float32)
    decoded = decode_member("landmarks.npy", npy(points))
    assert np.array_equal(decoded, points) and decoded.dtype == np.float32 and decoded.flags.writeable
    assert decode_member("features.npy", npy(points.ravel())).shape == (136,)
    assert decode_member("features.npy", npy(points[0][:0])).shape == (0,)
    many = {"operations": [{"name": str(number)} for number in range(200)]}
    assert decode_member("json", json.dumps(many).encode()) == many


@pytest.mark.parametrize("name", ["mask", "alpha", "guide", "lr_mask"])
def test_masks_of_every_kind_are_grey(name: str) -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    decoded = decode_member(f"{name}.png", encode(grey, "png", 100))
    assert decoded.shape == (3, 4)
    assert np.array_equal(decoded, grey)


@pytest.mark.parametrize("name", ["lr", "lr_masked", "lr_upsampled", "lr_masked_upsampled", "upper", "lower"])
def test_pictures_of_every_kind_are_rgb(name: str) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (3, 4, 3), np.uint8)
    assert np.array_equal(decode_member(f"{name}.png", encode(picture, "png", 100)), picture)


@pytest.mark.parametrize(
    ("members", "missing", "message"),
    [
        (None, "skip", "no effect without `members`"),
        (None, {"landmarks": 0}, "not read.*landmarks"),
        (["face"], {"landmarks": 0}, "not read.*landmarks"),
        (["face"], "ignore", "got ignore.*'skip'"),
    ],
)
def test_a_switch_that_can_do_nothing_is_refused(members: list[str] | None, missing: Any, message: str) -> None:
    with pytest.raises(FaceloomError, match=message):
        check_missing(missing, members)


@pytest.mark.parametrize(
    ("missing", "members"), [("error", None), ("error", ["face"]), ("skip", ["face"]), ({"face": 0}, ["face", "mask"])]
)
def test_other_switches_are_fine(missing: Any, members: list[str] | None) -> None:
    check_missing(missing, members)


def test_members_are_picked_by_name_without_ending_in_order() -> None:
    sample = {"__key__": "k", "__url__": "u", **dict(sample_files(7))}
    picked = pick_members(sample, members=("mask", "face"), missing="error", decode=True, tensors=False)
    assert picked is not None
    assert list(picked) == ["__key__", "face", "mask"]
    assert picked["face"][0, 0].tolist() == [7, 0, 0]
    assert pick_members(sample, members=("lr",), missing="skip", decode=True, tensors=False) is None
