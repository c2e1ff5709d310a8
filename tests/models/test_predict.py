"""Predictions: same bits whatever the grouping, skin untouched, cutouts by seed, sizes refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

from faceloom.models.predict import Change, MaskPredictor, attached, changed
from faceloom.models.presets import PRESETS
from faceloom.schemas.errors import CheckpointError, TrainingError

COUNT = 11
FACES = np.random.default_rng(0).integers(0, 256, (COUNT, 16, 16, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, tiny: SimpleNamespace) -> dict[str, Path]:
    names = ("tiny-compact", "tiny-paper")
    return {name: tiny.make_run(tmp_path_factory.mktemp(name) / "run", PRESETS[name]) for name in names}


@pytest.fixture(scope="module")
def predictors(folders: dict[str, Path]) -> dict[str, MaskPredictor]:
    return {name: MaskPredictor.load(folder, batch=4) for name, folder in folders.items()}


@pytest.mark.parametrize("name", ["tiny-compact", "tiny-paper"])
def test_shapes_types_and_ranges(predictors: dict[str, MaskPredictor], name: str) -> None:
    predictor = predictors[name]
    assert predictor.size == 16 and predictor.preset == PRESETS[name] and predictor.card.preset == name
    got = predictor.predict(FACES, list(range(COUNT)))
    assert got.colour.shape == FACES.shape and got.colour.dtype == np.float32
    assert got.alpha.shape == FACES.shape[:3] and got.alpha.dtype == np.float32
    assert got.output.shape == FACES.shape and got.output.dtype == np.uint8
    assert got.straps.shape == got.alpha.shape and got.straps.dtype == np.float32
    assert bool(got.straps.any()) == (name == "tiny-compact")
    for values in (got.colour, got.alpha, got.straps):
        assert values.min() >= 0 and values.max() <= 1
    assert np.array_equal(np.rint(got.alpha * 255) / np.float32(255), got.alpha)


@pytest.mark.parametrize("name", ["tiny-compact", "tiny-paper"])
@settings(max_examples=15)
@given(order=st.permutations(range(COUNT)), cut=st.integers(0, COUNT))
def test_the_same_bits_whatever_the_grouping(
    predictors: dict[str, MaskPredictor], name: str, order: list[int], cut: int
) -> None:
    predictor = predictors[name]
    whole = predictor.predict(FACES, list(range(COUNT)))
    for numbers in (order[:cut], order[cut:]):
        part = predictor.predict(FACES[numbers], numbers)
        assert np.array_equal(part.colour, whole.colour[numbers])
        assert np.array_equal(part.alpha, whole.alpha[numbers])
        assert np.array_equal(part.straps, whole.straps[numbers])
        assert np.array_equal(part.output, whole.output[numbers])


def test_a_predictor_that_is_loaded_again_gives_the_same_bits(
    folders: dict[str, Path], predictors: dict[str, MaskPredictor]
) -> None:
    again = MaskPredictor.load(folders["tiny-compact"], batch=4, digest=False).predict(FACES)
    assert np.array_equal(again.output, predictors["tiny-compact"].predict(FACES).output)


def test_no_faces_are_no_error(predictors: dict[str, MaskPredictor]) -> None:
    assert predictors["tiny-compact"].predict(FACES[:0], []).output.shape == (0, 16, 16, 3)


def test_seeds_choose_cutouts_and_none_is_the_typical_one(predictors: dict[str, MaskPredictor]) -> None:
    predictor = predictors["tiny-compact"]
    same = np.repeat(FACES[:1], 40, axis=0)
    cutouts = predictor.predict(same, list(range(40))).colour
    assert len({cutout.tobytes() for cutout in cutouts}) == 5  # as many as the preset keeps
    typical = predictor.predict(same[:1]).colour[0]
    assert typical.tobytes() in {cutout.tobytes() for cutout in cutouts}
    assert np.array_equal(
        predictor.predict(same[:1], [2**64 - 1]).colour, predictor.predict(same[:1], [2**64 - 1]).colour
    )


def test_compact_mixes_face_and_colour_and_leaves_skin_alone(predictors: dict[str, MaskPredictor]) -> None:
    got = predictors["tiny-compact"].predict(FACES)
    covered = np.maximum(got.alpha, got.straps)
    bare = covered == 0
    assert 0 < bare.mean() < 1 and ((covered > 0) & (covered < 1)).any()
    assert np.array_equal(got.output[bare], FACES[bare])
    mixed = FACES * (1 - covered[..., None]) + got.colour * 255 * covered[..., None]
    assert np.abs(got.output - mixed).max() <= 0.5 + 1e-3


def test_straps_hang_on_the_mask_and_loose_pieces_are_removed() -> None:
    cover, straps = np.zeros((2, 2, 32, 32), np.float32)
    cover[0, 16:28, 10:22] = 1
    straps[0, 16, 22:25] = straps[0, 15, 28:30] = 0.8  # one strap with a gap of three pixels
    straps[0, 4:6, 4:9] = 0.8  # a piece on the forehead
    straps[1, 16, 4:9] = 0.8  # without any mask
    kept = attached(cover, straps)
    assert np.array_equal(kept[0, 15:17], straps[0, 15:17])
    assert not kept[0, :10].any() and not kept[1].any()
    assert straps[0, 4:6, 4:9].all(), "not changed"


def test_paper_paints_the_whole_picture(predictors: dict[str, MaskPredictor]) -> None:
    got = predictors["tiny-paper"].predict(FACES)
    assert np.array_equal(got.output, np.rint(got.colour * 255).astype(np.uint8))


def test_coverage_is_read_off_the_largest_region_of_strong_change() -> None:
    face = np.full((1, 32, 32, 3), 100, np.uint8)
    output = np.asarray(face / 255, np.float32)
    output[:, 14:28, 8:24] += 0.4  # the mask
    output[:, 2:5, 2:5] += 0.4  # something else that was not rebuilt
    output[:, :, 28:] += 0.05  # noise everywhere
    alpha = changed(face, output, Change())[0]
    assert alpha[17:25, 11:21].min() == 1
    assert alpha[:9].max() == 0 and alpha[:, 28:].max() == 0


@pytest.mark.parametrize("strength", [0.1, 0.2, 0.5])
def test_the_threshold_follows_the_strength_of_the_change(strength: float) -> None:
    face = np.full((1, 32, 32, 3), 100, np.uint8)
    output = np.asarray(face / 255, np.float32)
    output[:, 14:28, 8:24] += strength
    found = changed(face, output, Change())[0] > 0.5
    assert abs(int(found.sum()) - 14 * 16) < 25


def test_no_change_or_a_small_one_is_no_coverage() -> None:
    plain = np.asarray(FACES / 255, np.float32)
    assert changed(FACES, plain, Change()).max() == 0
    assert changed(FACES, plain * np.float32(0.98), Change()).max() == 0


@pytest.mark.parametrize(
    ("faces", "seeds", "said"),
    [
        (FACES.astype(np.float32), None, "uint8"),
        (FACES[0], None, "not uint8"),
        (FACES[..., :1], None, "not uint8"),
        (FACES, [1], "1 seeds for 11 faces"),
    ],
)
def test_wrong_arguments_are_refused(
    predictors: dict[str, MaskPredictor], faces: np.ndarray, seeds: list[int] | None, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        predictors["tiny-compact"].predict(faces, seeds)


def test_faces_of_another_size_are_refused_with_the_right_alignment(predictors: dict[str, MaskPredictor]) -> None:
    with pytest.raises(CheckpointError, match=r"16x16 pixels \(got 24x32\). Align with mode eye_level and size 16"):
        predictors["tiny-paper"].predict(np.zeros((2, 32, 24, 3), np.uint8))


def test_a_device_that_is_not_there_is_refused_before_the_weights_are_read(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="unknown device"):
        MaskPredictor.load(tmp_path, device="tpu")
