"""faceloom: folders of face photos in, versioned training sets for masked-face research out.

>>> import faceloom
>>> built = faceloom.build("masked-pairs", "photos", out="out")  # doctest: +SKIP
>>> samples = faceloom.open_split("out", "train")  # doctest: +SKIP

Names are imported when they are first used, so that `import faceloom` takes no time.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faceloom.pipelines.api import build as build
    from faceloom.pipelines.api import export as export
    from faceloom.pipelines.api import plan as plan
    from faceloom.pipelines.beam import AnalysePhotos as AnalysePhotos
    from faceloom.pipelines.beam import RenderParts as RenderParts
    from faceloom.pipelines.evaluation.api import evaluate as evaluate
    from faceloom.pipelines.read.sample_lookup import open_samples as open_samples
    from faceloom.pipelines.read.split_reader import open_split as open_split
    from faceloom.pipelines.recipe.load import load_recipe as load_recipe
    from faceloom.pipelines.release.open_release import open_release as open_release
    from faceloom.pipelines.release.open_release import open_release_samples as open_release_samples
    from faceloom.pipelines.run.runners import Dask as Dask
    from faceloom.pipelines.run.runners import Dataflow as Dataflow
    from faceloom.pipelines.training.api import train as train
    from faceloom.schemas.errors import FaceloomError as FaceloomError
    from faceloom.schemas.recipe import Recipe as Recipe

    __version__: str

# In a checkout the rooms lie beside this folder, which hides an installed package from programs that run there.
_checkout = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
if os.path.isfile(os.path.join(_checkout, "pyproject.toml")):  # noqa: PTH113, PTH118
    __path__.append(_checkout)

_PLACES = {
    "AnalysePhotos": "faceloom.pipelines.beam",
    "Dask": "faceloom.pipelines.run.runners",
    "Dataflow": "faceloom.pipelines.run.runners",
    "FaceloomError": "faceloom.schemas.errors",
    "Recipe": "faceloom.schemas.recipe",
    "RenderParts": "faceloom.pipelines.beam",
    "build": "faceloom.pipelines.api",
    "evaluate": "faceloom.pipelines.evaluation.api",
    "export": "faceloom.pipelines.api",
    "load_recipe": "faceloom.pipelines.recipe.load",
    "open_release": "faceloom.pipelines.release.open_release",
    "open_release_samples": "faceloom.pipelines.release.open_release",
    "open_samples": "faceloom.pipelines.read.sample_lookup",
    "open_split": "faceloom.pipelines.read.split_reader",
    "plan": "faceloom.pipelines.api",
    "train": "faceloom.pipelines.training.api",
}

__all__ = [
    "AnalysePhotos",
    "Dask",
    "Dataflow",
    "FaceloomError",
    "Recipe",
    "RenderParts",
    "__version__",
    "build",
    "evaluate",
    "export",
    "load_recipe",
    "open_release",
    "open_release_samples",
    "open_samples",
    "open_split",
    "plan",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("faceloom")
    elif name in _PLACES:
        from importlib import import_module

        value = getattr(import_module(_PLACES[name]), name)
    else:
        raise AttributeError(f"module 'faceloom' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
