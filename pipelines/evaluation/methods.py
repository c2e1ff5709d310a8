"""Methods that an evaluation compares: networks, masks from landmarks, and two bounds: target and bare face."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from faceloom.schemas.errors import FaceloomError, PhotoError, StorageError
from faceloom.schemas.keys import generator, seed_of
from faceloom.schemas.masks import PolygonMask, TemplateMask
from faceloom.transforms.masks.polygon import paint_polygon
from faceloom.transforms.masks.template import paint_template
from faceloom.transforms.types import BoolMask, Image

if TYPE_CHECKING:
    from faceloom.models.predict import MaskPredictor


NIST_BLACK = PolygonMask(kind="polygon", shape="A", colour=(0, 0, 0))
"""The baseline of Lee 2022: the wide, high polygon of NISTIR 8311 in black."""
LARGER = 2
"""Factor by which a crop is enlarged to paint a template, as a build paints on the photo; then it is shrunk."""
USUAL = TemplateMask(kind="template", template="surgical")
"""Template if the recipe of the build has none."""


@dataclass(frozen=True, eq=False)
class Pair:
    """One sample of a build, decoded.

    Attributes:
        people: in the picture; two in a morph.
        face, target: uint8 (H, W, 3), RGB: the bare face, and the same with a mask.
        truth: bool (H, W), where that mask is.
        landmarks: float32 (68, 2) in pixels of the crop; None if the sample has none.
    """

    key: str
    people: frozenset[str]
    mask: str
    face: Image
    target: Image
    truth: BoolMask
    landmarks: NDArray[np.float32] | None

    @classmethod
    def from_sample(cls, sample: Mapping[str, Any]) -> Pair:
        """Make a pair from a sample of `open_split`.

        Raises:
            FaceloomError: the sample has no masked face.
            StorageError: its pictures differ in size, or its record names no person or mask.
        """
        missing = [name for name in ("face", "masked", "mask", "json") if name not in sample]
        if missing:
            remedy = "Evaluate a build of masked faces; recipes/lee2022.yaml makes one"
            raise FaceloomError(
                "the sample has no such member", where=sample["__key__"], value=", ".join(missing), remedy=remedy
            )
        shapes = {sample[name].shape[:2] for name in ("face", "masked", "mask")}
        facts = sample["json"]
        people = facts["people"] if isinstance(facts.get("people"), list) else []
        if len(shapes) > 1 or not people or not all(isinstance(text, str) for text in (*people, facts.get("mask"))):
            what = "its pictures differ in size, or its record names no person or mask"
            remedy = "Build the dataset again with this version of faceloom"
            raise StorageError(f"the sample cannot be evaluated: {what}", where=sample["__key__"], remedy=remedy)
        landmarks = sample.get("landmarks")
        return cls(
            key=sample["__key__"],
            people=frozenset(map(str, people)),
            mask=facts["mask"],
            face=sample["face"],
            target=sample["masked"],
            truth=sample["mask"] >= 128,
            landmarks=None if landmarks is None or np.isnan(landmarks).all() else landmarks,
        )


@dataclass(frozen=True, eq=False)
class Masked:
    """A face as a method masks it: uint8 (H, W, 3), RGB, and bool (H, W), where its mask is."""

    output: Image
    region: BoolMask


class Method(Protocol):
    """Something that masks faces."""

    @property
    def name(self) -> str:
        """As tables and sheets call it."""

    def mask(self, pairs: Sequence[Pair]) -> list[Masked | None]:
        """Mask the faces; None for those that it cannot mask. Never looks at the target."""


@dataclass(frozen=True)
class NoMask:
    """Leaves every face unchanged: the lower bound."""

    name: str = "no mask"

    def mask(self, pairs: Sequence[Pair]) -> list[Masked | None]:
        """The faces."""
        return [Masked(pair.face, np.zeros_like(pair.truth)) for pair in pairs]


@dataclass(frozen=True)
class Target:
    """Returns the targets: the upper bound, and how much of the bare face their straps and shadows change."""

    name: str = "target"

    def mask(self, pairs: Sequence[Pair]) -> list[Masked | None]:
        """The targets."""
        return [Masked(pair.target, pair.truth) for pair in pairs]


@dataclass(frozen=True)
class Polygon:
    """Paints the black polygon from the landmarks, on the crop."""

    name: str = "black polygon"

    def mask(self, pairs: Sequence[Pair]) -> list[Masked | None]:
        """Masked faces; None without landmarks."""
        return [None if pair.landmarks is None else self._paint(pair.face, pair.landmarks) for pair in pairs]

    def _paint(self, face: Image, landmarks: NDArray[np.float32]) -> Masked:
        painted = paint_polygon(face, landmarks, NIST_BLACK)
        return Masked(painted.image, painted.alpha >= 0.5)


@dataclass(frozen=True)
class AnotherTemplate:
    """Draws another mask of the recipe, by weight, and paints it from the landmarks, on the crop.

    It knows place and look of masks, but not which mask the target wears. A network has to guess that too, so this is
    the level that it can reach.
    """

    masks: tuple[TemplateMask, ...]
    name: str = "another template"

    @classmethod
    def of_recipe(cls, recipe: Mapping[str, Any]) -> AnotherTemplate:
        """With the templates of a recipe, given as plain values; a surgical one if it has none."""
        masks = [TemplateMask(**mask) for mask in recipe.get("masks", ()) if mask["kind"] == "template"]
        # The record of a build has the name of a fabric's file, and not its pixels.
        ours = (mask.model_copy(update={"pattern": "any"}) if mask.fabric else mask for mask in masks)
        return cls(tuple(ours) or (USUAL,))

    def mask(self, pairs: Sequence[Pair]) -> list[Masked | None]:
        """Masked faces; None without landmarks, or if no mask fits them."""
        return [self._paint(pair) for pair in pairs]

    def _paint(self, pair: Pair) -> Masked | None:
        if pair.landmarks is None:
            return None
        rng = generator(0, pair.key, "another template")
        weights = np.array([mask.weight for mask in self.masks])
        drawn = self.masks[int(rng.choice(len(self.masks), p=weights / weights.sum()))]
        large = _resized(pair.face, LARGER)
        landmarks = (pair.landmarks + 0.5) * LARGER - 0.5
        try:
            painted = paint_template(large, landmarks, drawn, rng)
        except PhotoError:
            return None
        touched = _resized((painted.image != large).any(2).astype(np.float32), 1 / LARGER) > 0
        output = np.where(touched[..., None], _resized(painted.image, 1 / LARGER), pair.face)
        return Masked(output, _resized(painted.alpha, 1 / LARGER) >= 0.5)


def _resized(picture: NDArray[Any], factor: float) -> NDArray[Any]:
    import cv2

    way = cv2.INTER_CUBIC if factor > 1 else cv2.INTER_AREA
    return np.asarray(cv2.resize(picture, None, fx=factor, fy=factor, interpolation=way))


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network; the key of a face draws its mask cutout, so results are repeatable."""

    name: str
    predictor: MaskPredictor

    def mask(self, pairs: Sequence[Pair]) -> list[Masked | None]:
        """The masked faces, all of them."""
        faces = np.stack([pair.face for pair in pairs])
        predicted = self.predictor.predict(faces, [seed_of(0, pair.key, "look") for pair in pairs])
        return [Masked(output, alpha >= 0.5) for output, alpha in zip(predicted.output, predicted.alpha, strict=True)]
