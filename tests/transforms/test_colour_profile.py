"""Colour profiles: wide spaces are converted to sRGB, variants of sRGB and damaged profiles change nothing."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from faceloom.transforms import colour_profile
from faceloom.transforms.colour_profile import conversion_by
from faceloom.transforms.decode import decode_grey, decode_rgb
from tests.transforms.pictures import difference, encode, gradient

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# Columns of the primaries in the profile's own space, and gamma if it is not that of sRGB.
SPACES: dict[str, tuple[list[tuple[float, float, float]], float | None]] = {
    "Display P3": ([(0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)], None),
    "Adobe RGB": ([(0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446)], 2.19921875),
}


def profile(columns: list[tuple[float, float, float]] | None, gamma: float | None) -> bytes:
    """The sRGB profile with other primaries or another curve."""
    data = bytearray(SRGB)
    for entry in range(struct.unpack_from(">I", data, 128)[0]):
        tag, at, size = struct.unpack_from(">4sII", data, 132 + 12 * entry)
        if columns and tag in (b"rXYZ", b"gXYZ", b"bXYZ"):
            numbers = [round(value * 65536) for value in columns["rgb".index(chr(tag[0]))]]
            data[at + 8 : at + 20] = struct.pack(">3i", *numbers)
        if gamma and tag == b"rTRC":
            data[at : at + size] = (b"para" + bytes(8) + struct.pack(">i", round(gamma * 65536))).ljust(size, b"\0")
    return bytes(data)


def grey_profile(gamma: float) -> bytes:
    """A minimal profile of version 2 for grey: its curve and the white of D50."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    tags = struct.pack(">I4sII4sII", 2, b"kTRC", 156, len(curve), b"wtpt", 156 + len(curve), len(white))
    head = struct.pack(">I4sI4s4s4s12s4s", 0, bytes(4), 0x02100000, b"mntr", b"GRAY", b"XYZ ", bytes(12), b"acsp")
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    data = head.ljust(128, b"\0") + tags + curve + white
    return struct.pack(">I", len(data)) + data[4:]


def in_space(picture: np.ndarray, data: bytes) -> Image.Image:
    """A picture in sRGB, converted to another space."""
    there = ImageCms.getOpenProfile(io.BytesIO(data))
    converted = ImageCms.profileToProfile(Image.fromarray(picture), ImageCms.createProfile("sRGB"), there)
    assert converted is not None
    return converted


def muted() -> np.ndarray:
    """Colours that all of the spaces can hold."""
    return (70 + gradient().astype(np.float32) * 0.45).astype(np.uint8)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_photos_of_wide_spaces_look_as_in_srgb(space: str, kind: str) -> None:
    data = profile(*SPACES[space])
    stored = in_space(muted(), data)
    best: dict[str, dict[str, Any]] = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}
    options = best.get(kind, {})
    photo = encode(stored, kind, icc_profile=data, **options)
    assert difference(np.asarray(stored), muted()) > 3, "otherwise this shows nothing"
    assert difference(decode_rgb(photo), muted()) < 1
    plain = encode(muted(), kind, **options)
    assert difference(decode_grey(photo), decode_grey(plain)) < 1
    assert difference(decode_rgb(photo, reduction=2), decode_rgb(plain, reduction=2)) < 1.5


def test_transparent_pixels_stay_white() -> None:
    data = profile(*SPACES["Adobe RGB"])
    clear = np.dstack([gradient(), np.zeros(gradient().shape[:2], np.uint8)])
    assert (decode_rgb(encode(clear, "PNG", icc_profile=data)) == 255).all()


def test_grey_photos_follow_the_curve_of_their_profile() -> None:
    grey = np.arange(256, dtype=np.uint8).repeat(8).reshape(32, 64)
    photo = encode(Image.fromarray(grey), "PNG", icc_profile=grey_profile(1.0))
    linear = np.arange(256) / 255
    expected = np.where(linear < 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
    pixels = decode_rgb(photo)
    assert (pixels[..., :1] == pixels).all(), "grey stays grey"
    assert np.abs(pixels[..., 0].ravel()[::8] - expected).max() < 3
    assert np.array_equal(decode_grey(photo), pixels[..., 0])


@pytest.mark.parametrize("data", [SRGB, profile(None, 2.2), b"no profile", SRGB[:200], b""], ids=len)
def test_pixels_stay_as_they_are(data: bytes) -> None:
    near = data == profile(None, 2.2)
    assert (conversion_by(data, grey=False) is not None) == near, "gamma 2.2 differs from sRGB in the shadows"
    if not near:
        assert np.array_equal(decode_rgb(encode(gradient(), "PNG", icc_profile=data)), gradient())


def test_a_profile_for_other_pixels_is_ignored() -> None:
    assert conversion_by(grey_profile(1.0), grey=True) is not None
    assert conversion_by(grey_profile(1.0), grey=False) is None
    assert conversion_by(profile(*SPACES["Adobe RGB"]), grey=True) is None


def test_a_profile_that_is_too_long_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    data = profile(*SPACES["Display P3"]) + b"long"
    monkeypatch.setattr(colour_profile, "MOST_BYTES", len(data) - 1)
    assert conversion_by(data, grey=False) is None


def test_large_pictures_are_converted_in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    conversion = conversion_by(profile(*SPACES["Display P3"]), grey=False)
    assert conversion is not None
    whole = conversion.to_srgb(gradient())
    monkeypatch.setattr(colour_profile, "_BAND_PIXELS", 7 * gradient().shape[1])
    assert np.array_equal(conversion.to_srgb(gradient()), whole)
