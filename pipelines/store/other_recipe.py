"""Refuse to replace a finished build by that of another recipe, or of other photos, unless the user asks for it."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from faceloom.pipelines.store.build_record import portable_recipe, read_record
from faceloom.pipelines.store.parquet_tables import read_index_columns
from faceloom.pipelines.store.paths import shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import RecipeError, StorageError
from faceloom.schemas.recipe import Recipe, parse_recipe

_SHOWN = 3
_REMEDY = "Choose another folder, or add --replace, which keeps the samples that do not change"


def refuse_other_recipe(storage: Storage, recipe: Recipe) -> None:
    """Refuse an output folder that holds the finished build of another recipe, or of other sources.

    More or fewer photos in the same sources are no difference, and neither is the description.

    Raises:
        StorageError: it does; names the first keys that differ.
    """
    try:
        held = read_record(storage).recipe
    except StorageError:  # there is none, or nothing that a user could lose
        return
    found = differences(_with_defaults(held), _with_defaults(portable_recipe(recipe)))
    differing = [path for path in found if path != "$.description" and not path.startswith("$.release")]
    if differing:
        more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
        what = "the output folder holds a finished build of another recipe or of other sources"
        keys = f"{', '.join(differing[:_SHOWN])}{more}"
        raise StorageError(f"{what}, which differs in {keys}", where=storage.root, remedy=_REMEDY)


def refuse_other_photos(storage: Storage, plan: str, photos: Iterable[str]) -> None:
    """Refuse an output folder whose finished build lost more than half of the photos that it had from a source.

    A recipe in `build.json` holds no full paths, since a set may lie elsewhere on another machine. So two folders of
    the same name differ by their photos alone.

    Args:
        storage: the output folder.
        plan: digest of the new plan; the same plan has the same photos.
        photos: sha256 of the photos of the new plan, of any source; one may come several times.

    Raises:
        StorageError: it has; names the source.
    """
    try:
        record = read_record(storage)
    except StorageError:
        return
    if record.plan == plan:
        return
    held: set[tuple[str, str]] = set()
    for shard in record.shards:
        with contextlib.suppress(StorageError):  # a damaged index; the build renders its shard again
            columns = read_index_columns(storage, shard_index(shard.name), ["source", "photo_sha256"])
            held.update(zip(columns["source"], columns["photo_sha256"], strict=True))
    before, used = Counter(source for source, _ in held), set(photos)
    kept = Counter(source for source, sha256 in held if sha256 in used)
    for source, count in sorted(before.items()):
        if 2 * kept[source] < count:
            raise StorageError(
                f"the output folder holds a finished build of other photos: of the {count:,} that it has from the "
                f"source {source}, {kept[source]:,} are still used",
                where=storage.root,
                remedy=_REMEDY,
            )


def _with_defaults(plain: dict[str, Any]) -> dict[str, Any]:
    """A recipe with its defaults, so that a default that is written down makes no difference."""
    try:
        return parse_recipe(plain).model_dump(mode="json")
    except RecipeError:
        return plain


def differences(one: Any, other: Any, path: str = "$") -> Iterator[str]:
    """Paths of the values in which two recipes differ, as plain values.

    >>> list(differences({"seed": 1, "masks": [{"weight": 1}]}, {"seed": 2, "masks": [{"weight": 1}]}))
    ['$.seed']
    """
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(key for key in other if key not in one)]:
            if key in one and key in other:
                yield from differences(one[key], other[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from differences(left, right, f"{path}[{number}]")
    elif one != other:
        yield path
