"""What every task of a build needs, small enough to be sent with it. Each process opens sources once."""

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
    """Recipe and output folder of a build.

    Attributes:
        recipe_json: the recipe as JSON, which pickles small and compares by content.
        root: path of the output folder.
        mask_digests: digests of the masks when the build began; their files must not change during the build.
        file_digests: digests of the other files that the recipe names, likewise.
        real_heights: heights from `lowres.sizes_from` when the build began, with their frequencies.
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
            SourceError: it does not exist.
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
