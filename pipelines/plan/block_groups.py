"""Groups of blocks of textures: what one task of a neighbour search compares with all others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, overload

from faceloom.pipelines.plan.textures import join_blocks, open_block
from faceloom.pipelines.store.paths import search_groups
from faceloom.pipelines.store.storage import MOST_BYTES, REPAIR, Storage
from faceloom.schemas.column_types import Key, adapter
from faceloom.schemas.errors import StorageError
from faceloom.schemas.json_text import parse_json
from faceloom.schemas.morph import Morph
from faceloom.transforms.neighbours.faces import Faces, Metric

GROUP = 10
"""Blocks of textures that one task compares with all others: larger groups open each block fewer times."""


class BlockGroups(Sequence[Faces]):
    """All groups of a search. A group is opened on each access.

    Attributes:
        names: of the blocks of each group.
    """

    def __init__(self, storage: Storage, search: str) -> None:
        self._storage = storage
        self.names: list[list[Key]] = read_json(storage, search_groups(search), list[list[Key]])

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, at: int) -> Faces: ...
    @overload
    def __getitem__(self, at: slice) -> list[Faces]: ...
    def __getitem__(self, at: int | slice) -> Faces | list[Faces]:
        if isinstance(at, slice):
            return [self[number] for number in range(len(self))[at]]
        return join_blocks([open_block(self._storage, block) for block in self.names[at]])


def write_groups(storage: Storage, search: str, blocks: Sequence[str]) -> None:
    """Divide the blocks of a search into groups."""
    write_json(storage, search_groups(search), [blocks[at : at + GROUP] for at in range(0, len(blocks), GROUP)])


def metric_of(morph: Morph) -> Metric:
    """The distance between faces that a recipe asks for."""
    return Metric(morph.lambda_, 255.0 if morph.texture_units == "unit" else 1.0)


def write_json(storage: Storage, path: str, value: object) -> None:
    """Write a JSON file of a search."""
    with storage.write(path) as stream:
        stream.write(json.dumps(value, sort_keys=True).encode())


def read_json(storage: Storage, path: str, kind: Any) -> Any:
    """Read a JSON file of a search, as a value of this type.

    Raises:
        StorageError: it cannot be read, or holds another type.
    """
    try:
        return adapter(kind).validate_python(parse_json(storage.read_bytes(path), MOST_BYTES))
    except ValueError as error:
        raise StorageError("damaged: it is no JSON of a search", where=path, remedy=REPAIR) from error
