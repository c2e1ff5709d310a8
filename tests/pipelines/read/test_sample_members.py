"""Members of one sample: which are picked, and what they are decoded to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from faceloom.pipelines.read.sample_members import check_missing, decode_member, pick_members
from faceloom.schemas.errors import FaceloomError, StorageError
from faceloom.transforms.sample.encode import encode
from tests.pipelines.read.builds import sample_files


def test_a_damaged_picture_is_named() -> None:
    with pytest.raises(StorageError, match="cannot be decoded"):
        decode_member("face.jpg", b"\xff\xd8 but no more")


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
