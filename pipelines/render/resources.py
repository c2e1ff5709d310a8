"""What rendering a recipe needs, loaded once per process, and the check that its files did not change since."""

from __future__ import annotations

from dataclasses import dataclass, field

from faceloom.pipelines.context import Context
from faceloom.pipelines.render.face_parser import WHERE as PARSER
from faceloom.pipelines.render.face_parser import load_parser, parser_digest
from faceloom.pipelines.render.features import BATCH, WHERE, FeatureExtractor, features_digest, load_extractor
from faceloom.pipelines.render.mask_painter import MaskPainter, check_masks, load_painter
from faceloom.pipelines.render.real_sizes import HeightCounts, expand_heights
from faceloom.schemas.errors import RecipeError
from faceloom.schemas.keys import digest
from faceloom.schemas.recipe import Recipe
from faceloom.transforms.parser import FaceParser

_PLACES = ("$.lowres.sizes_from", WHERE, f"{PARSER}.onnx")
"""Keys of the files in the order of `file_digests`."""


@dataclass(frozen=True, slots=True)
class RenderResources:
    """A recipe, and what rendering it needs.

    Attributes:
        recipe: what is rendered.
        painter: paints the masks.
        real_heights: heights in pixels from `lowres.sizes_from`; empty without that key.
        extractor: the network of `output.features`.
        parser: the network of `faces.parser`.
    """

    recipe: Recipe
    painter: MaskPainter = field(default_factory=MaskPainter)
    real_heights: tuple[int, ...] = ()
    extractor: FeatureExtractor | None = None
    parser: FaceParser | None = None

    @property
    def batch(self) -> int:
        """Number of faces to render together."""
        return max(self.painter.batch, BATCH if self.extractor else 1)


def file_digests(recipe: Recipe, heights: HeightCounts = ()) -> tuple[str, ...]:
    """Digests of the files that a recipe names, other than those of its masks.

    Args:
        recipe: what is rendered.
        heights: from `count_heights`.

    Raises:
        RecipeError, ModelFileError: a file cannot be read.
    """
    features = recipe.output.features
    return digest(heights), features_digest(features) if features else "", parser_digest(recipe)


def load_resources(context: Context) -> RenderResources:
    """Load what rendering the recipe of a build needs. Real heights come with the context and are not read again.

    Raises:
        RecipeError: a file changed since the build began.
    """
    recipe = context.recipe
    check_masks(recipe, context.mask_digests)
    found = file_digests(recipe, context.real_heights)
    changed = [where for where, now, then in zip(_PLACES, found, context.file_digests, strict=False) if now != then]
    if changed:
        remedy = "Run the same command again; finished shards of the old file keep their own names"
        raise RecipeError("this file changed while the build ran", where=changed[0], remedy=remedy)
    features = recipe.output.features
    extractor = load_extractor(features, found[1]) if features else None
    heights = expand_heights(context.real_heights)
    return RenderResources(recipe, load_painter(recipe.masks), heights, extractor, load_parser(recipe))
