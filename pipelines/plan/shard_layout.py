"""Plan: divide chosen faces into shards and parts. Reads no pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.plan.choose import ChosenFaces
from faceloom.pipelines.plan.inputs import all_inputs, settings_digest
from faceloom.pipelines.plan.planned_faces import PlannedFaces
from faceloom.pipelines.plan.prefix_tree import Leaf, leaves
from faceloom.pipelines.plan.uniform_attributes import uniform_attributes
from faceloom.schemas.keys import POSITION_BITS, digest, prefix_name
from faceloom.schemas.plan import FaceList, FaceRows, Part, Plan, PlannedFace, Shard
from faceloom.schemas.recipe import Recipe
from faceloom.transforms.sample.frames import frame_size

PART_PHOTOS = 100
PART_SAMPLES = 1000
PNG_BYTES = 1.8
"""Approximate bytes per pixel of a photo as PNG."""
FEATURES = 4096
"""Assumed length of a feature vector, for estimates; that of VGG-Face."""


def make_plan(
    recipe: Recipe, chosen: ChosenFaces, mask_digests: Sequence[str], file_digests: Sequence[str] = ()
) -> Plan:
    """Divide chosen faces into shards and parts.

    Args:
        recipe: of the build.
        chosen: faces, in any order, and rejects.
        mask_digests: for each mask of the recipe, a digest of everything that its look depends on.
        file_digests: of the other files that the recipe names, in a fixed order.

    Returns:
        The plan; it does not depend on the order of the faces.
    """
    by_split = _by_split(uniform_attributes(chosen.faces))
    sample_bytes = estimate_sample_bytes(recipe)
    limit = max(1, min(recipe.output.shards.samples, recipe.output.shards.bytes // sample_bytes))
    least = recipe.output.shards.min_per_split
    layout = _Layout(limit, least, settings_digest(recipe, file_digests), mask_digests)
    shards = [shard for split, faces in by_split for shard in layout.shards(split, faces)]
    rejects = sorted(chosen.rejects, key=lambda reject: (reject.source, reject.uri, reject.key))
    name = digest([shard.name for shard in shards])
    return Plan(
        name, tuple(shards), tuple(rejects), sample_bytes, tuple(chosen.recall.items()), chosen.neighbours,
        tuple(chosen.figures.items()),
    )  # fmt: skip


def estimate_sample_bytes(recipe: Recipe) -> int:
    """Estimate the bytes of one sample in a shard, tar headers included, from the recipe."""
    output, masked, frames = recipe.output, bool(recipe.masks), recipe.align.mode == "frame"
    width, height = frame_size((4096, 3072), recipe.align.max_side) if frames else recipe.align.width_height
    lossy = 0.15 + 0.004 * max(0, output.quality - 70)
    per_pixel = {"jpg": lossy, "png": PNG_BYTES, "webp": 1.3}[output.image]
    faces = 2 if masked else 1
    members = faces + 2 + (1 + output.alpha if masked else 0)
    pixels = faces * per_pixel + (0.03 + 0.12 * output.alpha) * masked
    extra = 0.0
    if output.halves:
        members, pixels = members + 3, pixels + per_pixel
    if recipe.guide:
        members, pixels = members + 1, pixels + 0.03
    if recipe.lowres:
        small = min(recipe.lowres.largest or height, height) ** 2 * PNG_BYTES
        members = members + faces * (recipe.lowres.native + recipe.lowres.upsampled) + masked
        extra += faces * recipe.lowres.native * small + faces * recipe.lowres.upsampled * width * height * PNG_BYTES
    if output.features:
        members, extra = members + 1, extra + 4 * FEATURES
    return int(width * height * pixels + extra + 700 + 1500 + 770 * members)


@dataclass(frozen=True, slots=True)
class _Layout:
    """How faces are divided into shards and parts.

    Attributes:
        samples: most samples of a shard.
        least: fewest shards of a split.
        settings: digest of the recipe's settings.
        mask_digests: of the recipe's masks.
    """

    samples: int
    least: int
    settings: str
    mask_digests: Sequence[str]

    def shards(self, split: str, faces: FaceRows) -> list[Shard]:
        """The shards of one split."""
        places, weights = faces.places(), np.array(faces.weights())
        return [self._shard(split, faces[leaf.start : leaf.stop], leaf) for leaf in self._leaves(places, weights)]

    def _shard(self, split: str, faces: FaceRows, leaf: Leaf) -> Shard:
        inputs = all_inputs(faces, self.settings, self.mask_digests)
        # One weight for both limits of a part, its samples and its photos; the first face of a photo carries the photo.
        load = np.maximum(PART_SAMPLES // PART_PHOTOS * np.array(faces.begins()), faces.weights())
        root = Leaf(0, len(faces), leaf.prefix, leaf.length)
        parts = tuple(
            planned_part(faces[part.start : part.stop], inputs[part.start : part.stop])
            for part in leaves(list(faces.places()), load, PART_SAMPLES, bits=POSITION_BITS, root=root)
        )
        name = digest([part.digest for part in parts])[:12]
        return Shard(split, prefix_name(leaf.prefix, leaf.length), name, parts)

    def _leaves(self, places: Sequence[int], samples: npt.NDArray[np.integer]) -> list[Leaf]:
        """Leaves of at most `self.samples` samples; smaller ones until there are enough.

        The limit is halved, and is no function of the number of faces: few more photos leave most leaves as they are.
        """
        limit = self.samples
        while True:
            found = list(leaves(places, samples, limit, bits=POSITION_BITS))
            if len(found) >= self.least or limit == 1:
                return found
            limit //= 2


def planned_part(faces: FaceRows, inputs: list[list[str]]) -> Part:
    """A part of some faces. Its digest covers everything that its bytes depend on.

    Args:
        faces: of the part.
        inputs: of each face, from `sample_inputs`.
    """
    heads = bytes.fromhex("".join([one[:16] for of_face in inputs for one in of_face]))
    return Part(digest(inputs)[:24], faces, heads)


def _by_split(faces: Sequence[PlannedFace]) -> list[tuple[str, FaceRows]]:
    """The faces of each split, sorted by place, photo and key; the splits by name."""
    if isinstance(faces, PlannedFaces):  # they are in this order
        return faces.by_split()
    by_split: dict[str, list[PlannedFace]] = {}
    for face in faces:
        by_split.setdefault(face.split, []).append(face)
    for some in by_split.values():
        some.sort(key=lambda face: (face.place, face.photo_sha256, face.key))
    return [(split, FaceList(by_split[split])) for split in sorted(by_split)]
