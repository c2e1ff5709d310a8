"""Learned masks in the pipeline: the right crop, the same bytes in any company, and clear refusals."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from faceloom.pipelines.render.learned_masks import (
    PredictedMask,
    check_checkpoint,
    checkpoint_digest,
    load_predictor,
    network_matrix,
    paint_predicted,
    predict_masks,
)
from faceloom.pipelines.render.mask_painter import MaskRequest, load_painter
from faceloom.schemas.errors import PhotoError, RecipeError
from faceloom.schemas.masks import AutoencoderMask
from faceloom.schemas.recipe import Align, parse_recipe
from faceloom.transforms.align import five_points
from faceloom.transforms.geometry import apply_affine, compose, invert, translate
from faceloom.transforms.sample.working import Working, crop_matrix, cut_working

torch = pytest.importorskip("torch")
EYE_LEVEL = Align(mode="eye_level", size=16)


def mask(run: Path, **changes: Any) -> AutoencoderMask:
    return AutoencoderMask(**{"kind": "autoencoder", "checkpoint": str(run), **changes})


def working(synthetic: SimpleNamespace, seed: int = 0, *, landmarks: bool = True) -> Working:
    how = parse_recipe({"name": "x", "align": {"mode": "face_box", "size": 64, "margin": 0.3}})
    points = synthetic.landmarks((100 + seed, 90), 50, 0.1)
    changes = {} if landmarks else {"landmarks": b"", "box": (-0.5, -0.5, 239.5, 219.5), "width": 240, "height": 220}
    face = synthetic.planned(b"", points, **changes)
    return cut_working(synthetic.picture(240, 220, seed), face, crop_matrix(how, face), 1, how)


def paint(run: Path, pictures: list[Working], seeds: list[int], **changes: Any) -> list[Any]:
    wanted = mask(run, **changes)
    found = predict_masks(wanted, checkpoint_digest(0, wanted), pictures, seeds)
    painted = []
    for picture, one in zip(pictures, found, strict=True):
        assert isinstance(one, PredictedMask), one
        painted.append(paint_predicted(wanted, picture, one))
    return painted


def test_the_network_sees_the_face_as_its_training_data_showed_it(synthetic: SimpleNamespace) -> None:
    picture = working(synthetic)
    assert picture.landmarks is not None
    eyes = apply_affine(network_matrix(EYE_LEVEL, picture, 16), five_points(picture.landmarks)[:2])
    assert eyes[0, 1] == pytest.approx(eyes[1, 1], abs=1e-3)
    assert eyes[1, 0] - eyes[0, 0] == pytest.approx(0.315 * 16, abs=1e-3)
    arcface = apply_affine(network_matrix(Align(mode="arcface"), picture, 112), picture.landmarks[[30]])
    assert arcface[0] == pytest.approx([56, 72], abs=6)


def test_five_points_of_the_source_align_the_network_too(synthetic: SimpleNamespace) -> None:
    picture = working(synthetic)
    assert picture.landmarks is not None
    moved = replace(picture, five=five_points(picture.landmarks) + 5)
    for mode in ("arcface", "eye_level"):
        align = Align(mode=mode, size=16)
        shifted = compose(network_matrix(align, picture, 16), translate(-5, -5))
        assert network_matrix(align, moved, 16) == pytest.approx(shifted, abs=1e-4)


def test_without_landmarks_it_sees_the_middle_of_the_photo(synthetic: SimpleNamespace) -> None:
    picture = working(synthetic, landmarks=False)
    assert picture.landmarks is None and picture.landmarks_crop is None
    matrix = network_matrix(EYE_LEVEL, picture, 16)
    centre = apply_affine(matrix, np.array([[picture.box.centre[0], picture.box.centre[1]]]))
    assert centre[0] == pytest.approx([7.5, 7.5], abs=0.1)
    assert matrix[0, 0] == pytest.approx(16 / 220, abs=1e-3)


def test_a_face_looks_the_same_in_any_company(tiny_run: Path, synthetic: SimpleNamespace) -> None:
    """Parts and photos may be cut otherwise; the bytes of a sample may not depend on that."""
    pictures = [working(synthetic, seed, landmarks=seed % 3 > 0) for seed in range(5)]
    together = paint(tiny_run, pictures, [7, 8, 9, 10, 11])
    for number, picture in enumerate(pictures):
        [alone] = paint(tiny_run, [picture], [7 + number])
        assert np.array_equal(alone.image, together[number].image)
        assert np.array_equal(alone.alpha, together[number].alpha)


def test_composite_leaves_what_is_not_covered_and_the_record_says_how(
    tiny_run: Path, synthetic: SimpleNamespace
) -> None:
    picture, whole = working(synthetic), working(synthetic, landmarks=False)
    painted, other = paint(tiny_run, [picture, whole], [1, 1])
    bare = painted.alpha == 0
    assert np.array_equal(painted.image[bare], picture.image[bare])
    assert painted.alpha.shape == picture.image.shape[:2]
    assert (painted.parameters["placed_by"], other.parameters["placed_by"]) == ("landmarks", "whole_photo")
    assert painted.parameters["weights"] == checkpoint_digest(0, mask(tiny_run))
    assert {"preset", "device", "blend", "enlarged"} <= painted.parameters.keys()
    json.dumps(painted.parameters, allow_nan=False)


def test_a_face_that_cannot_be_cut_out_spoils_only_itself(tiny_run: Path, synthetic: SimpleNamespace) -> None:
    good = working(synthetic)
    assert good.landmarks is not None
    bad = replace(good, landmarks=good.landmarks + 9000)
    wanted = mask(tiny_run)
    first, second, third = predict_masks(wanted, checkpoint_digest(0, wanted), [good, bad, good], [1, 2, 1])
    assert isinstance(first, PredictedMask) and isinstance(third, PredictedMask)
    assert np.array_equal(paint_predicted(wanted, good, first).image, paint_predicted(wanted, good, third).image)
    assert isinstance(second, PhotoError) and second.code == "crop_outside"
    with pytest.raises(PhotoError, match=re.escape(str(second))):
        load_painter((wanted,)).paint(MaskRequest(bad, wanted, 2, second))


def test_a_network_is_loaded_once_per_process_and_anew_for_other_weights(tiny_run: Path) -> None:
    assert load_predictor(str(tiny_run), "a") is load_predictor(str(tiny_run), "a")
    assert load_predictor(str(tiny_run), "a") is not load_predictor(str(tiny_run), "b")


def test_no_checkpoint_is_a_recipe_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "card.json").write_text('{"a": 1}')
    for name in ("missing", "empty", "foreign"):
        for refuse in (checkpoint_digest, check_checkpoint):
            with pytest.raises(RecipeError) as caught:
                refuse(3, mask(tmp_path / name))
            assert caught.value.where == "$.masks[3].checkpoint"


def test_damaged_weights_are_refused_before_any_work(tiny_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    weights = run / "best.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    checkpoint_digest(0, mask(run))
    with pytest.raises(RecipeError, match="sha256"):
        check_checkpoint(0, mask(run))
    weights.write_bytes(data[:-7])
    with pytest.raises(RecipeError, match="bytes"):
        checkpoint_digest(0, mask(run))


def test_a_network_whose_output_is_no_number_is_refused_before_any_work(tiny_run: Path, tmp_path: Path) -> None:
    """Its weights are finite, but the root of a negative variance is not."""
    from faceloom.models.checkpoint import BEST, read_card, write_card, write_weights
    from faceloom.models.weights_file import read_weights

    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    tensors = {name: tensor.clone() for name, tensor in read_weights(run / BEST)[0].items()}
    tensors["stem.norm.running_var"][:] = -1
    card = read_card(run)
    write_card(run, card.model_copy(update={"files": {BEST: write_weights(run / BEST, tensors)}}))
    with pytest.raises(RecipeError, match=r"masks.0..checkpoint: cannot be used: .*not a finite number"):
        check_checkpoint(0, mask(run))


def test_the_threads_of_the_process_that_builds_stay_as_they_were(
    tiny_run: Path, synthetic: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from faceloom.models.predict import MaskPredictor

    seen: list[int] = []
    real = MaskPredictor.predict

    def watched(self: MaskPredictor, *given: Any) -> Any:
        seen.append(torch.get_num_threads())
        return real(self, *given)

    before = torch.get_num_threads()
    monkeypatch.setattr(MaskPredictor, "predict", watched)
    torch.set_num_threads(3)
    try:
        paint(tiny_run, [working(synthetic)], [0])
        assert seen == [1] and torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("mode", ["arcface", "eye_level", "face_box"])
def test_a_face_with_unsure_landmarks_is_shown_by_its_box(
    mode: Any, tiny_run: Path, synthetic: SimpleNamespace
) -> None:
    how = parse_recipe({"name": "x", "align": {"mode": "arcface", "size": 64}})
    face = synthetic.planned(b"", synthetic.landmarks((100, 90), 50, 0.1))
    face = replace(face, landmarks=b"", detector="yunet", landmarks_unsure=True, width=240, height=220)
    picture = cut_working(synthetic.picture(240, 220, 1), face, crop_matrix(how, face), 1, how)
    matrix = network_matrix(Align(mode=mode, size=16), picture, 16)
    middle = apply_affine(matrix, np.array([picture.box.centre]))[0]
    assert middle == pytest.approx((7.5, 7.5), abs=3)
    (painted,) = paint(tiny_run, [picture], [1])
    assert painted.parameters["placed_by"] == "box"


def test_a_fitted_network_crop_lies_in_the_photo_as_its_training_data(synthetic: SimpleNamespace) -> None:
    picture = working(synthetic)
    align = Align(mode="face_box", size=16, margin=1.5, beyond="fit")
    to_photo = compose(invert(picture.matrix_photo), picture.matrix)
    corners = apply_affine(compose(to_photo, invert(network_matrix(align, picture, 16))), CORNERS)
    width, height = picture.photo_size
    assert corners.min() >= -0.51 and (corners.max(0) <= np.array([width, height]) - 0.49).all()
    kept = network_matrix(align.model_copy(update={"beyond": "keep"}), picture, 16)
    assert apply_affine(compose(to_photo, invert(kept)), CORNERS).min() < -5


CORNERS = np.array([(-0.5, -0.5), (15.5, -0.5), (15.5, 15.5), (-0.5, 15.5)])
