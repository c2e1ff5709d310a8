"""Label files of every encoding mean the same, and follow their photo into its crop."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from faceloom.schemas.errors import PhotoError
from faceloom.schemas.guide import LABEL_ORDERS, PARTS
from faceloom.schemas.labels import LabelFiles
from faceloom.transforms.align import warp_image
from faceloom.transforms.geometry import similarity
from faceloom.transforms.guide.label_map import (
    OTHER,
    bit_of,
    bits_to_channels,
    channels_to_bits,
    decode_labels,
    mask_of,
    warp_labels,
)


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def square(top: int, left: int, side: int = 20, size: int = 64) -> NDArray[np.bool_]:
    mask = np.zeros((size, size), np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


def as_rgb(mask: NDArray[np.bool_]) -> bytes:
    return png(Image.fromarray(np.stack([mask * np.uint8(255)] * 3, -1)))


def as_palette(mask: NDArray[np.bool_], colours: tuple[int, ...] = (0, 0, 0, 255, 255, 255)) -> bytes:
    image = Image.frombytes("P", mask.shape[::-1], mask.astype(np.uint8).tobytes())
    image.putpalette(list(colours))
    return png(image)


def parts(**masks: bytes) -> LabelFiles:
    return LabelFiles("parts", (), tuple(sorted(masks.items())))


def flat(values: NDArray[np.uint8], order: str = "celebamask_hq", palette: bool = False) -> LabelFiles:
    image = Image.frombytes("P" if palette else "L", values.shape[::-1], values.tobytes())
    if palette:
        image.putpalette([0, 0, 0] * 256)
    return LabelFiles(order, LABEL_ORDERS[order], (("", png(image)),))


ENCODINGS: dict[str, Callable[[Any], bytes]] = {
    "rgb": as_rgb,
    "palette": as_palette,
    "palette without colours": lambda mask: as_palette(mask, (0, 0, 0, 0, 0, 0)),
    "grey": lambda mask: png(Image.fromarray(mask * np.uint8(255))),
    "faint grey": lambda mask: png(Image.fromarray(mask * np.uint8(1))),
    "one bit": lambda mask: png(Image.fromarray(mask)),
    "one channel": lambda mask: png(Image.fromarray(np.stack([mask * np.uint8(k) for k in (0, 0, 1)], -1))),
    "opaque": lambda mask: png(Image.fromarray(mask * np.uint8(255)).convert("RGBA")),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_part_files_of_every_encoding(encoding: str) -> None:
    nose, skin = square(10, 20), square(5, 5, 50)
    labels = decode_labels(parts(nose=ENCODINGS[encoding](nose), skin=ENCODINGS[encoding](skin)))
    assert (mask_of(labels.bits, ["nose"]) == nose).all()
    assert (mask_of(labels.bits, ["skin"]) == skin).all()
    assert (mask_of(labels.bits, ["nose", "skin"]) == (nose | skin)).all()
    assert not mask_of(labels.bits, ["hair"]).any()
    assert labels.known == frozenset(PARTS) and labels.order == "parts"


def test_only_wanted_parts_are_decoded() -> None:
    labels = decode_labels(parts(hair=b"no picture at all", nose=as_rgb(square(0, 0))), ["nose", "mouth"])
    assert mask_of(labels.bits, ["nose"]).sum() == 400
    broken = parts(hair=as_rgb(square(1, 1)), nose=b"no picture")
    assert not decode_labels(broken, ["mouth"]).bits.any()
    assert decode_labels(broken, ["mouth"]).bits.shape == (64, 64)


@pytest.mark.parametrize("order", LABEL_ORDERS)
@pytest.mark.parametrize("palette", [False, True])
def test_flattened_maps_in_both_orders(order: str, palette: bool) -> None:
    values = np.arange(19, dtype=np.uint8).repeat(3).reshape(19, 3)
    labels = decode_labels(flat(values, order, palette))
    for value, part in enumerate(LABEL_ORDERS[order], 1):
        assert mask_of(labels.bits, [part]).nonzero()[0].tolist() == [value] * 3
    assert not labels.bits[0].any()
    assert labels.order == order and labels.known == frozenset(PARTS)


def test_a_given_order_may_know_less() -> None:
    values = np.array([[0, 1, 2, 3]], np.uint8)
    files = LabelFiles("given", ("hair", "beard", "nose"), (("", png(Image.fromarray(values))),))
    labels = decode_labels(files)
    assert labels.known == {"hair", "nose"}
    assert [int(bits) for bits in labels.bits[0]] == [0, bit_of("hair"), OTHER, bit_of("nose")]


def test_grey_stored_as_rgb_is_a_map_and_colours_are_not() -> None:
    values = np.array([[0, 1], [2, 18]], np.uint8)
    files = LabelFiles("celebamask_hq", PARTS, (("", png(Image.fromarray(np.stack([values] * 3, -1)))),))
    assert (mask_of(decode_labels(files).bits, ["cloth"]) == (values == 18)).all()
    coloured = np.stack([values, values * 2, values], -1).astype(np.uint8)
    with pytest.raises(PhotoError, match="colours"):
        decode_labels(LabelFiles("celebamask_hq", PARTS, (("", png(Image.fromarray(coloured))),)))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (parts(nose=b"GIF89a"), "cannot be read"),
        (parts(nose=as_rgb(square(0, 0))[:60]), "cannot be read"),
        (parts(nose=as_rgb(square(0, 0)), skin=as_rgb(square(0, 0, 10, 32))), "differ in size"),
        (flat(np.full((4, 4), 19, np.uint8)), "names 18 values"),
        (LabelFiles("celebamask_hq", PARTS, (("", b""),)), "cannot be read"),
    ],
)
def test_bad_files_are_rejected_with_a_code(labels: LabelFiles, message: str) -> None:
    with pytest.raises(PhotoError, match=message) as caught:
        decode_labels(labels)
    assert caught.value.code == "bad_labels"


@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 9), width=st.integers(1, 9))
def test_planes_come_back(seed: int, height: int, width: int) -> None:
    bits = np.random.default_rng(seed).integers(0, 2**32, (height, width), np.uint32)
    channels = bits_to_channels(bits)
    assert channels.shape == (height, width, 4) and channels.dtype == np.uint8
    assert (channels_to_bits(channels) == bits).all()
    assert (channels_to_bits(cv2.flip(channels, 1).reshape(channels.shape)) == bits[:, ::-1]).all()


def draw(size: int) -> NDArray[np.uint32]:
    bits = np.zeros((size, size), np.uint32)
    unit = size // 16
    bits[2 * unit : 14 * unit, 3 * unit : 13 * unit] |= np.uint32(bit_of("skin"))
    bits[6 * unit : 10 * unit, 7 * unit : 9 * unit] |= np.uint32(bit_of("nose"))
    return bits


@pytest.mark.parametrize("label_size", [256, 512, 1024])
@pytest.mark.parametrize("angle", [0.0, 0.3, -0.8])
def test_labels_follow_their_photo(label_size: int, angle: float) -> None:
    matrix = similarity(0.1, angle, (500, 480), (56, 60))
    crop = warp_labels(draw(label_size), (1024, 1024), matrix, (112, 112))
    photo = draw(1024)
    for part in ("skin", "nose"):
        drawn = mask_of(photo, [part]).astype(np.uint8) * np.uint8(255)
        truth = warp_image(drawn, matrix, (112, 112), border="constant")
        ours = mask_of(crop, [part])
        # Only pixels on an edge may fall either way.
        assert ours[truth == 255].mean() > 0.99 and ours[truth == 0].mean() < 0.01
    assert (crop[mask_of(crop, ["nose"])] == bit_of("nose") | bit_of("skin")).all()


def test_identity_changes_nothing_and_outside_is_nothing() -> None:
    bits = draw(64)
    same = np.array([[1, 0, 0], [0, 1, 0]], np.float64)
    assert (warp_labels(bits, (64, 64), same, (64, 64)) == bits).all()
    shifted = warp_labels(bits | np.uint32(1), (64, 64), np.array([[1, 0, 50], [0, 1, 0]], np.float64), (64, 64))
    assert not shifted[:, :50].any() and shifted[:, 50:].all()


def test_twice_as_many_labels_show_the_same_place() -> None:
    same = np.array([[1, 0, 0], [0, 1, 0]], np.float64)
    bits = draw(64)
    assert (warp_labels(bits.repeat(2, 0).repeat(2, 1), (64, 64), same, (64, 64)) == bits).all()


def test_other_proportions_are_refused() -> None:
    with pytest.raises(PhotoError, match="proportions") as caught:
        warp_labels(draw(64), (1024, 768), np.eye(2, 3), (112, 112))
    assert caught.value.code == "bad_labels" and "1024 x 768" in caught.value.value
