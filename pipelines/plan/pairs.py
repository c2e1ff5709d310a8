"""Which photos have a partner: a photo of the same face with a mask."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.analyse.analysis import Analysis
from faceloom.schemas.recipe import Recipe


def of_pairs(recipe: Recipe, analysed: Analysis) -> npt.NDArray[np.bool_]:
    """Which photos are of a source of pairs, bool (P,), if the recipe has a mask for these."""
    sources, names = analysed.photos.codes("source")
    known = np.array([name in recipe.pair_sources for name in names], bool)
    return known[sources] if recipe.wears_real and known.any() else np.zeros(len(sources), bool)


def paired(recipe: Recipe, analysed: Analysis) -> npt.NDArray[np.bool_]:
    """Which photos have a partner whose mask their faces may wear, also if it cannot be read, bool (P,)."""
    labels, texts = analysed.texts("labels")
    return of_pairs(recipe, analysed) & np.array(list(map(bool, texts)), bool)[labels]
