"""Guide masks in samples: where they lie, what records state, and what becomes of photos without drawn parts."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from faceloom.pipelines.render.mask_painter import load_painter
from faceloom.pipelines.render.render_photos import PhotoToRender, render_photos
from faceloom.pipelines.render.resources import RenderResources
from faceloom.pipelines.render.sample import Sample
from faceloom.pipelines.run.stopwatch import Stopwatch
from faceloom.schemas.guide import LABEL_ORDERS, PARTS
from faceloom.schemas.labels import LabelFiles
from faceloom.schemas.photos import Reject
from faceloom.schemas.recipe import Recipe, parse_recipe
from faceloom.transforms.guide.guide_mask import iou
from tests.pipelines.rendering import steps_of

MOUTH = {"attribute": "Mouth_Slightly_Open"}
LIPS = ("u_lip", "mouth", "l_lip")
SIZE = (400, 380)
"""Width and height of the photo."""


def recipe(**changes: Any) -> Recipe:
    return parse_recipe({"name": "x", "guide": MOUTH, "output": {"image": "png"}, **changes})


def filled(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """bool (H, W): the inside of a polygon whose corners are pixel centres."""
    canvas = np.zeros(size[::-1], np.uint8)
    cv2.fillPoly(canvas, [np.rint(points * 16).astype(np.int32)], 255, shift=4)
    return canvas > 0


def png(pixels: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


def parts_of(points: np.ndarray) -> dict[str, np.ndarray]:
    """What of each part shows, at the photo's size: skin, and lips above and below an open mouth."""
    outer = filled(points[48:60], SIZE)
    inner = filled(points[60:68], SIZE)
    below = np.indices(outer.shape)[0] > points[[48, 54], 1].mean()
    return {"skin": filled(points[:17], SIZE), "u_lip": outer & ~below, "l_lip": outer & below, "mouth": inner}


def label_map(points: np.ndarray, order: tuple[str, ...] = PARTS, name: str = "celebamask_hq") -> LabelFiles:
    """A flattened map of half the photo's size."""
    values = np.zeros(SIZE[::-1], np.uint8)
    for part, where in parts_of(points).items():
        if part in order:
            values[where] = order.index(part) + 1
    return LabelFiles(name, order, (("", png(values[::2, ::2])),))


def part_files(points: np.ndarray) -> LabelFiles:
    return LabelFiles(
        "parts",
        (),
        tuple((part, png(where[::2, ::2].astype(np.uint8) * 255)) for part, where in sorted(parts_of(points).items())),
    )


@dataclass(frozen=True)
class Made:
    """A sample, decoded."""

    members: dict[str, Any]
    files: dict[str, bytes]

    @property
    def record(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self.files["json"])
        return record

    @property
    def noted(self) -> dict[str, Any]:
        """What the sample tells of its guide."""
        (step,) = [step for step in steps_of(self.record) if step["name"] == "guide"]
        return dict(step)


Make = Callable[..., Made | Reject]


@pytest.fixture
def points(synthetic: SimpleNamespace) -> np.ndarray:
    return np.asarray(synthetic.landmarks((190, 150), 90, 0.2))


@pytest.fixture
def make(synthetic: SimpleNamespace, points: np.ndarray) -> Make:
    """A function that renders one face by a recipe, with label files or without."""
    data = synthetic.encoded(synthetic.picture(*SIZE, 1))

    def render(how: Recipe, labels: LabelFiles | None = None, **changes: Any) -> Made | Reject:
        masks = tuple(range(len(how.masks)))[:1]
        face = synthetic.planned(data, points, masks, **{"width": SIZE[0], "height": SIZE[1], **changes})
        photo = PhotoToRender(data, [face], labels)
        [sample] = render_photos([photo], RenderResources(how, load_painter(how.masks)), Stopwatch())
        if isinstance(sample, Reject):
            return sample
        assert isinstance(sample, Sample)
        files = dict(sample.files)
        members = {n.partition(".")[0]: synthetic.decoded(f) for n, f in files.items() if n.endswith(".png")}
        return Made({**members, "landmarks": np.load(io.BytesIO(files["landmarks.npy"]))}, files)

    return render


def mouth_in(made: Made) -> np.ndarray:
    """Where the mouth lies in the crop, by the sample's landmarks."""
    height, width = made.members["guide"].shape
    return filled(made.members["landmarks"][48:60], (width, height))


@pytest.mark.parametrize("align", [
    {"mode": "arcface"}, {"mode": "eye_level", "size": [96, 112]}, {"mode": "face_box", "size": 256, "margin": 0.4},
])  # fmt: skip
def test_a_drawn_guide_follows_its_face_into_every_crop(make: Make, points: np.ndarray, align: dict[str, Any]) -> None:
    made = make(recipe(align=align), label_map(points))
    assert isinstance(made, Made)
    assert set(np.unique(made.members["guide"])) == {0, 255}
    guide, mouth = made.members["guide"], mouth_in(made)
    assert iou(guide, mouth) > 0.85  # a mouth is some 12 pixels high, and each edge is good to half a pixel
    assert np.abs(np.argwhere(guide).mean(axis=0) - np.argwhere(mouth).mean(axis=0)).max() < 0.5
    assert made.noted["from"] == "labels"
    assert made.noted["regions"] == list(LIPS)
    assert made.noted["share"] == pytest.approx((made.members["guide"] > 0).mean(), abs=1e-6)


def test_the_same_parts_give_the_same_guide_however_they_are_stored(make: Make, points: np.ndarray) -> None:
    ways = {
        "celebamask_hq": label_map(points),
        "face_parsing": label_map(points, LABEL_ORDERS["face_parsing"], "face_parsing"),
        "given": label_map(points, ("teeth", "l_lip", "mouth", "u_lip"), "given"),
        "parts": part_files(points),
    }
    guides = {}
    for order, labels in ways.items():
        made = make(recipe(), labels)
        assert isinstance(made, Made)
        assert made.noted["label_order"] == order
        guides[order] = made.files["guide.png"]
    assert len(set(guides.values())) == 1


def test_the_wrong_order_shows_other_parts(make: Make, points: np.ndarray) -> None:
    """Why the order is recorded: nothing else would show that the values were misread."""
    made = make(recipe(), label_map(points, LABEL_ORDERS["face_parsing"], "celebamask_hq"))
    read_wrong = LabelFiles("celebamask_hq", PARTS, label_map(points, LABEL_ORDERS["face_parsing"]).files)
    misread = make(recipe(), read_wrong)
    assert isinstance(made, Made) and isinstance(misread, Made)
    assert iou(misread.members["guide"], mouth_in(misread)) < 0.8 < iou(made.members["guide"], mouth_in(made))


def test_without_drawn_parts_reject_rejects(make: Make) -> None:
    reject = make(recipe())
    assert isinstance(reject, Reject)
    assert (reject.stage, reject.code) == ("render", "no_labels")
    assert "u_lip" in reject.message and "missing" in reject.message
    assert reject.key.endswith("-m000")


def test_without_drawn_parts_landmarks_stand_in_and_are_named(make: Make, points: np.ndarray) -> None:
    how = recipe(guide={**MOUTH, "missing": "landmarks"})
    made = make(how)
    assert isinstance(made, Made)
    assert (made.noted["from"], made.noted["label_order"]) == ("landmarks", None)
    assert made.noted["landmark_regions"] == list(LIPS)
    assert iou(made.members["guide"], mouth_in(made)) > 0.75
    drawn = make(how, label_map(points))
    assert isinstance(drawn, Made)
    assert (drawn.noted["from"], drawn.noted["landmark_regions"]) == ("labels", [])


def test_without_drawn_parts_empty_is_empty(make: Make) -> None:
    made = make(recipe(guide={**MOUTH, "missing": "empty"}, masks=[{"kind": "polygon", "shape": "A"}]))
    assert isinstance(made, Made)
    assert not made.members["guide"].any()
    assert (made.noted["from"], made.noted["share"], made.noted["covered"]) == ("empty", 0.0, None)


@pytest.mark.parametrize(
    ("missing", "outcome"), [("reject", "no_labels"), ("landmarks", "landmarks"), ("empty", "empty")]
)
def test_a_map_that_knows_only_some_of_the_parts_counts_as_missing(
    make: Make, points: np.ndarray, missing: str, outcome: str
) -> None:
    made = make(recipe(guide={**MOUTH, "missing": missing}), label_map(points, ("mouth", "skin"), "given"))
    assert (made.code if isinstance(made, Reject) else made.noted["from"]) == outcome


def test_a_part_that_was_looked_for_and_does_not_show_adds_nothing(make: Make, points: np.ndarray) -> None:
    made = make(recipe(guide={"parts": ["eye_g"]}), part_files(points))
    assert isinstance(made, Made)
    assert not made.members["guide"].any()
    assert made.noted["from"] == "labels"


@pytest.mark.parametrize("shape", list("ABCDEF"))
def test_a_mask_over_the_mouth_covers_its_guide(make: Make, points: np.ndarray, shape: str) -> None:
    made = make(recipe(masks=[{"kind": "polygon", "shape": shape}]), label_map(points))
    assert isinstance(made, Made)
    guide, mask = made.members["guide"] == 255, made.members["mask"] == 255
    assert made.noted["covered"] == pytest.approx((guide & mask).sum() / guide.sum(), abs=1e-6)
    assert made.noted["covered"] > 0.97


@pytest.mark.parametrize(
    ("wearing", "least", "most"), [("correct", 0.99, 1), ("nose_out", 0.9, 1), ("under_chin", 0, 0)]
)
def test_how_much_is_covered_depends_on_how_the_mask_is_worn(
    make: Make, points: np.ndarray, wearing: str, least: float, most: float
) -> None:
    mask = {"kind": "template", "template": "surgical", "wearing": wearing, "spread": 0}
    made = make(recipe(masks=[mask], align={"mode": "face_box", "size": 128, "margin": 0.3}), label_map(points))
    assert isinstance(made, Made)
    assert least <= made.noted["covered"] <= most


def test_without_a_mask_nothing_is_said_of_cover(make: Make, points: np.ndarray) -> None:
    made = make(recipe(), label_map(points))
    assert isinstance(made, Made)
    assert made.noted["covered"] is None


def test_augmentation_moves_the_guide_with_the_face(make: Make, points: np.ndarray) -> None:
    plain = make(recipe(), label_map(points))
    flipped = make(recipe(augment=[{"kind": "HorizontalFlip", "p": 1}]), label_map(points))
    assert isinstance(plain, Made) and isinstance(flipped, Made)
    for member in ("face", "guide"):
        assert np.array_equal(flipped.members[member], plain.members[member][:, ::-1])
    turned = make(recipe(augment=[{"kind": "Affine", "rotate": [25, 25], "p": 1}]), label_map(points))
    assert isinstance(turned, Made)
    assert iou(turned.members["guide"], mouth_in(turned)) > 0.85
    assert set(np.unique(turned.members["guide"])) == {0, 255}


def test_attributes_are_recorded_as_they_are_and_choose_nothing(make: Make, points: np.ndarray) -> None:
    facts = (("Mouth_Slightly_Open", -1), ("Smiling", 1), ("pose_yaw", 3.5))
    noted, without = (
        make(recipe(), label_map(points), attributes=facts),
        make(recipe(), label_map(points), attributes=()),
    )
    assert isinstance(noted, Made) and isinstance(without, Made)
    assert noted.record["attributes"] == dict(facts)
    assert without.record["attributes"] == {}
    assert noted.files["guide.png"] == without.files["guide.png"]


def test_a_map_of_another_photo_is_a_reject_of_this_sample(make: Make, points: np.ndarray) -> None:
    ((_, data),) = label_map(points).files
    with Image.open(io.BytesIO(data)) as image:
        square = png(np.asarray(image)[:, :120])
    reject = make(recipe(), LabelFiles("celebamask_hq", PARTS, (("", square),)))
    assert isinstance(reject, Reject)
    assert reject.code == "bad_labels"


def test_dilate_and_soften_are_applied_in_the_crop(make: Make, points: np.ndarray) -> None:
    plain, grown = make(recipe(), label_map(points)), make(recipe(guide={**MOUTH, "dilate": 3}), label_map(points))
    soft = make(recipe(guide={**MOUTH, "soften": 1.5}), label_map(points))
    assert isinstance(plain, Made) and isinstance(grown, Made) and isinstance(soft, Made)
    away = cv2.distanceTransform((plain.members["guide"] == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    assert np.array_equal(grown.members["guide"] == 255, away <= 3)
    assert len(np.unique(soft.members["guide"])) > 10
    assert (grown.noted["dilate"], soft.noted["soften"]) == (3, 1.5)


def eye_files(points: np.ndarray, order: tuple[str, ...]) -> LabelFiles:
    """Both eyes, as part files or as a map of that order."""
    eyes = {"r_eye": filled(points[36:42], SIZE), "l_eye": filled(points[42:48], SIZE)}
    if not order:
        files = tuple((part, png(where * np.uint8(255))) for part, where in sorted(eyes.items()))
        return LabelFiles("parts", (), files)
    values = sum(where * np.uint8(order.index(part) + 1) for part, where in eyes.items() if part in order)
    return LabelFiles("custom", order, (("", png(np.asarray(values, np.uint8))),))


@pytest.mark.parametrize("given", ["landmarks", "parts", "map"])
@pytest.mark.parametrize("part", ["l_eye", "r_eye"])
def test_a_part_of_one_side_shows_that_side_in_a_flipped_sample(
    make: Make, points: np.ndarray, part: str, given: str
) -> None:
    guide = {"parts": [part], "missing": "landmarks" if given == "landmarks" else "reject"}
    labels = {"landmarks": None, "parts": eye_files(points, ()), "map": eye_files(points, PARTS)}[given]
    made = make(recipe(guide=guide, augment=[{"kind": "HorizontalFlip", "p": 1}]), labels)
    assert isinstance(made, Made)
    eye = made.members["landmarks"][42:48] if part == "l_eye" else made.members["landmarks"][36:42]
    rows, columns = np.nonzero(made.members["guide"])
    assert (columns.mean(), rows.mean()) == pytest.approx(eye.mean(axis=0), abs=2)
    assert made.noted["regions"] == [part]


def test_labels_without_the_other_side_reject_flipped_samples_alone(make: Make, points: np.ndarray) -> None:
    labels = eye_files(points, ("l_eye",))
    how = recipe(guide={"parts": ["l_eye"]}, augment=[{"kind": "HorizontalFlip", "p": 0.5}])
    made = [make(how, labels, face=number) for number in range(12)]
    flips = [bool(steps_of(one.record)[1]["steps"]) for one in made if isinstance(one, Made)]
    assert flips and not any(flips)
    assert {one.code for one in made if isinstance(one, Reject)} == {"no_labels"}


@pytest.mark.parametrize("spoilt", ["proportions", "values", "bytes"])
def test_masks_alone_go_on_without_labels_that_cannot_be_used(make: Make, points: np.ndarray, spoilt: str) -> None:
    ((_, data),) = label_map(points).files
    with Image.open(io.BytesIO(data)) as image:
        pixels = np.asarray(image)
    maps = {"proportions": png(pixels[:, :120]), "values": png(np.full_like(pixels, 99)), "bytes": b"no picture"}
    labels = LabelFiles("celebamask_hq", PARTS, (("", maps[spoilt]),))
    masked: dict[str, Any] = {"guide": None, "masks": [{"kind": "template", "template": "surgical"}]}
    found, without = make(recipe(**masked), labels), make(recipe(**masked))
    assert isinstance(found, Made) and isinstance(without, Made) and found.files == without.files
    reject = make(recipe(**masked, faces={"occluded": "reject"}), labels)
    assert isinstance(reject, Reject) and reject.code == "bad_labels"
