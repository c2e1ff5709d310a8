"""A region is a rectangle of whole pixels, clipped to its picture, and indexes it."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np

from faceloom.transforms import types
from faceloom.transforms.types import Region

ROOT = Path(types.__file__).parents[1]


def test_a_region_around_points_is_clipped_to_the_picture() -> None:
    points = np.array([(-20.0, 5.0), (30.0, 500.0)])
    region = Region.around(points, 3, (100, 50, 3))
    assert region == Region(0, 2, 34, 100)


def test_a_region_outside_the_picture_is_empty() -> None:
    outside = Region.around(np.array([(1000.0, 5.0), (1030.0, 50.0)]), 3, (100, 50))
    assert outside.shape[1] == 0
    assert np.ones((100, 50))[outside.slices].size == 0


def test_the_slices_of_a_region_cut_a_part_of_its_shape() -> None:
    picture = np.arange(12 * 9).reshape(12, 9)
    part = picture[Region(2, 3, 7, 5).slices]
    assert part.shape == Region(2, 3, 7, 5).shape == (2, 5)
    assert part[0, 0] == picture[3, 2] and part[-1, -1] == picture[4, 6]


def _aliases(path: Path) -> set[str]:
    """The names that a module gives to array types, tuples and literals at its top level."""
    assignments = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Assign)]
    kinds = ("NDArray[", "npt.NDArray[", "tuple[", "Literal[", "Sequence[")
    return {
        target.id
        for node in assignments
        if ast.unparse(node.value).startswith(kinds)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def test_no_other_module_defines_these_types_again() -> None:
    shared = _aliases(Path(types.__file__))
    assert {"Image", "Landmarks", "Matrix", "Size", "Border"} <= shared
    sources = [path for room in ("transforms", "models", "pipelines") for path in (ROOT / room).rglob("*.py")]
    again = {path.name: _aliases(path) & shared for path in sources if path.name != "types.py"}
    assert {name: found for name, found in again.items() if found} == {}
