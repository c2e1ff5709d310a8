"""Files of a sample: which there are, and that each shows what it says."""

from __future__ import annotations

import io
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from faceloom.schemas.keys import generator
from faceloom.schemas.recipe import Recipe, parse_recipe
from faceloom.transforms.lowres.degrade import degrade, draw, small_mask
from faceloom.transforms.sample.crops import Crops
from faceloom.transforms.sample.products import face_files, mask_files, small_files
from tests.known import known

SIDE = 56


def recipe(**changes: Any) -> Recipe:
    return parse_recipe({"name": "x", "align": {"mode": "face_box", "size": SIDE}, **changes})


@pytest.fixture
def crops(synthetic: SimpleNamespace) -> Crops:
    """A face, and over its lower half a mask with a soft edge."""
    face = synthetic.picture(SIDE, SIDE, 3)
    alpha = np.clip((np.arange(SIDE)[:, None] - 30) / 8, 0, 1).astype(np.float32) * np.ones((1, SIDE), np.float32)
    masked = np.where(alpha[..., None] > 0, np.uint8(200), face)
    guide = np.zeros((SIDE, SIDE), np.uint8)
    guide[40:44, 20:30] = 255
    return Crops(face, synthetic.landmarks((28, 24), 20), masked, alpha, guide)


def files(*pairs: tuple[str, bytes]) -> dict[str, bytes]:
    found = dict(pairs)
    assert len(found) == len(pairs), "no name twice"
    return found


def array(data: bytes) -> np.ndarray:
    return np.load(io.BytesIO(data))


def test_a_face_has_its_landmarks_and_no_more_unless_asked(crops: Crops, synthetic: SimpleNamespace) -> None:
    how = recipe(output={"image": "png"})
    found = files(*face_files(Crops(crops.face, crops.landmarks), how))
    assert list(found) == ["face.png", "landmarks.npy"]
    assert np.array_equal(synthetic.decoded(found["face.png"]), crops.face)
    assert np.array_equal(array(found["landmarks.npy"]), known(crops.landmarks))


def test_without_landmarks_the_files_are_the_same_and_hold_nan(crops: Crops) -> None:
    how = recipe(output={"halves": {}})
    without, with_landmarks = (files(*face_files(one, how)) for one in (replace(crops, landmarks=None), crops))
    assert set(without) == set(with_landmarks) and len(without["landmarks.npy"]) == len(with_landmarks["landmarks.npy"])
    for name in ("landmarks.npy", "lower_landmarks.npy"):
        assert np.isnan(np.load(io.BytesIO(without[name]))).all()


@pytest.mark.parametrize(("row", "cut"), [(None, 24), (10, 10), (55, 55)])
def test_halves_are_the_face(crops: Crops, synthetic: SimpleNamespace, row: int | None, cut: int) -> None:
    how = recipe(output={"image": "webp", "halves": {"split_row": row}})
    found = files(*face_files(crops, how))
    upper, lower = (synthetic.decoded(found[f"{name}.webp"]) for name in ("upper", "lower"))
    assert len(upper) == cut and np.array_equal(np.vstack([upper, lower]), crops.face)
    below = array(found["lower_landmarks.npy"])
    assert np.allclose(below + np.array([0, cut]), known(crops.landmarks)) and below.dtype == np.float32


def test_anti_masks_halves_are_96_and_128_rows(synthetic: SimpleNamespace) -> None:
    how = parse_recipe({"name": "x", "align": {"mode": "face_box", "size": 224}, "output": {"halves": {}}})
    found = files(*face_files(Crops(synthetic.picture(224, 224), synthetic.landmarks((112, 100), 90)), how))
    assert synthetic.decoded(found["upper.jpg"]).shape == (96, 224, 3)
    assert synthetic.decoded(found["lower.jpg"]).shape == (128, 224, 3)


def test_a_guide_is_kept_without_loss(crops: Crops, synthetic: SimpleNamespace) -> None:
    found = files(*face_files(crops, recipe(output={"mask": "webp"})))
    shown = synthetic.decoded(found["guide.webp"])
    assert np.array_equal(shown if shown.ndim == 2 else shown[..., 0], known(crops.guide))


@pytest.mark.parametrize("alpha", [True, False])
def test_masked_and_its_truth(crops: Crops, synthetic: SimpleNamespace, alpha: bool) -> None:
    how = recipe(output={"image": "png", "alpha": alpha})
    found = files(*mask_files(crops, how))
    assert set(found) == {"masked.png", "mask.png"} | ({"alpha.png"} if alpha else set())
    truth = synthetic.decoded(found["mask.png"])
    assert np.array_equal(truth, crops.mask) and set(np.unique(truth)) == {0, 255}
    if alpha:
        soft = synthetic.decoded(found["alpha.png"]).astype(float) / 255
        assert crops.alpha is not None and np.abs(soft - crops.alpha).max() <= 0.5 / 255 + 1e-6


def test_without_a_mask_there_is_no_truth(crops: Crops) -> None:
    assert mask_files(Crops(crops.face, crops.landmarks), recipe()) == []


@pytest.mark.parametrize("upsampled", [True, False])
@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("masked", [True, False])
def test_low_resolution_partners_are_made_alike(
    crops: Crops, synthetic: SimpleNamespace, native: bool, upsampled: bool, masked: bool
) -> None:
    if not (native or upsampled):
        pytest.skip("a recipe asks for one of them at least")
    how = recipe(lowres={"mode": "realistic", "sizes": [14], "native": native, "upsampled": upsampled})
    assert how.lowres is not None
    drawn = draw(how.lowres, (SIDE, SIDE), generator(0, "k", "lowres"))
    shown = crops if masked else Crops(crops.face, crops.landmarks)
    found = files(*small_files(shown, how, drawn))
    names = {f"lr{m}{u}.png" for m in ("", "_masked")[: 1 + masked] for u in ([""] if native else [])}
    names |= {f"lr{m}_upsampled.png" for m in ("", "_masked")[: 1 + masked]} if upsampled else set()
    assert set(found) == names | ({"lr_mask.png"} if masked and native else set())
    for suffix, picture in (("", shown.face), ("_masked", shown.masked)):
        if picture is None:
            continue
        small = degrade(picture, drawn, upsampled=upsampled)
        if native:
            assert np.array_equal(synthetic.decoded(found[f"lr{suffix}.png"]), small.native)
        if upsampled:
            assert np.array_equal(synthetic.decoded(found[f"lr{suffix}_upsampled.png"]), known(small.upsampled))
    if masked and native and crops.alpha is not None:
        truth = synthetic.decoded(found["lr_mask.png"])
        assert np.array_equal(truth, small_mask(crops.alpha, drawn)) and truth.shape == (14, 14)
