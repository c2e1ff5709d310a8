"""Low-resolution partners in samples: their sizes, what they were made with, and that masked ones match bare ones."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from faceloom.pipelines.render.mask_painter import load_painter
from faceloom.pipelines.render.render_photos import PhotoToRender, render_photos
from faceloom.pipelines.render.resources import RenderResources
from faceloom.pipelines.render.sample import Sample
from faceloom.pipelines.run.stopwatch import Stopwatch
from faceloom.schemas.errors import RecipeError
from faceloom.schemas.photos import Reject
from faceloom.schemas.recipe import Recipe, parse_recipe
from faceloom.transforms.lowres.degrade import degrade, small_mask
from tests.known import known
from tests.pipelines.rendering import steps_of

GREEN = [20, 200, 40]
MODES = ["askd", "fskd", "adaface", "area", "realistic"]


def recipe(lowres: dict[str, Any], **changes: Any) -> Recipe:
    masks = [{"kind": "polygon", "shape": "C", "colour": GREEN}]
    output = {"image": "png", "alpha": True}
    return parse_recipe({"name": "x", "masks": masks, "output": output, "lowres": lowres, **changes})


Make = Callable[..., Any]


@pytest.fixture(scope="module")
def make(synthetic: SimpleNamespace) -> Make:
    """A function that renders one face by a recipe: decoded members, raw files, and what was drawn."""
    data = synthetic.encoded(synthetic.picture(400, 380, 1, blob=9))
    points = synthetic.landmarks((190, 150), 90, 0.2)

    def render(how: Recipe, heights: tuple[int, ...] = (), **changes: Any) -> Any:
        face = synthetic.planned(data, points, (0,) if how.masks else (), **{"height": 380, **changes})
        resources = RenderResources(how, load_painter(how.masks), heights)
        [sample] = render_photos([PhotoToRender(data, [face])], resources, Stopwatch())
        if isinstance(sample, Reject):
            return sample
        assert isinstance(sample, Sample)
        files = dict(sample.files)
        members = {n.partition(".")[0]: synthetic.decoded(f) for n, f in files.items() if n.endswith(".png")}
        steps = steps_of(json.loads(files["json"]))
        drawn = next((step for step in steps if step["name"] == "lowres"), None)
        landmarks = np.load(io.BytesIO(files["landmarks.npy"]))
        return SimpleNamespace(
            members=members, files=files, steps=steps, drawn=drawn, landmarks=landmarks, sample=sample
        )

    return render


@pytest.mark.parametrize(("keys", "masks", "members"), [
    ({}, True, {"lr", "lr_masked", "lr_mask"}),
    ({"upsampled": True}, True, {"lr", "lr_masked", "lr_mask", "lr_upsampled", "lr_masked_upsampled"}),
    ({"upsampled": True, "native": False}, True, {"lr_upsampled", "lr_masked_upsampled"}),
    ({"upsampled": True}, False, {"lr", "lr_upsampled"}),
])  # fmt: skip
def test_a_sample_has_the_partners_that_were_asked_for(
    make: Make, keys: dict[str, bool], masks: bool, members: set[str]
) -> None:
    made = make(recipe({"mode": "area", "sizes": [28], **keys}, **({} if masks else {"masks": []})))
    assert {name for name in made.members if name.startswith("lr")} == members
    assert {name for name, _ in made.sample.files if name.startswith("lr")} == {f"{name}.png" for name in members}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("align", "wanted"), [
    ({"mode": "arcface", "size": 112}, (28, 28)), ({"mode": "eye_level", "size": [96, 112]}, (28, 24)),
])  # fmt: skip
def test_partners_have_their_size_and_enlarged_ones_that_of_the_crop(
    make: Make, mode: str, align: dict[str, Any], wanted: tuple[int, int]
) -> None:
    made = make(recipe({"mode": mode, "sizes": [28], "upsampled": True}, align=align))
    assert made.drawn["mode"] == mode
    assert made.drawn["size"] == [wanted[1], wanted[0]]
    for name, picture in made.members.items():
        if name.startswith("lr"):
            small = not name.endswith("upsampled")
            assert picture.shape[:2] == (wanted if small else made.members["face"].shape[:2])
            assert picture.ndim == (2 if name == "lr_mask" else 3)


def test_by_area_bare_and_masked_differ_exactly_where_the_mask_lies(make: Make) -> None:
    """Where the crop is a whole multiple, each small pixel is the mean of its own block and of nothing else."""
    made = make(recipe({"mode": "area", "sizes": [28]}))
    differ = (made.members["lr"] != made.members["lr_masked"]).any(axis=2)
    touched = made.members["alpha"].reshape(28, 4, 28, 4).max(axis=(1, 3)) > 0
    assert differ[made.members["lr_mask"] == 255].all()
    assert not differ[~touched].any()
    full = made.members["alpha"].reshape(28, 4, 28, 4).min(axis=(1, 3)) == 255
    assert np.abs(made.members["lr_masked"][full].astype(int) - GREEN).max() <= 1
    assert 20 < full.sum() < touched.sum() < 28 * 28


@pytest.mark.parametrize("mode", MODES)
def test_the_small_truth_is_half_of_the_area_in_every_mode(make: Make, mode: str) -> None:
    made = make(recipe({"mode": mode, "sizes": [28]}))
    share = made.members["alpha"].reshape(28, 4, 28, 4).mean(axis=(1, 3)) / 255
    clear = np.abs(share - 0.5) > 0.01  # alpha is stored in 255 steps
    assert np.array_equal((made.members["lr_mask"] == 255)[clear], (share > 0.5)[clear])


@pytest.mark.parametrize("mode", MODES)
def test_what_was_drawn_makes_the_same_pictures_again(make: Make, mode: str) -> None:
    made = make(recipe({"mode": mode, "upsampled": True}))
    for suffix, source in (("", "face"), ("_masked", "masked")):
        again = degrade(made.members[source], made.drawn, upsampled=True)
        assert np.array_equal(again.native, made.members[f"lr{suffix}"])
        assert np.array_equal(known(again.upsampled), made.members[f"lr{suffix}_upsampled"])
    alpha = made.members["alpha"]
    clear = np.abs(cv2.resize(alpha.astype(np.float32), made.drawn["size"], interpolation=cv2.INTER_AREA) - 127.5) > 1
    assert np.array_equal(small_mask(alpha, made.drawn)[clear], made.members["lr_mask"][clear])


def test_both_pictures_see_the_same_noise(make: Make) -> None:
    """A network that compares the two must find the mask, not two exposures."""
    made = make(recipe({"mode": "realistic", "sizes": [56]}))
    covered = made.members["alpha"].reshape(56, 2, 112).max(axis=(1, 2)) > 0
    assert not covered[:22].any(), "the lens spreads the mask by 5 pixels, and JPEG no further than blocks of 16"
    bare, masked = made.members["lr"], made.members["lr_masked"]
    assert np.array_equal(bare[:16], masked[:16])
    assert (bare[32:] != masked[32:]).any()
    clean = make(recipe({"mode": "area", "sizes": [56]})).members["lr"]
    assert np.abs(bare[:16].astype(int) - clean[:16]).mean() > 1


def test_the_small_picture_comes_last_after_mask_and_augmentation(make: Make) -> None:
    made = make(recipe({"mode": "area", "sizes": [56]}, augment=[{"kind": "HorizontalFlip", "p": 1}]))
    assert [step["name"] for step in made.steps] == ["mask", "align", "augment", "lowres"]
    by_hand = cv2.resize(made.members["masked"], (56, 56), interpolation=cv2.INTER_AREA)
    assert np.array_equal(made.members["lr_masked"], by_hand)


def test_landmarks_stay_those_of_the_crop(make: Make) -> None:
    plain = make(recipe({"mode": "area", "sizes": [28]}))
    without = make(parse_recipe({"name": "x", "masks": [{"kind": "polygon", "shape": "C"}]}))
    assert np.array_equal(plain.landmarks, without.landmarks)
    assert without.drawn is None


def test_small_pictures_are_stored_without_loss_beside_jpeg(make: Make) -> None:
    output = {"image": "jpg", "quality": 60}
    jpeg, png = (make(recipe({"mode": "area", "sizes": [28]}, output=kind)) for kind in (output, {"image": "png"}))
    assert {"face.jpg", "lr.png"} <= jpeg.files.keys()
    assert jpeg.files["lr.png"] == png.files["lr.png"]


def test_each_sample_draws_its_own_size_by_its_key(make: Make) -> None:
    how = recipe({"mode": "askd", "sizes": [14, 28, 56]})
    sizes = [make(how, face=number).drawn["size"][0] for number in range(40)]
    assert sizes == [make(how, face=number).drawn["size"][0] for number in range(40)]
    assert set(sizes) == {14, 28, 56}
    assert max(map(sizes.count, (14, 28, 56))) < 28
    other = [make(recipe({"mode": "askd"}, seed=1), face=number).drawn["size"][0] for number in range(40)]
    assert other != sizes


def test_sizes_come_from_the_real_ones(make: Make) -> None:
    how = recipe({"mode": "area", "sizes_from": "sizes.txt"})
    assert {make(how, (17, 23), face=number).drawn["size"][1] for number in range(12)} == {17, 23}
    with pytest.raises(RecipeError, match=r"\$\.lowres\.sizes_from"):
        make(how)
