"""Decoding: every kind of picture file comes out upright, in RGB, or with a reason why not."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from faceloom.transforms.decode import (
    PhotoHeader,
    decode_grey,
    decode_rgb,
    read_header,
    shrink,
    to_full_frame,
    to_reduced_frame,
)
from tests.transforms.pictures import ORIENTATION, chunk, code_of, difference, encode, gradient, jpeg


def stored_for(upright: np.ndarray, orientation: int) -> np.ndarray:
    """The pixels that a camera stores so that the EXIF orientation turns them upright."""
    undo: dict[int, Callable[[Any], Any]] = {
        1: lambda p: p,
        2: np.fliplr,
        3: lambda p: np.rot90(p, 2),
        4: np.flipud,
        5: lambda p: p.swapaxes(0, 1),
        6: np.rot90,
        7: lambda p: np.rot90(p, 2).swapaxes(0, 1),
        8: lambda p: np.rot90(p, -1),
    }
    return np.ascontiguousarray(undo[orientation](upright))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_lossless_formats_come_out_bit_for_bit(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encode(gradient(), kind, **options)
    assert np.array_equal(decode_rgb(data), gradient())
    assert read_header(data) == PhotoHeader(kind, 90, 60, 1, "RGB")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 2}, {"optimize": True}])
def test_jpeg(options: dict[str, Any]) -> None:
    data = jpeg(gradient(), **options)
    assert difference(decode_rgb(data), gradient()) < 6
    assert read_header(data).format == "JPEG"


def test_jpeg_that_holds_several_pictures_gives_the_first() -> None:
    second = Image.new("RGB", (90, 60), "black")
    data = encode(Image.fromarray(gradient()), "MPO", save_all=True, append_images=[second], quality=95)
    assert read_header(data) == PhotoHeader("JPEG", 90, 60, 1, "RGB", 16)
    assert difference(decode_rgb(data), gradient()) < 6


def test_grey_stays_grey() -> None:
    grey = gradient()[..., 1]
    for kind in ("PNG", "PPM", "TIFF"):
        data = encode(grey, kind)
        assert np.array_equal(decode_grey(data), grey)
        assert np.array_equal(decode_rgb(data), np.repeat(grey[..., None], 3, axis=2))
    assert difference(decode_rgb(jpeg(grey))[..., 2], grey) < 2


def test_transparent_pixels_lie_over_white() -> None:
    alpha = np.zeros((60, 90, 1), np.uint8)
    alpha[:, 30:60], alpha[:, 60:] = 128, 255
    data = encode(np.concatenate([gradient(), alpha], axis=2), "PNG")
    pixels = decode_rgb(data)
    assert (pixels[:, :30] == 255).all()
    assert np.array_equal(pixels[:, 60:], gradient()[:, 60:])
    half = (gradient()[:, 30:60].astype(float) * 128 + 255 * 127) / 255
    assert np.abs(pixels[:, 30:60] - half).max() <= 1


def test_grey_with_transparency_and_transparent_colour() -> None:
    grey_alpha = np.stack([np.full((8, 8), 100, np.uint8), np.tile(np.array([0, 255], np.uint8), (8, 4))], axis=2)
    pixels = decode_rgb(encode(Image.fromarray(grey_alpha, "LA"), "PNG"))
    assert (pixels[:, ::2] == 255).all() and (pixels[:, 1::2] == 100).all()
    grey = np.tile(np.array([7, 90], np.uint8), (8, 4))
    pixels = decode_rgb(encode(grey, "PNG", transparency=7))
    assert (pixels[:, ::2] == 255).all() and (pixels[:, 1::2] == 90).all()


@pytest.mark.parametrize("transparent", [False, True])
def test_palette(transparent: bool) -> None:
    image = Image.new("P", (20, 10), 1)
    image.putpalette([0, 0, 0, 200, 40, 10, 10, 40, 200])
    image.paste(2, (0, 0, 10, 10))
    pixels = decode_rgb(encode(image, "PNG", **({"transparency": 2} if transparent else {})))
    assert (pixels[:, 10:] == (200, 40, 10)).all()
    assert (pixels[:, :10] == ((255, 255, 255) if transparent else (10, 40, 200))).all()


def test_one_bit() -> None:
    bits = gradient()[..., 0] > 120
    assert np.array_equal(decode_grey(encode(Image.fromarray(bits), "PNG")), bits * np.uint8(255))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_rounded_not_cut_off(kind: str) -> None:
    deep = np.linspace(0, 65535, 5400).reshape(60, 90).astype(np.uint16)
    pixels = decode_grey(encode(Image.fromarray(deep), kind))
    assert np.abs(pixels - deep / 257).max() <= 0.51
    assert pixels.min() == 0 and pixels.max() == 255


@pytest.mark.parametrize("kind", [".png", ".tiff"])
def test_sixteen_bit_colour_keeps_its_upper_bits_without_bias(kind: str) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (120, 90, 3)).astype(np.uint16)
    data = cv2.imencode(kind, deep[..., ::-1])[1].tobytes()
    pixels = decode_rgb(data)
    error = pixels - deep / 257
    assert np.abs(error).max() < 1 and abs(error.mean()) < 0.02
    whole = cv2.imencode(kind, gradient()[..., ::-1].astype(np.uint16) * 257)[1].tobytes()
    assert np.array_equal(decode_rgb(whole), gradient())


@pytest.mark.parametrize(("bits", "kind"), [(8, "PNG"), (10, "TIFF"), (12, "PNG"), (12, "TIFF")])
def test_fewer_bits_in_sixteen_are_scaled_to_white(bits: int, kind: str) -> None:
    white = 2**bits - 1
    deep = np.rint(np.linspace(0, white, 5400)).reshape(60, 90).astype(np.uint16)
    data = encode(Image.fromarray(deep), kind)
    assert np.abs(decode_grey(data) - deep * (255 / white)).max() <= 0.51
    assert decode_rgb(data).max() == 255


def test_dark_photos_of_sixteen_bits_stay_dark() -> None:
    deep = np.linspace(0, 4096, 5400).reshape(60, 90).astype(np.uint16)
    assert decode_grey(encode(Image.fromarray(deep), "PNG")).max() == 16


@pytest.mark.parametrize("kind", [".png", ".tiff"])
def test_colour_of_twelve_bits_in_sixteen_is_refused_not_black(kind: str) -> None:
    deep = np.random.default_rng(0).integers(0, 4096, (120, 90, 3)).astype(np.uint16)
    assert code_of(cv2.imencode(kind, deep)[1].tobytes()) == "unsupported"
    night = np.random.default_rng(0).integers(0, 16, (120, 90, 3)).astype(np.uint8)
    assert np.array_equal(decode_rgb(encode(night, "PNG")), night), "8 bits have no such rule"


def test_the_transparent_level_of_sixteen_bit_grey_is_white() -> None:
    deep = (np.arange(5400).reshape(60, 90) * 12).astype(np.uint16)
    data = encode(Image.fromarray(deep), "PNG")
    end_of_header = data.index(b"IHDR") + 4 + 13 + 4
    data = data[:end_of_header] + chunk(b"tRNS", struct.pack(">H", 1200)) + data[end_of_header:]
    assert read_header(data).mode == "I;16"
    expected = np.rint(deep / 257)
    expected[deep == 1200] = 255
    assert np.array_equal(decode_grey(data), expected)
    assert np.array_equal(decode_rgb(data), np.repeat(expected[..., None], 3, axis=2))


def test_cmyk_jpeg_has_the_right_colours() -> None:
    data = encode(Image.fromarray(gradient()).convert("CMYK"), "JPEG", quality=95)
    assert read_header(data).mode == "CMYK"
    assert difference(decode_rgb(data), gradient()) < 6


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_an_animation_gives_its_first_frame(kind: str) -> None:
    first, second = Image.new("RGB", (32, 24), (250, 0, 0)), Image.new("RGB", (32, 24), (0, 0, 250))
    pixels = decode_rgb(encode(first, kind, save_all=True, append_images=[second], lossless=True))
    assert difference(pixels, np.array(first)) < 3


def test_floating_point_pixels_are_refused() -> None:
    assert code_of(encode(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF")) == "unsupported"


def test_the_array_is_ours_to_write_on() -> None:
    for data in (jpeg(gradient()), encode(gradient(), "PNG"), encode(gradient()[..., 0], "PNG")):
        for pixels in (decode_rgb(data), decode_grey(data)):
            assert pixels.flags.writeable and pixels.flags.c_contiguous


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_photos_come_out_upright(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options: dict[str, Any] = {"quality": 95} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    data = encode(stored_for(gradient(), orientation), kind, exif=exif, **options)
    assert read_header(data).size == (90, 60)
    assert difference(decode_rgb(data), gradient()) < 6
    assert difference(decode_grey(data), cv2.cvtColor(gradient(), cv2.COLOR_RGB2GRAY)) < 6


def test_a_nonsense_orientation_is_ignored() -> None:
    assert read_header(jpeg(gradient(), orientation=77)).exif_orientation == 1


def test_the_header_gives_the_stored_size_too() -> None:
    header = read_header(jpeg(stored_for(gradient(), 6), 6))
    assert (header.width, header.height, header.exif_orientation, header.size) == (60, 90, 6, (90, 60))


@pytest.mark.parametrize("reduction", [2, 4, 8])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(64, 96), (61, 93)])
def test_a_reduced_picture_lies_in_the_same_frame(size: tuple[int, int], orientation: int, reduction: int) -> None:
    upright = cv2.GaussianBlur(gradient(*size), (0, 0), 2)
    data = jpeg(stored_for(upright, orientation), orientation)
    expected = shrink(decode_rgb(data), reduction)
    assert expected.shape[:2] == tuple(-(-side // reduction) for side in size)
    assert difference(decode_rgb(data, reduction=reduction), expected) < 1.5
    assert difference(decode_grey(data, reduction=reduction), cv2.cvtColor(expected, cv2.COLOR_RGB2GRAY)) < 1.5


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_other_formats_are_reduced_as_well(kind: str) -> None:
    data = encode(gradient(61, 93), kind)
    assert np.array_equal(decode_rgb(data, reduction=4), shrink(decode_rgb(data), 4))
    assert decode_grey(data, reduction=4).shape == (16, 24)


def test_only_powers_of_two_up_to_eight() -> None:
    with pytest.raises(ValueError, match="reduction"):
        decode_rgb(jpeg(gradient()), reduction=3)


@given(st.sampled_from([1, 2, 4, 8]), st.lists(st.tuples(*[st.floats(-50, 5000)] * 2), min_size=1))
def test_points_go_to_the_reduced_frame_and_back(reduction: int, points: list[tuple[float, float]]) -> None:
    there = to_reduced_frame(np.array(points), reduction)
    assert np.allclose(to_full_frame(there, reduction), points)


def test_a_reduced_pixel_is_the_middle_of_its_block() -> None:
    assert np.allclose(to_full_frame(np.array([[0.0, 1.0]]), 4), [[1.5, 5.5]])
    picture = np.zeros((32, 32), np.uint8)
    picture[8:12, 20:24] = 255
    y, x = np.argwhere(decode_grey(encode(picture, "PNG"), reduction=4) == 255)[0]
    assert np.allclose(to_full_frame(np.array([[x, y]]), 4), [[21.5, 9.5]])


def test_shrinking_repeats_the_edge_of_a_part_filled_block() -> None:
    picture = np.full((5, 5), 77, np.uint8)
    assert (shrink(picture, 4) == 77).all() and shrink(picture, 4).shape == (2, 2)


def test_a_header_read_before_is_not_read_again() -> None:
    data = jpeg(gradient())
    header = read_header(data)
    assert np.array_equal(decode_rgb(data, header=header, max_pixels=1), decode_rgb(data))
