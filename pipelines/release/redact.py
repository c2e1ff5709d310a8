"""Take the name of an erased person out of the texts of a manifest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from faceloom.pipelines.release.traces import Traces
from faceloom.schemas.errors import RecipeError
from faceloom.schemas.recipe import parse_recipe
from faceloom.schemas.release import Release


def redacted_texts(release: Release, traces: Traces) -> dict[str, Any]:
    """The fields of a manifest that hold free texts, without the person and the photos, as plain values.

    Args:
        release: the manifest.
        traces: what is erased.
    """
    plain = release.model_dump(mode="json", include={"description", "recipe", "models", "misses"})
    for part, names in (("models", ("name", "licence")), ("misses", ("attribute", "value"))):
        plain[part] = [{**one, **{name: traces.redacted(one[name]) for name in names}} for one in plain[part]]
    return {**plain, "description": traces.redacted(plain["description"]), "recipe": _redacted(plain["recipe"], traces)}


def _redacted(recipe: dict[str, Any], traces: Traces) -> dict[str, Any]:
    """A recipe without the person in its texts. Keys stay, and so do values that it cannot be parsed without.

    A person can have the name of a template or of a key, such as `surgical` or `masks`.
    """
    sound = _is_sound(recipe)
    for holder, key in list(_texts(recipe)):
        text = holder[key]
        redacted = traces.redacted(text)
        if redacted != text:
            holder[key] = redacted
            if sound and not _is_sound(recipe):
                holder[key] = text
    return recipe


def _texts(value: dict[str, Any] | list[Any]) -> Iterator[tuple[Any, Any]]:
    """The mapping or list of each text at any depth, and its key there."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(inner, str):
            yield value, key
        elif isinstance(inner, (dict, list)):
            yield from _texts(inner)


def _is_sound(recipe: dict[str, Any]) -> bool:
    try:
        parse_recipe(recipe)
    except RecipeError:
        return False
    return True
