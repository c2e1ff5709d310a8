"""What a recipe with `align: {mode: frame}` implies and rules out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def with_all_faces(data: Any) -> Any:
    """The data of a recipe; one of frames selects all faces unless it states otherwise."""
    align = data.get("align") if isinstance(data, Mapping) else None
    if not isinstance(align, Mapping) or align.get("mode") != "frame":
        return data
    faces = data.get("faces") or {}
    return {**data, "faces": {"select": "all", **faces}} if isinstance(faces, Mapping) else data


def check_frames(recipe: Any) -> None:
    """Refuse what needs the crop of one face in a recipe of frames.

    Raises:
        ValueError: the recipe has it.
    """
    if recipe.align.mode != "frame":
        return
    if recipe.faces.select != "all" or recipe.faces.assume == "aligned":
        raise ValueError("a frame shows all faces of a photo: use `faces: {select: all, assume: photo}`")
    output = recipe.output
    extras: dict[str, object] = {
        "morph": recipe.morph,
        "augment": recipe.augment,
        "guide": recipe.guide,
        "lowres": recipe.lowres,
    }
    extras |= {"output.halves": output.halves, "output.features": output.features}
    if found := [name for name, value in extras.items() if value]:
        raise ValueError(f"a frame is no crop of one face, so there is no {' and no '.join(found)}")
