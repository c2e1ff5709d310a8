"""One sample: what it shows, what it says of that, and that what it says is enough to make it again."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from faceloom.pipelines.render.mask_painter import load_painter
from faceloom.pipelines.render.render_photos import PhotoToRender, render_photos
from faceloom.pipelines.render.resources import RenderResources
from faceloom.pipelines.render.sample import Sample, parents_of
from faceloom.pipelines.run.stopwatch import Stopwatch
from faceloom.schemas.guide import PARTS
from faceloom.schemas.index import Parent
from faceloom.schemas.labels import LabelFiles
from faceloom.schemas.plan import PlannedFace, PlannedMorph
from faceloom.schemas.recipe import Recipe, parse_recipe
from faceloom.transforms.augment import Layers, apply
from faceloom.transforms.halves import halves
from faceloom.transforms.lowres.degrade import degrade
from tests.known import known
from tests.pipelines.rendering import steps_of

SIZE = (300, 280)
AUGMENT = [
    {"kind": "HorizontalFlip", "p": 1.0},
    {"kind": "Affine", "p": 1.0, "shear": [-4.0, 4.0]},
    {"kind": "Perspective", "p": 0.7},
    {"kind": "RandomBrightnessContrast", "p": 0.7},
    {"kind": "HueSaturationValue", "p": 0.7},
    {"kind": "MotionBlur", "p": 0.7},
    {"kind": "GaussNoise", "p": 1.0},
    {"kind": "ImageCompression", "p": 0.7},
]


def recipe(**changes: Any) -> Recipe:
    plain = {"name": "x", "align": {"mode": "face_box", "size": 64}, "output": {"image": "png", "alpha": True}}
    return parse_recipe({**plain, **changes})


def labels() -> LabelFiles:
    """A label map: skin, with a mouth across its lower part."""
    values = np.full(SIZE[::-1], PARTS.index("skin") + 1, np.uint8)
    values[170:190, 130:190] = PARTS.index("mouth") + 1
    data = io.BytesIO()
    Image.fromarray(values).save(data, "PNG")
    return LabelFiles("celebamask_hq", PARTS, (("", data.getvalue()),))


class Studio:
    """Two photos with a face each, and samples of the first, alone or mixed with the second."""

    def __init__(self, synthetic: SimpleNamespace) -> None:
        self.synthetic = synthetic
        self.data = [synthetic.encoded(synthetic.picture(*SIZE, seed)) for seed in (1, 2)]
        sized = {"width": SIZE[0], "height": SIZE[1]}
        self.face: PlannedFace = synthetic.planned(
            self.data[0], synthetic.landmarks((160, 120), 60), (0, 1), identity="Ada", **sized
        )
        self.other: PlannedFace = synthetic.planned(
            self.data[1], synthetic.landmarks((150, 125), 56, 0.1), (), identity="Bob", uri="b.png", **sized
        )
        mixed = PlannedMorph(other=self.other, rank=0, distance=3.0, landmark_distance=0.1, texture_distance=2.0,
                             shape_weight=0.5, texture_weight=0.5)  # fmt: skip
        self.mixed = replace(self.face, morph=mixed, identity="Ada+Bob")

    def samples(self, how: Recipe, face: PlannedFace, seen: LabelFiles | None = None) -> list[Sample]:
        others = {face.morph.other.key: self.data[1]} if face.morph else {}
        photo = PhotoToRender(self.data[0], [face], seen, others)
        made = list(render_photos([photo], RenderResources(how, load_painter(how.masks)), Stopwatch()))
        assert all(isinstance(sample, Sample) for sample in made), made
        return made  # type: ignore[return-value]

    def members(self, sample: Sample) -> dict[str, Any]:
        """Decoded; arrays, and the record."""
        found: dict[str, Any] = {}
        for name, data in sample.files:
            stem, _, ending = name.rpartition(".")
            if name == "json":
                found[name] = json.loads(data)
            else:
                found[stem] = np.load(io.BytesIO(data)) if ending == "npy" else self.synthetic.decoded(data)
        return found


@pytest.fixture
def studio(synthetic: SimpleNamespace) -> Studio:
    return Studio(synthetic)


MASKS = [{"kind": "polygon", "shape": "A"}, {"kind": "template", "template": "surgical"}]


def step(sample: Sample, name: str) -> dict[str, Any]:
    [found] = [one for one in json.loads(sample.operations) if one["name"] == name]
    return dict(found)


@pytest.mark.parametrize("of", ["face", "mixed"])
@pytest.mark.parametrize("masked", [True, False])
def test_what_is_stored_makes_the_same_sample_again(studio: Studio, of: str, masked: bool) -> None:
    """The stored steps alone, applied to the sample without augmentation, give every member to the last bit."""
    more = {"guide": {"parts": ["mouth"]}, "masks": MASKS if masked else []}
    face = getattr(studio, of) if masked else replace(getattr(studio, of), masks=())
    if of == "mixed":
        more["morph"] = {}
    plain = studio.samples(recipe(**more), face, labels())
    moved = studio.samples(recipe(augment=AUGMENT, **more), face, labels())
    assert [sample.key for sample in plain] == [sample.key for sample in moved] and len(plain) == (2 if masked else 1)
    for before, after in zip(plain, moved, strict=True):
        old, new = studio.members(before), studio.members(after)
        steps = step(after, "augment")["steps"]
        assert [one["kind"] for one in steps][:2] == ["HorizontalFlip", "Affine"]
        assert steps_of(new["json"]) == json.loads(after.operations)
        pictures: dict[str, Any] = {name: old[name] for name in ("face", "masked") if name in old}
        layers = apply(steps, Layers(pictures, {"guide": old["guide"]}, {}, {"landmarks": old["landmarks"]}))
        assert all(np.array_equal(layers.pictures[name], new[name]) for name in pictures)
        assert np.array_equal(layers.masks["guide"], new["guide"]) and set(np.unique(new["guide"])) <= {0, 255}
        assert np.array_equal(layers.landmarks["landmarks"], new["landmarks"])
        assert not np.array_equal(old["face"], new["face"])


def test_everything_moves_together(studio: Studio) -> None:
    """A flip and a shift: mask, coverage, guide and landmarks lie where they lay on the face."""
    more = {"guide": {"parts": ["mouth"]}, "masks": MASKS[:1]}
    face = replace(studio.face, masks=(0,))
    [plain] = studio.samples(recipe(**more), face, labels())
    [moved] = studio.samples(recipe(augment=[{"kind": "HorizontalFlip", "p": 1.0}], **more), face, labels())
    old, new = studio.members(plain), studio.members(moved)
    for name in ("face", "masked", "mask", "alpha", "guide"):
        assert np.array_equal(new[name], old[name][:, ::-1]), name
    assert np.allclose(new["landmarks"][:17, 0], 63 - old["landmarks"][16::-1, 0], atol=1e-4)
    assert np.array_equal(new["mask"] > 0, new["alpha"] >= 127.5)


def test_each_sample_of_a_face_is_augmented_on_its_own(studio: Studio) -> None:
    first, second = studio.samples(recipe(augment=AUGMENT, masks=MASKS), studio.face)
    one, other = studio.members(first), studio.members(second)
    assert not np.array_equal(one["face"], other["face"]) and step(first, "augment") != step(second, "augment")
    same = studio.samples(recipe(augment=AUGMENT, masks=MASKS), studio.face)
    assert [sample.files for sample in same] == [first.files, second.files]
    seeded = studio.samples(recipe(augment=AUGMENT, masks=MASKS, seed=1), studio.face)
    assert step(seeded[0], "augment") != step(first, "augment")


def test_what_is_derived_comes_from_what_the_sample_shows(studio: Studio) -> None:
    how = recipe(
        augment=AUGMENT, masks=MASKS, lowres={"mode": "realistic", "sizes": [16]},
        output={"image": "png", "alpha": True, "halves": {}},
    )  # fmt: skip
    for sample in studio.samples(how, studio.face):
        shown = studio.members(sample)
        upper, lower, below = halves(shown["face"], shown["landmarks"])
        assert np.array_equal(shown["upper"], upper) and np.array_equal(shown["lower"], lower)
        assert np.array_equal(shown["lower_landmarks"], known(below))
        stored = {name: value for name, value in step(sample, "lowres").items() if name != "name"}
        assert np.array_equal(shown["lr"], degrade(shown["face"], stored).native), "from the stored parameters alone"
        assert np.array_equal(shown["lr_masked"], degrade(shown["masked"], stored).native)


def test_steps_stand_in_the_order_in_which_they_were_done(studio: Studio) -> None:
    how = recipe(
        augment=AUGMENT, masks=MASKS, morph={}, lowres={}, guide={"parts": ["mouth"]}, align={"mode": "arcface"}
    )
    for sample in studio.samples(how, studio.mixed, labels()):
        names = [one["name"] for one in json.loads(sample.operations)]
        assert names == ["morph", "labels", "mask", "align", "augment", "guide", "lowres"]
    [plain] = studio.samples(recipe(), replace(studio.face, masks=()))
    assert [one["name"] for one in json.loads(plain.operations)] == ["align"]
    assert (plain.mask, studio.members(plain)["json"]["mask"]) == ("", "")


def test_members_stand_in_the_order_of_their_names(studio: Studio) -> None:
    for sample in studio.samples(recipe(masks=MASKS, output={"image": "png", "halves": {}}, lowres={}), studio.face):
        names = [name for name, _ in sample.files]
        assert names == sorted(names) and len(set(names)) == len(names)


def test_a_morph_names_both_its_parents(studio: Studio) -> None:
    assert parents_of(studio.face) == ()
    first, second = parents_of(studio.mixed)
    assert first == Parent(studio.face.key, "Ada", "s", "a.png", studio.face.photo_sha256)
    assert second == Parent(studio.other.key, "Bob", "s", "b.png", studio.other.photo_sha256)
    [sample, _] = studio.samples(recipe(masks=MASKS, morph={}), studio.mixed)
    record = studio.members(sample)["json"]
    assert [one["identity"] for one in record["faces"]] == ["Ada", "Bob"] and record["identity"] == "Ada+Bob"
    assert record["source"]["uri"] == "a.png" and sample.key == f"{first.key}-x-{second.key}-m000"


@pytest.mark.parametrize(
    ("own", "other"), [("Ada", "Ada"), ("Ada+Bob", "Bob"), ("Bob", "Ada+Bob"), ("a+b", "a+b"), ("+", "+"), ("", "")]
)
def test_a_person_named_or_not_their_own_name_comes_back(studio: Studio, own: str, other: str) -> None:
    """Names may hold a plus sign themselves; a morph of one person with themselves has that person's name."""
    assert studio.mixed.morph is not None
    named = replace(studio.mixed.morph, other=replace(studio.other, identity=other))
    face = replace(studio.mixed, morph=named, identity=own if own == other else f"{own}+{other}")
    assert [parent.identity for parent in parents_of(face)] == [own, other]


def test_every_operation_has_the_same_fields_and_align_its_matrix(studio: Studio) -> None:
    (sample, *_) = studio.samples(recipe(masks=MASKS, augment=AUGMENT), studio.face)
    found = json.loads(dict(sample.files)["json"])["operations"]
    assert {tuple(sorted(one)) for one in found} == {("matrix", "name", "parameters", "seed")}
    fields = {one["name"]: one for one in found}
    assert (
        np.shape(fields["align"]["matrix"]) == (2, 3) and fields["align"]["matrix"] == step(sample, "align")["matrix"]
    )
    assert fields["mask"]["seed"] == step(sample, "mask")["seed"] and fields["mask"]["matrix"] == []
