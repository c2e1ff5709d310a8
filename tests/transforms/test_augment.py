"""Augmentation: replayed from what was stored bit for bit, in step for all that belongs together; nothing is sent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any, cast, get_args

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from faceloom.schemas.augment import Augment
from faceloom.transforms.augment import Layers, apply, draw
from faceloom.transforms.mirror import MIRRORED_LANDMARKS as MIRRORED

STEPS: TypeAdapter[tuple[Any, ...]] = TypeAdapter(tuple[Augment, ...])
KINDS = [kind.__name__ for kind in get_args(get_args(Augment)[0])]
GEOMETRIC = ["HorizontalFlip", "Affine", "Perspective"]
PHOTOMETRIC = [kind for kind in KINDS if kind not in (*GEOMETRIC, "Glasses")]
Draw = Callable[..., np.ndarray]


def steps(*kinds: str, **values: Any) -> tuple[Any, ...]:
    return STEPS.validate_python(tuple({"kind": kind, "p": 1.0, **values} for kind in kinds))


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def layers(seed: int = 0, width: int = 60, height: int = 48) -> Layers:
    """A sample: a smooth face, the same with a mask on it, its truth, its alpha and landmarks."""
    made = np.random.default_rng(seed)
    face = cv2.resize(made.integers(20, 235, (6, 7, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    alpha = np.zeros((height, width), np.float32)
    cv2.ellipse(alpha, (width // 2, height * 2 // 3), (width // 4, height // 5), 10, 0, 360, 1.0, -1)
    masked = np.where(alpha[..., None] > 0, np.uint8(250), face)
    landmarks = (made.random((68, 2)) * (width, height)).astype(np.float32)
    return Layers(
        {"face": face, "masked": masked},
        {"mask": (alpha * 255).astype(np.uint8)},
        {"alpha": alpha},
        {"face": landmarks},
    )


def everything(sample: Layers) -> list[np.ndarray]:
    return [
        array
        for group in cast(
            "list[dict[str, np.ndarray]]", [sample.pictures, sample.masks, sample.alphas, sample.landmarks]
        )
        for _, array in sorted(group.items())
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_stored_replays_bit_for_bit(kind: str) -> None:
    for seed in range(3):
        drawn = draw(steps(kind), rng(seed), (60, 48))
        first = apply(drawn, layers())
        again = apply(json.loads(json.dumps(drawn)), layers())
        assert all(np.array_equal(*pair) for pair in zip(everything(first), everything(again)))


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.lists(st.sampled_from(KINDS), max_size=5))
def test_so_does_any_chain_of_them(seed: int, kinds: list[str]) -> None:
    drawn = draw(steps(*kinds), rng(seed), (60, 48))
    assert draw(steps(*kinds), rng(seed), (60, 48)) == drawn
    assert [step["kind"] for step in drawn] == kinds
    made = apply(drawn, layers())
    again = apply(json.loads(json.dumps(drawn)), layers())
    for before, first, second in zip(everything(layers()), everything(made), everything(again)):
        assert np.array_equal(first, second)
        assert (first.shape, first.dtype) == (before.shape, before.dtype)


def test_replaying_does_not_hang_on_global_chance() -> None:
    drawn = draw(steps(*PHOTOMETRIC), rng(), (60, 48))
    first = apply(drawn, layers())
    import random

    random.seed(5)
    cv2.setRNGSeed(5)
    again = apply(drawn, layers())
    assert all(np.array_equal(*pair) for pair in zip(everything(first), everything(again)))


@pytest.mark.parametrize("kind", KINDS)
def test_each_does_something_and_another_seed_something_else(kind: str) -> None:
    one, other = (apply(draw(steps(kind), rng(seed), (60, 48)), layers()).pictures["face"] for seed in (1, 2))
    assert not np.array_equal(one, layers().pictures["face"])
    if kind not in ("HorizontalFlip", "ToGray"):
        assert not np.array_equal(one, other)


@pytest.mark.parametrize("kind", PHOTOMETRIC)
def test_photometric_ones_leave_masks_and_landmarks_alone(kind: str) -> None:
    before = layers()
    after = apply(draw(steps(kind), rng(), (60, 48)), before)
    assert after.masks is before.masks and after.alphas is before.alphas and after.landmarks is before.landmarks


@pytest.mark.parametrize(
    "kind", ["GaussNoise", "RandomBrightnessContrast", "RandomGamma", "HueSaturationValue", "ToGray", "Glasses"]
)
def test_a_pair_stays_a_pair(kind: str) -> None:
    """Where face and masked face were the same, they still are: they got the same draw and the same noise."""
    before = layers()
    after = apply(draw(steps(kind), rng(), (60, 48)), before)
    outside = before.masks["mask"] == 0
    assert np.array_equal(after.pictures["face"][outside], after.pictures["masked"][outside])


def test_what_was_given_is_left_alone() -> None:
    sample = layers()
    apply(draw(steps(*KINDS), rng(), (60, 48)), sample)
    assert all(np.array_equal(*pair) for pair in zip(everything(sample), everything(layers())))


def test_probabilities_are_kept() -> None:
    both = STEPS.validate_python(({"kind": "ToGray", "p": 0.25}, {"kind": "HorizontalFlip", "p": 0.75}))
    source = rng(3)
    names = [step["kind"] for _ in range(4000) for step in draw(both, source, (9, 9))]
    assert names.count("ToGray") / 4000 == pytest.approx(0.25, abs=0.03)
    assert names.count("HorizontalFlip") / 4000 == pytest.approx(0.75, abs=0.03)


def test_values_are_drawn_from_all_of_their_range() -> None:
    source = rng(4)
    drawn = [draw(steps("ImageCompression", quality_range=(40, 43)), source, (9, 9))[0] for _ in range(200)]
    assert {step["quality_range"] for step in drawn} == {40, 41, 42, 43}
    noise = [draw(steps("GaussNoise", std_range=(0.1, 0.2)), source, (9, 9))[0]["std_range"] for _ in range(200)]
    assert 0.1 <= min(noise) < 0.11 and 0.19 < max(noise) <= 0.2
    lengths = [draw(steps("MotionBlur", blur_limit=(3, 6)), source, (9, 9))[0]["blur_limit"] for _ in range(100)]
    assert set(lengths) == {3, 5, 7}


# What moves


def test_mirroring_twice_is_nothing() -> None:
    drawn = draw(steps("HorizontalFlip", "HorizontalFlip"), rng(), (60, 48))
    *pictures, points = zip(everything(apply(drawn, layers())), everything(layers()))
    assert all(np.array_equal(*pair) for pair in pictures)
    assert np.allclose(*points, atol=1e-5)
    assert np.array_equal(MIRRORED[MIRRORED], np.arange(68))


def test_a_mirrored_face_has_its_landmarks_in_ibug_order(landmarks: Draw, portrait: Draw) -> None:
    """A face that is its own mirror image stays the same, number by number; one that is turned turns the other way."""
    upright, turned = landmarks((99.5, 90), 50), landmarks((99.5, 90), 50, yaw=0.4)
    for points, expected in ((upright, upright), (turned, landmarks((99.5, 90), 50, yaw=-0.4))):
        sample = Layers({"face": portrait(points, (200, 200))}, landmarks={"face": points})
        flipped = apply([{"kind": "HorizontalFlip"}], sample).landmarks["face"]
        assert flipped.dtype == np.float32
        assert np.allclose(flipped, expected, atol=0.6), "the synthetic face is symmetric up to that"
    assert turned[30, 0] > 99.5 > flipped[30, 0]


def test_without_pixels_to_mirror_the_parts_change_sides() -> None:
    left_eye, right_eye, left_jaw, left_brow = range(36, 42), range(42, 48), range(8), range(17, 22)
    assert set(MIRRORED[left_eye]) == set(right_eye)
    assert set(MIRRORED[left_jaw]) == set(range(9, 17))
    assert set(MIRRORED[left_brow]) == set(range(22, 27))
    assert {MIRRORED[middle] for middle in (8, 27, 30, 33, 51, 57, 62, 66)} == {8, 27, 30, 33, 51, 57, 62, 66}


def dots(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    for x, y in points:
        cv2.circle(picture, (round(x), round(y)), 3, (255, 255, 255), -1)
    return picture


@pytest.mark.parametrize("kind", GEOMETRIC)
@pytest.mark.parametrize("seed", range(4))
def test_landmarks_move_with_the_picture(kind: str, seed: int) -> None:
    points = np.zeros((68, 2), np.float32)
    points[:] = (80, 60)
    points[36], points[45] = (50, 45), (110, 70)
    sample = Layers({"face": dots(points[[0, 36, 45]], (160, 120))}, landmarks={"face": points})
    moved = apply(draw(steps(kind), rng(seed), (160, 120)), sample)
    for number in (0, 36, 45):
        x, y = moved.landmarks["face"][number]
        assert 0 <= x < 160 and 0 <= y < 120
        window = moved.pictures["face"][round(y) - 6 : round(y) + 7, round(x) - 6 : round(x) + 7, 0].astype(float)
        rows, columns = np.mgrid[-6:7, -6:7]
        assert window.sum() > 0
        assert abs((window * columns).sum() / window.sum() + round(x) - x) < 0.8
        assert abs((window * rows).sum() / window.sum() + round(y) - y) < 0.8


@pytest.mark.parametrize("border", ["constant", "reflect", "replicate"])
@pytest.mark.parametrize("kind", ["Affine", "Perspective"])
def test_mask_and_alpha_move_with_the_masked_face(kind: str, border: str) -> None:
    """Also in what is drawn in from outside: a mirrored piece of mask in the picture is mask in the truth."""
    for seed in range(5):
        sample = layers(seed)
        white = Layers({"masked": np.repeat(sample.masks["mask"][..., None], 3, axis=2)}, sample.masks, sample.alphas)
        values = {"scale": (0.5, 0.6)} if kind == "Affine" else {"scale": (0.15, 0.2)}
        moved = apply(draw(steps(kind, border=border, **values), rng(seed), (60, 48)), white)
        picture, mask, alpha = moved.pictures["masked"][..., 0], moved.masks["mask"], moved.alphas["alpha"]
        assert set(np.unique(mask)) <= {0, 255}
        assert alpha.min() >= 0 and alpha.max() <= 1 + 1e-6
        assert np.abs(picture / 255 - alpha).max() < 0.03
        assert ((alpha > 0.5) != (mask > 0)).mean() < 0.03


def test_guide_labels_stay_labels() -> None:
    guide = rng(6).choice(np.array([0, 3, 17], np.uint8), (48, 60))
    sample = Layers({"face": layers().pictures["face"]}, {"guide": guide})
    moved = apply(draw(steps("Affine", "Perspective", "HorizontalFlip"), rng(6), (60, 48)), sample)
    assert set(np.unique(moved.masks["guide"])) <= {0, 3, 17}


def test_affine_is_what_it_says() -> None:
    still = {"scale": (1.0, 1.0), "rotate": (0.0, 0.0), "translate_percent": (0.0, 0.0), "shear": (0.0, 0.0)}

    def matrix(**values: Any) -> np.ndarray:
        return np.array(draw(steps("Affine", **{**still, **values}), rng(), (61, 41))[0]["matrix"])

    centre = np.array([30, 20, 1])
    assert np.allclose(matrix(), np.eye(3))
    assert np.allclose(matrix(rotate=(30.0, 30.0)) @ centre, centre)
    assert np.allclose(matrix(rotate=(90.0, 90.0)) @ (31, 20, 1), (30, 21, 1)), "clockwise to the eye"
    assert np.allclose(matrix(scale=(2.0, 2.0)) @ (31, 22, 1), (32, 24, 1))
    assert np.allclose(matrix(translate_percent=(0.1, 0.1)) @ centre, (36.1, 24.1, 1))
    assert np.allclose(matrix(shear=(30.0, 30.0)) @ (30, 23, 1), (30 + 3 / 3**0.5, 23, 1))


@given(st.integers(0, 2**32))
def test_perspective_keeps_the_picture_the_right_way_round(seed: int) -> None:
    [step] = draw(steps("Perspective", scale=(0.2, 0.2)), rng(seed), (60, 48))
    matrix = np.array(step["matrix"])
    corners = np.linalg.solve(matrix, np.array([(0, 59, 59, 0), (0, 0, 47, 47), (1, 1, 1, 1)]))
    read = (corners[:2] / corners[2]).T
    (ux, uy), (vx, vy) = (np.roll(read, -1, 0) - read).T, (np.roll(read, -2, 0) - np.roll(read, -1, 0)).T
    assert (ux * vy - uy * vx > 0).all() and (read > -0.01).all() and (read < (59.01, 47.01)).all()


# What Albumentations does


def test_jpeg_artefacts_keep_red_red() -> None:
    red = np.zeros((48, 48, 3), np.uint8)
    red[..., 0] = 200
    made = apply([{"kind": "ImageCompression", "seed": 1, "quality_range": 60}], Layers({"face": red})).pictures["face"]
    assert abs(int(made[..., 0].mean()) - 200) < 6 and made[..., 2].mean() < 8


def test_noise_is_as_strong_as_was_drawn() -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    made = apply([{"kind": "GaussNoise", "seed": 1, "std_range": 0.04}], Layers({"face": grey})).pictures["face"]
    assert made.std() == pytest.approx(0.04 * 255, rel=0.05)
    assert made.mean() == pytest.approx(128, abs=0.3)


def test_blur_from_motion_moves_nothing() -> None:
    spot = np.zeros((41, 41, 3), np.uint8)
    spot[20, 20] = 255
    for seed in range(8):
        drawn = draw(steps("MotionBlur", blur_limit=(9, 9)), rng(seed), (41, 41))
        blurred = apply(drawn, Layers({"face": spot})).pictures["face"][..., 0].astype(float)
        rows, columns = np.mgrid[:41, :41]
        assert (blurred > 0).sum() > 4
        assert abs((blurred * rows).sum() / blurred.sum() - 20) < 0.6
        assert abs((blurred * columns).sum() / blurred.sum() - 20) < 0.6


NO_NETWORK = """
import os, socket, sys
import cv2, pydantic, scipy.ndimage, yaml  # once for all settings
sys.modules["torch"] = None  # as where it is not installed; importing it takes seconds
def refuse(*given, **named):
    sys.exit("something was sent")
socket.socket.connect = socket.getaddrinfo = refuse
import urllib.request
urllib.request.OpenerDirector.open = refuse
import numpy as np
from faceloom.transforms.augment import Layers, apply
assert "albumentations" not in sys.modules
for setting in (None, "0", "1"):
    os.environ.pop("NO_ALBUMENTATIONS_UPDATE", None)
    if setting:
        os.environ["NO_ALBUMENTATIONS_UPDATE"] = setting
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == 0, setting
        continue
    apply([{"kind": "ToGray", "seed": 1}], Layers({"face": np.zeros((8, 8, 3), np.uint8)}))
    assert "albumentations" in sys.modules
    assert "albumentations.check_version" in sys.modules
    assert os.environ.get("NO_ALBUMENTATIONS_UPDATE") == setting
    sys.exit()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_nothing_is_sent_anywhere_and_nothing_is_printed() -> None:
    done = subprocess.run([sys.executable, "-c", NO_NETWORK], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("level", [30, 250])
def test_glasses_are_the_same_on_face_and_masked_face_and_end_the_mask(
    landmarks: Draw, portrait: Draw, level: int
) -> None:
    """Whatever the mask's colour; the widest rims hide it wholly in their middle."""
    points = landmarks()
    face = portrait(points)
    alpha = np.zeros(face.shape[:2], np.float32)
    alpha[round(float(points[41, 1])) :] = 1  # up to the eyes
    masked = np.where(alpha[..., None] > 0, np.uint8(level), face)
    before = Layers({"face": face, "masked": masked}, {}, {"alpha": alpha}, {"landmarks": points})
    drawn = draw(steps("Glasses", rim_range=(0.08, 0.08), tint_range=(0.0, 0.0)), rng(), face.shape[1::-1])
    after = apply(drawn, before)
    hidden = (alpha == 1) & (after.alphas["alpha"] == 0)
    assert hidden.sum() > 20
    np.testing.assert_array_equal(after.pictures["face"][hidden], after.pictures["masked"][hidden])
    assert np.array_equal(after.pictures["face"][alpha == 0], after.pictures["masked"][alpha == 0])
    rims = (after.pictures["face"] != face).any(2)
    assert (after.alphas["alpha"] == alpha)[~rims].all()
    assert after.landmarks is before.landmarks and after.masks is before.masks


def test_a_sample_without_landmarks_gets_no_glasses() -> None:
    bare = Layers(layers().pictures)
    assert apply(draw(steps("Glasses"), rng(), (60, 48)), bare) is bare
