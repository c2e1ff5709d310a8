"""Held-out pairs: samples of `train` that choose the best epoch if a build has no split `val`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from faceloom.pipelines.read.split_pieces import split_shards
from faceloom.pipelines.store.parquet_tables import read_index_columns
from faceloom.pipelines.store.paths import shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.counted import counted
from faceloom.schemas.keys import face_key, seed_of

TRAIN, VAL = "train", "val"
HELD_OUT = 10
"""About one in `HELD_OUT` samples is held out."""


@dataclass(frozen=True, slots=True)
class Divided:
    """Keys of the samples to train on and of those held out. No person (or face, or pair) is on both sides.

    Attributes:
        text: description of the division.
    """

    train: frozenset[str]
    held_out: frozenset[str]
    text: str


def faces_of(storage: Storage, split: str) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return the faces in each sample of a split: by sample key, (identity, face key) of its face, of both for a morph.

    Raises:
        StorageError: there is no finished build, or a shard is missing or truncated.
        FaceloomError: the build has no such split.
    """
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    names = ["key", "identity", "photo_sha256", "face", "parents"]
    for shard in split_shards(storage, split):
        columns = read_index_columns(storage, shard_index(shard.name), names)
        for key, identity, photo, face, parents in zip(*(columns[name] for name in names), strict=True):
            mixed = tuple((str(parent["identity"]), str(parent["key"])) for parent in parents)
            found[key] = mixed or ((identity, face_key(photo, face)),)
    return found


def hold_out(faces: Mapping[str, tuple[tuple[str, str], ...]], seed: int) -> Divided:
    """Hold out about one in `HELD_OUT` samples, drawn by the seed, together with all samples of the same people.

    With fewer than `HELD_OUT` people, faces are held out instead of people; with a single face, samples. A morph of a
    held-out person and another one is on neither side.

    Args:
        faces: from `faces_of`; at least one sample.
        seed: of the draw.
    """
    word, groups = _groups(faces)
    sizes = _sizes(groups)
    ranked = sorted(sizes, key=lambda name: seed_of(seed, name, "held out"))
    room = max(1, sizes.total() // HELD_OUT)
    chosen: set[str] = set()
    for name in ranked:
        if sizes[name] <= room:
            chosen.add(name)
            room -= sizes[name]
    # If every group is too large, the smallest one.
    chosen = chosen or {min(ranked, key=sizes.__getitem__)}
    train = frozenset(key for key, group in groups.items() if not group & chosen)
    held_out = frozenset(key for key, group in groups.items() if group <= chosen)
    text = f"one in {HELD_OUT} of train, by seed: {word} that are not in the training pairs"
    if left := len(faces) - len(train) - len(held_out):
        text += f"; {counted(left, 'morph of both sides is', 'morphs of both sides are')} left out"
    return Divided(train, held_out, text)


def _groups(faces: Mapping[str, tuple[tuple[str, str], ...]]) -> tuple[str, dict[str, set[str]]]:
    """The name of the unit that is held out, and the units in each sample."""
    people = {key: {identity for identity, _ in shown} for key, shown in faces.items()}
    if len(_sizes(people)) >= HELD_OUT:
        return "people", people
    single = {key: {face for _, face in shown} for key, shown in faces.items()}
    return ("faces", single) if len(_sizes(single)) > 1 else ("pairs", {key: {key} for key in faces})


def _sizes(groups: Mapping[str, set[str]]) -> Counter[str]:
    """Number of samples that show only one unit, by unit."""
    return Counter(name for group in groups.values() if len(group) == 1 for name in group)
