"""What an export must know of all samples before it writes the first one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from faceloom.pipelines.export.folder_names import folder_name
from faceloom.pipelines.sources.walk import PICTURE_ENDINGS, ending
from faceloom.pipelines.store.checked_shards import Listed, reading
from faceloom.pipelines.store.parquet_tables import read_index_columns
from faceloom.pipelines.store.paths import shard_index
from faceloom.pipelines.store.storage import Storage

_JOINT = "::"


class SampleFacts(NamedTuple):
    """A sample without its bytes.

    Attributes:
        is_morph: whether it has parents.
        members: names of its files.
    """

    key: str
    identity: str
    split: str
    uri: str
    is_morph: bool
    members: tuple[str, ...]


def read_facts(storage: Storage, shards: Iterable[Listed]) -> Iterator[SampleFacts]:
    """Read the facts of all samples of some shards from their indexes.

    Raises:
        StorageError: an index is missing or damaged.
    """
    names = ("key", "identity", "split", "uri", "parents", "members")
    for shard in shards:
        index = shard_index(shard.name)
        with reading(index):
            columns = read_index_columns(storage, index, names)
        for key, identity, split, uri, parents, members in zip(*(columns[name] for name in names), strict=True):
            yield SampleFacts(key, identity, split, uri, bool(parents), tuple(one["name"] for one in members))


def read_identities(storage: Storage, shards: Iterable[Listed]) -> set[str]:
    """Read the identities of all samples of some shards. Errors as `read_facts`."""
    people: set[str] = set()
    for shard in shards:
        index = shard_index(shard.name)
        with reading(index):
            people.update(read_index_columns(storage, index, ("identity",))["identity"])
    return people


def is_picture(name: str) -> bool:
    """True if a member of a sample is a picture."""
    return ending(name) in PICTURE_ENDINGS


def is_picture_named(name: str, picture: str) -> bool:
    """True if a member is the picture with this name, given with or without its ending.

    >>> [is_picture_named(name, "lr") for name in ("lr.png", "lr_mask.png", "lr.npy")]
    [True, False, False]
    """
    return is_picture(name) and picture in (name, name.rpartition(".")[0])


def original_names(facts: Iterable[SampleFacts]) -> dict[str, str]:
    """Return a file name without ending for each sample, by key: that of its photo, as far as it is unique.

    Photos of one person and split with the same file name, and several samples of one photo, get the end of their key
    too, such as `Tony_Blair_0001-f00-m001`, or all of it if that is not unique either. Upper and lower case count as
    the same.
    """
    groups: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for fact in facts:
        stem = _stem(fact.uri)
        groups.setdefault((fact.split, fact.identity, stem.casefold()), []).append((fact.key, stem))
    names: dict[str, str] = {}
    taken: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for (split, identity, _), group in groups.items():
        ends = [key.partition("-")[2] for key, _ in group]
        for (key, stem), end in zip(group, ends, strict=True):
            more = "" if len(group) == 1 else f"-{end}" if len(set(ends)) == len(ends) else f"-{key}"
            names[key] = f"{stem}{more}"
            taken.setdefault((split, identity, names[key].casefold()), []).append((key, stem))
    for key, stem in (one for group in taken.values() if len(group) > 1 for one in group):
        names[key] = f"{stem}-{key}"  # a photo may be called as another one with the end of a key
    return names


def _stem(uri: str) -> str:
    name = uri.rpartition(_JOINT)[2].rpartition("/")[2]
    return folder_name(name.rpartition(".")[0] if ending(name) in PICTURE_ENDINGS else name)
