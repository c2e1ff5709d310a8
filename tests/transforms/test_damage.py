"""Damage inside a JPEG is found by its decoder's warnings and by what it leaves in the pixels."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageChops

from faceloom.schemas.errors import PhotoError
from faceloom.transforms.damage import damage_of_warning, decode_undamaged, require_undamaged, visible_damage
from faceloom.transforms.decode import decode_grey
from tests.transforms.pictures import encode
from tests.transforms.test_colour_profile import SPACES, profile

HEIGHT, WIDTH = 240, 320


def photo(seed: int = 0) -> np.ndarray:
    """A made-up photo: soft shapes with a little noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(40, 200, (9, 12, 3), dtype=np.uint8))
    picture = np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.int16)
    return np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)


def grey_of(seed: int = 0) -> np.ndarray:
    return np.asarray(Image.fromarray(photo(seed)).convert("L"))


def found(data: bytes) -> str:
    """The code with which a file is refused in analysis; empty if it is not."""
    try:
        decode_grey(data)
    except PhotoError as error:
        return error.code
    return ""


def hole(data: bytes, at: int) -> bytes:
    return data[:at] + bytes(512) + data[at + 512 :]


def foreign(data: bytes, at: int) -> bytes:
    return data[:at] + bytes((7 * k * k) % 251 for k in range(200)) + data[at + 200 :]


def lost(data: bytes, at: int) -> bytes:
    return data[:at] + data[at + 1024 :]


@pytest.mark.parametrize(
    "options", [{}, {"restart_marker_rows": 1}, {"progressive": True}, {"subsampling": 0}], ids=str
)
@pytest.mark.parametrize("harm", [foreign, lost])
def test_damage_inside_is_found(harm: object, options: dict[str, object]) -> None:
    data = encode(photo(), "JPEG", quality=95, **options)
    assert found(data) == ""
    hits = [found(harm(data, int(len(data) * at))) for at in (0.3, 0.5, 0.6, 0.75)]  # type: ignore[operator]
    assert hits == ["damaged"] * 4


def test_most_holes_are_found() -> None:
    files = [encode(photo(seed), "JPEG", quality=quality) for seed in range(6) for quality in (75, 85, 90)]
    hits = [found(hole(data, int(len(data) * at))) for data in files for at in (0.4, 0.6, 0.75)]
    assert hits.count("damaged") >= 0.85 * len(hits)


def test_a_damaged_cmyk_jpeg_is_found() -> None:
    data = encode(Image.fromarray(photo()).convert("CMYK"), "JPEG", quality=95)
    require_undamaged(data)
    assert found(data) == ""
    assert found(lost(data, len(data) // 2)) == "damaged"


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
def test_the_pixels_are_those_of_opencv(mode: str, reduction: int) -> None:
    import cv2

    data = encode(Image.fromarray(photo()[:237, :315]).convert(mode), "JPEG", quality=80)
    flags = {
        1: 0,
        2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
        4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
        8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
    }
    same = cv2.imdecode(np.frombuffer(data, np.uint8), flags[reduction])
    assert same is not None and np.array_equal(decode_undamaged(data, (315, 237), reduction, 16), same)


def test_padding_before_the_end_and_warnings_about_headers_are_no_damage() -> None:
    data = encode(photo(), "JPEG", quality=90)
    end = data.rindex(b"\xff\xd9")
    assert found(data[:end] + bytes(40) + data[end:]) == ""
    assert found(data[:end] + b"some bytes that are no padding" + data[end:]) == "damaged"
    scan = data.index(b"\xff\xda")
    phone = bytearray(data)
    phone[scan + 4 + 1 + 6 + 1] = 0  # the last coefficient, which some phones write wrongly
    assert decode_grey(bytes(phone)).shape == (HEIGHT, WIDTH)
    assert damage_of_warning("Invalid SOS parameters for sequential JPEG", data) == ""


def test_padding_is_that_of_the_first_picture_of_a_file() -> None:
    data = encode(photo(), "JPEG", quality=90)
    trailer = encode(photo(1), "JPEG", quality=50)
    for padding in (bytes(40), b"\x55" * 700):
        assert found(data[:-2] + padding + data[-2:] + trailer) == ""
    assert found(data[:-2] + b"some bytes that are no padding" + data[-2:] + trailer) == "damaged"


def in_header(data: bytes, extra: bytes) -> bytes:
    """A JPEG with further bytes after its JFIF segment."""
    place = data.index(b"\xff\xdb")
    return data[:place] + extra + data[place:]


BAD_PROFILE = b"\xff\xe2" + (2 + 12 + 2 + 40).to_bytes(2, "big") + b"ICC_PROFILE\0" + bytes([5, 2]) + bytes(40)


@pytest.mark.parametrize("extra", [BAD_PROFILE, b"7 bytes", BAD_PROFILE + bytes(9)], ids=["profile", "bytes", "both"])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_faults_of_metadata_are_no_damage_and_hide_none(mode: str, extra: bytes) -> None:
    data = encode(Image.fromarray(photo()).convert(mode), "JPEG", quality=95)
    assert found(in_header(data, extra)) == ""
    assert np.array_equal(decode_grey(in_header(data, extra)), decode_grey(data))
    assert found(in_header(lost(data, len(data) // 2), extra)) == "damaged"


@pytest.mark.parametrize(
    ("text", "lost_data"),
    [
        ("Corrupt JPEG data: bad ICC marker", False),
        ("Corrupt JPEG data: premature end of data segment", True),
        ("Premature end of JPEG file", True),
        ("Unsupported marker type 0x53", True),
        ("tjDecompressHeader3(): Could not determine subsampling level of JPEG image", False),
        ("Insufficient memory (case 4)", False),
    ],
)
def test_only_texts_about_lost_data_count(text: str, lost_data: bool) -> None:
    assert damage_of_warning(text, b"") == (text if lost_data else "")


def sampled(picture: np.ndarray, mode: str, across: int, down: int) -> bytes:
    """A JPEG with a scan for each channel, colour sampled so much more coarsely."""
    channels = Image.fromarray(picture).convert(mode).split()
    head, scans, components = b"", b"", b""
    for number, channel in enumerate(channels, 1):
        fine = number == 1 or (mode == "CMYK" and number != 3)
        channel = ImageChops.invert(channel) if mode == "CMYK" else channel  # as Adobe's programs store it
        size = channel.size if fine else (-(-channel.width // across), -(-channel.height // down))
        data = encode(channel.resize(size), "JPEG", quality=90)
        frame, tables, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xc4"), data.index(b"\xff\xda")
        head = head or data[2:frame] + data[tables:scan]
        scans += b"\xff\xda\0\x08\x01" + bytes([number]) + b"\0\0\x3f\0" + data[scan + 10 : -2]
        components += bytes([number, across << 4 | down if fine else 0x11, 0])
    sides = HEIGHT.to_bytes(2, "big") + WIDTH.to_bytes(2, "big") + bytes([len(channels)])
    layout = b"\xff\xc0" + (8 + len(components)).to_bytes(2, "big") + b"\x08" + sides + components
    return b"\xff\xd8" + head + layout + scans + b"\xff\xd9"


@pytest.mark.parametrize("factors", [(2, 2), (4, 2), (2, 4), (3, 1), (1, 3), (3, 2)], ids=str)
@pytest.mark.parametrize("mode", ["YCbCr", "CMYK"])
def test_unusual_sampling_factors_are_no_damage(mode: str, factors: tuple[int, int]) -> None:
    data = sampled(photo(), mode, *factors)
    assert found(data) == ""
    assert np.abs(decode_grey(data).astype(int) - grey_of()).mean() < 4


@pytest.mark.parametrize("mode", ["YCbCr", "CMYK"])
def test_what_damage_leaves_in_the_pixels_is_seen_with_unusual_sampling_factors(mode: str) -> None:
    assert found(sampled(stair(photo(), 96, 160, 60), mode, 3, 2)) == "damaged"


@pytest.mark.parametrize("progressive", [False, True])
def test_errors_that_damaged_data_cause_are_no_pixels(progressive: bool) -> None:
    data = encode(photo(), "JPEG", quality=90, progressive=progressive)
    place = data.index(b"\xff\xda", len(data) // 3) if progressive else len(data) // 2
    assert found(data[:place] + b"\xff\x53" + data[place:]) in ("damaged", "decode_failed")


def test_the_check_can_be_switched_off() -> None:
    import cv2

    data = lost(encode(photo(), "JPEG", quality=95), 9000)
    assert found(data) == "damaged"
    same = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert same is not None and np.array_equal(decode_grey(data, check=False), same)


def stair(grey: np.ndarray, row: int, column: int, jump: int, step: int = 16) -> np.ndarray:
    """What a wrong difference between two blocks does to the rest."""
    shifted = grey.astype(np.int16)
    shifted[row : row + step, column:] += jump
    shifted[row + step :] += jump
    return np.clip(shifted, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("jump", [-60, -25, 25, 60])
@pytest.mark.parametrize("column", [64, 160, 240])
def test_a_jump_that_begins_inside_a_row_of_blocks_is_seen(column: int, jump: int) -> None:
    assert "jump" in visible_damage(stair(grey_of(), 96, column, jump), 16)


def test_a_large_jump_across_the_whole_width_is_seen_in_a_picture_with_content() -> None:
    assert "jump" in visible_damage(stair(grey_of(), 96, 0, 50), 16)


def test_a_part_that_is_missing_and_was_filled_with_grey_is_seen() -> None:
    picture = grey_of().copy()
    picture[144:, 100:] = 128
    picture[160:] = 128
    assert visible_damage(picture, 16) == "mid-grey below row 160"
    picture[:40] = 128  # a frame
    assert visible_damage(picture, 16) == ""


@pytest.mark.parametrize("reduction", [1, 2])
def test_a_photo_that_was_saved_again_after_it_was_cut_off_is_found(reduction: int) -> None:
    import cv2

    data = encode(photo(), "JPEG", quality=90)
    cut = cv2.imdecode(np.frombuffer(data[: len(data) // 2] + b"\xff\xd9", np.uint8), cv2.IMREAD_COLOR_RGB)
    assert cut is not None
    with pytest.raises(PhotoError, match="mid-grey below row"):
        decode_grey(encode(np.asarray(cut, np.uint8), "JPEG", quality=85), reduction=reduction)


@pytest.mark.parametrize("level", [127, 128])
@pytest.mark.parametrize("top", [160, 166, 208])
def test_a_photo_that_is_padded_with_grey_is_sound(top: int, level: int) -> None:
    padded = photo()
    padded[top:] = level
    assert visible_damage(np.asarray(Image.fromarray(padded).convert("L")), 16) == ""
    assert found(encode(padded, "JPEG", quality=90)) == ""
    padded[:, 250:] = level  # on the right as well
    assert found(encode(padded, "JPEG", quality=90)) == ""


@pytest.mark.parametrize("step", [0, 1, 2, 4, 8, 16])
def test_sound_pictures_show_nothing(step: int) -> None:
    for seed in range(8):
        assert visible_damage(grey_of(seed), step) == ""


@pytest.mark.parametrize("level", [0, 90, 128, 255])
def test_bars_and_edges_are_no_damage(level: int) -> None:
    bars = grey_of().copy()
    bars[:32] = bars[-48:] = level
    assert visible_damage(bars, 16) == ""
    poster = grey_of().copy()
    poster[96:, :128] = level
    assert visible_damage(poster, 16) == ""


@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (40, 1000), (1000, 40), (240, 17)])
def test_small_and_flat_pictures_show_nothing(shape: tuple[int, int]) -> None:
    for level in (0, 128, 200):
        assert visible_damage(np.full(shape, level, np.uint8), 16) == ""


def test_what_the_decoder_cannot_read_is_no_value() -> None:
    with pytest.raises(ValueError):
        decode_undamaged(b"\xff\xd8\xff", (1, 1), 1, 8)


def test_damage_is_found_in_a_photo_with_a_colour_profile() -> None:
    data = encode(photo(), "JPEG", quality=95, icc_profile=profile(*SPACES["Display P3"]))
    assert found(data) == ""
    assert found(lost(data, len(data) // 2)) == "damaged"
