"""What every task of a build needs, small enough to travel with it; the rest each process opens once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from faceloom.pipelines.sources.registry import open_source
from faceloom.pipelines.sources.source import Source
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.recipe import Recipe
from faceloom.schemas.source_spec import SourceSpec


@dataclass(frozen=True, slots=True)
class Context:
    """Recipe and output root of a build.

    Attributes:
        recipe: as JSON, since that pickles small and compares by content.
        root: of the output.
        mask_digests: of the recipe's masks when the build began; their files must not change under it.
        file_digests: of other files that the recipe names, likewise.
        real_heights: those that `lowres.sizes_from` named when the build began, with their numbers.
    """

    recipe_json: str
    root: str
    mask_digests: tuple[str, ...] = ()
    file_digests: tuple[str, ...] = ()
    real_heights: tuple[tuple[int, int], ...] = ()

    @property
    def recipe(self) -> Recipe:
        """The recipe, parsed once per process."""
        return _recipe(self.recipe_json)

    @property
    def storage(self) -> Storage:
        """The output."""
        return Storage(self.root)

    def source(self, name: str) -> Source:
        """A source of the recipe by name, opened once per process.

        Raises:
            SourceError: it is gone.
        """
        return _sources(self.recipe_json)[name]


@lru_cache(maxsize=4)
def _recipe(recipe_json: str) -> Recipe:
    return Recipe.model_validate_json(recipe_json)


@lru_cache(maxsize=4)
def _sources(recipe_json: str) -> dict[str, Source]:
    return {spec.source_name: open_source(spec) for spec in _specs(recipe_json)}


def _specs(recipe_json: str) -> tuple[SourceSpec, ...]:
    return _recipe(recipe_json).sources
