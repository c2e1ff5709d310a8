"""Decoding: every kind of picture file comes out upright, in RGB, or with a reason why not."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.decode import (
    PhotoHeader,
    decode_grey,
    decode_rgb,
    read_header,
    shrink,
    to_full_frame,
    to_reduced_frame,
)

ORIENTATION = 0x0112


def gradient(height: int = 60, width: int = 90) -> np.ndarray:
    """Red grows to the right, green downwards, blue is a bright corner at the top left: no two turns look alike."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0] = np.linspace(20, 230, width)
    picture[..., 1] = np.linspace(20, 230, height)[:, None]
    picture[: height // 3, : width // 3, 2] = 200
    return picture


def encode(picture: np.ndarray | Image.Image, kind: str, **options: Any) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(picture: np.ndarray | Image.Image, orientation: int = 1, **options: Any) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encode(picture, "JPEG", **{"quality": 95, "subsampling": 0, "exif": exif, **options})


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def stored_for(upright: np.ndarray, orientation: int) -> np.ndarray:
    """The pixels that a camera stores so that the EXIF orientation turns them upright."""
    undo = {
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


def difference(first: np.ndarray, second: np.ndarray) -> float:
    assert first.shape == second.shape
    return float(np.abs(first.astype(int) - second.astype(int)).mean())


def code_of(data: bytes, **options: Any) -> str:
    with pytest.raises(PhotoError) as caught:
        decode_rgb(data, **options)
    with pytest.raises(PhotoError) as again:
        decode_grey(data, **options)
    assert again.value.code == caught.value.code
    return caught.value.code


# ---------------------------------------------------------------------------------------------------------- formats


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
    assert read_header(data) == PhotoHeader("JPEG", 90, 60, 1, "RGB")
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
    grey_alpha = np.stack([np.full((8, 8), 100, np.uint8), np.tile(np.uint8([0, 255]), (8, 4))], axis=2)
    pixels = decode_rgb(encode(Image.fromarray(grey_alpha, "LA"), "PNG"))
    assert (pixels[:, ::2] == 255).all() and (pixels[:, 1::2] == 100).all()
    grey = np.tile(np.uint8([7, 90]), (8, 4))
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


# ------------------------------------------------------------------------------------------------------ orientation


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


# -------------------------------------------------------------------------------------------------------- reduction


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


# ---------------------------------------------------------------------------------------------------- broken files


def test_no_bytes() -> None:
    assert code_of(b"") == "empty"


@pytest.mark.parametrize(
    "data", [b"hello", b"\0" * 5000, b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X", b"<html></html>", bytes(range(256))]
)
def test_not_a_picture(data: bytes) -> None:
    assert code_of(data) == "not_an_image"


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.7 ...",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"\0\0\0\x18ftypheic\0\0\0\0",
        b"<svg xmlns=''></svg>",
        b"8BPS\0\1",
    ],
)
def test_pictures_that_are_not_read(data: bytes) -> None:
    assert code_of(data) == "unsupported"


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "PPM", "TIFF", "GIF"])
def test_a_file_cut_short_is_never_half_a_picture(kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    data = encode(noise, kind)
    assert code_of(data[: int(len(data) * share)]) in ("truncated", "decode_failed", "not_an_image")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.99])
@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_jpeg_cut_short_is_called_truncated(options: dict[str, Any], share: float) -> None:
    data = jpeg(gradient(300, 400), **options)
    cut = data[: int(len(data) * share)]
    assert code_of(cut) == "truncated"
    with pytest.raises(PhotoError):
        read_header(cut)


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_photo() -> None:
    thumbnail = jpeg(gradient(30, 40))
    data = jpeg(gradient(300, 400))
    segment = b"\xff\xe2" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    whole = data[:2] + segment + data[2:]
    assert difference(decode_rgb(whole), gradient(300, 400)) < 6
    assert code_of(whole[:-200]) == "truncated"


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_bytes_after_the_end_do_no_harm(kind: str) -> None:
    data = encode(gradient(), kind)
    assert np.array_equal(decode_rgb(data + b"\0" * 3000 + b"trailer"), decode_rgb(data))


def test_a_tail_of_zeros_is_truncated() -> None:
    data = jpeg(gradient(300, 400))
    assert code_of(data[: len(data) // 2] + bytes(len(data) // 2)) == "truncated"


def test_damaged_pixels() -> None:
    data = bytearray(encode(gradient(), "PNG"))
    place = data.index(b"IDAT") + 8
    data[place : place + 20] = b"\xff" * 20
    assert code_of(bytes(data)) in ("decode_failed", "truncated")


@given(
    st.binary(max_size=400),
    st.sampled_from([b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"P5 "]),
)
def test_garbage_ends_as_a_photo_error(garbage: bytes, start: bytes) -> None:
    with pytest.raises(PhotoError):
        decode_rgb(start + garbage, max_pixels=10_000)


# ------------------------------------------------------------------------------------------------------------- size


def png_that_claims(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [10_001, 15_000, 60_000])
def test_a_bomb_is_refused_before_it_is_decoded(side: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert code_of(png_that_claims(side, side)) == "too_many_pixels"


def test_the_limit_is_a_choice() -> None:
    data = jpeg(gradient())
    assert code_of(data, max_pixels=5399) == "too_many_pixels"
    assert decode_rgb(data, max_pixels=5400).shape == (60, 90, 3)
    with pytest.raises(PhotoError) as caught:
        read_header(data, max_pixels=5399)
    assert "90x60" in str(caught.value) and "5399" in str(caught.value)


def test_nothing_is_said_about_large_pictures_within_the_limit() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_header(png_that_claims(12_000, 12_000), max_pixels=150_000_000).width == 12_000


def test_the_limit_may_be_higher_than_pillows_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_header(png_that_claims(30_000, 20_000), max_pixels=600_000_000).width == 30_000
    assert code_of(png_that_claims(30_000, 20_000), max_pixels=599_999_999) == "too_many_pixels"
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for kind in ("PNG", "TIFF", "WEBP", "GIF", "BMP"):
        options = {"lossless": True} if kind == "WEBP" else {}
        assert difference(decode_rgb(encode(gradient(), kind, **options)), gradient()) < 8
    assert Image.MAX_IMAGE_PIXELS == 100, "that of other users of Pillow"


def test_pillows_limit_is_put_back_after_threads_and_errors() -> None:
    before = Image.MAX_IMAGE_PIXELS
    data = [encode(gradient(), "PNG"), png_that_claims(60_000, 60_000), b"", encode(gradient(), "BMP")[:200]] * 20

    def code(one: bytes) -> str:
        try:
            return str(decode_rgb(one).shape)
        except PhotoError as error:
            return error.code

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(code, data))
    assert codes == [code(one) for one in data]
    assert Image.MAX_IMAGE_PIXELS == before is not None


@pytest.mark.parametrize("size", [(1, 3_000_000), (3_000_000, 1), (1025, 1024)])
def test_pictures_of_any_shape_are_converted_in_bands(size: tuple[int, int]) -> None:
    assert (decode_rgb(encode(Image.new("RGBA", size, (9, 99, 199, 255)), "PNG")) == (9, 99, 199)).all()


def test_a_header_read_before_is_not_read_again() -> None:
    data = jpeg(gradient())
    header = read_header(data)
    assert np.array_equal(decode_rgb(data, header=header, max_pixels=1), decode_rgb(data))
