"""Made-up releases and folders of releases, written sample by sample."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from faceloom.pipelines.release.manifest import pool_name, published
from faceloom.pipelines.release.provenance import count_content
from faceloom.pipelines.release.publish import write_release
from faceloom.pipelines.release.root import locked_root
from faceloom.pipelines.store.build_record import ShardRecord
from faceloom.pipelines.store.parquet_tables import write_index
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.tar_writer import END, append_sample, sample_length
from faceloom.schemas.index import IndexRow, Parent
from faceloom.schemas.keys import digest, face_key, morph_key, variant_key
from faceloom.schemas.release import Release, ReleaseShard
from faceloom.transforms.sample.encode import encode, npy

SIDE = 24


@dataclass(frozen=True)
class One:
    """A sample: a photo of a person, possibly a morph with another one.

    Attributes:
        photo: its number decides the key, the sha256 and the pixels.
        look: changes its pixels.
        other: the other parent of a morph.
        note: changes its `json` alone.
        origin: changes the record of its origin in the index alone.
    """

    photo: int
    identity: str
    split: str = "train"
    look: int = 0
    mask: str = "A"
    other: One | None = None
    note: str = ""
    origin: str = ""
    licence: str | None = "CC0"
    source: str = "s"
    shard: int = 0

    @property
    def sha256(self) -> str:
        """Of its photo."""
        return digest("photo", self.photo)

    @property
    def face(self) -> str:
        """Key of its face."""
        return face_key(self.sha256, 0)

    @property
    def key(self) -> str:
        """Of the sample."""
        return variant_key(morph_key(self.face, self.other.face) if self.other else self.face, 0)

    @property
    def uri(self) -> str:
        """Of its photo."""
        return f"{self.identity}/{self.photo:04d}.png"

    @property
    def people(self) -> tuple[str, ...]:
        """Everyone in it."""
        return tuple(dict.fromkeys([self.identity, *([self.other.identity] if self.other else [])]))


@dataclass(frozen=True)
class Located(One):
    """A sample whose photo has another path than those of its person."""

    path: str = ""

    @property
    def uri(self) -> str:
        """Of its photo."""
        return self.path


def picture(one: One) -> np.ndarray:
    """uint8 (SIDE, SIDE, 3): soft blobs that depend on the photo, and on the other photo of a morph."""
    import cv2

    rng = np.random.default_rng([one.photo, one.look, one.other.photo if one.other else 0])
    return np.asarray(
        cv2.resize(rng.integers(0, 256, (6, 6, 3), np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    )


def files_of(one: One) -> list[tuple[str, bytes]]:
    """Its members."""
    face = picture(one)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[SIDE // 2 :] = 255
    record: dict[str, Any] = {
        "key": one.key,
        "identity": one.identity,
        "split": one.split,
        "mask": one.mask,
        "note": one.note,
    }
    record |= {"source": {"uri": one.uri, "sha256": one.sha256}, "parents": [p.uri for p in (one, one.other) if p]}
    return [
        ("face.png", encode(face, "png", 100)),
        ("json", json.dumps(record).encode()),
        ("landmarks.npy", npy(np.full((68, 2), one.photo, np.float32))),
        ("mask.png", encode(mask, "png", 100)),
        ("masked.png", encode(np.where(mask[..., None] > 0, 255 - face, face), "png", 100)),
    ]


def _parent(one: One) -> Parent:
    return Parent(one.face, one.identity, one.source, one.uri, one.sha256)


def row_of(one: One, offset: int, members: Any) -> IndexRow:
    """Its row of the index."""
    return IndexRow(
        key=one.key, identity="+".join(one.people), split=one.split, part="ab" * 8, inputs=digest(repr(one))[:24],
        offset=offset, length=sample_length(members), members=members, mask=one.mask, source=one.source, uri=one.uri,
        photo_sha256=one.sha256, face=0, people=one.people,
        parents=(_parent(one), _parent(one.other)) if one.other else (),
        operations=json.dumps([{"name": "mask", "seed": "0x1"}]), renderer="1", licence=one.licence, consent=None,
    )  # fmt: skip


def write_shard(
    storage: Storage, split: str, bits: str, ones: Sequence[One], parts: dict[str, Any] | None = None
) -> ReleaseShard:
    """Write a shard and its index under the name that they have in a pool."""
    passing, sha256, offset, rows = "train-0-passing", hashlib.sha256(), 0, []
    with storage.write(shard_tar(passing)) as stream:
        for one in ones:
            members = append_sample(stream, offset, one.key, files_of(one))
            rows.append(row_of(one, offset, members))
            offset += rows[-1].length
        stream.write(END)
    data = storage.read_bytes(shard_tar(passing))
    sha256.update(data)
    write_index(
        storage, shard_index(passing), rows, parts or {"ab" * 8: []}, length=len(data), sha256=sha256.hexdigest()
    )
    index = storage.read_bytes(shard_index(passing))
    index_sha256 = hashlib.sha256(index).hexdigest()
    name = pool_name(f"{split}-{bits}-x", sha256.hexdigest(), index_sha256)
    for place, content in ((shard_tar, data), (shard_index, index)):
        with storage.write(place(name)) as stream:
            stream.write(content)
        storage.remove(place(passing))
    return ReleaseShard(
        name=name, split=split, samples=len(rows), bytes=len(data), sha256=sha256.hexdigest(), index_bytes=len(index),
        index_sha256=index_sha256,
    )  # fmt: skip


def digest_of_files(storage: Storage, shard: str) -> dict[str, Any]:
    """Sizes and digests of the files of a shard, as a manifest lists them."""
    tar, index = storage.read_bytes(shard_tar(shard)), storage.read_bytes(shard_index(shard))
    return {
        "bytes": len(tar), "sha256": hashlib.sha256(tar).hexdigest(),
        "index_bytes": len(index), "index_sha256": hashlib.sha256(index).hexdigest(),
    }  # fmt: skip


def write_set(
    storage: Storage, ones: Iterable[One], version: str = "1.0.0", *, name: str = "faces",
    parts: Callable[[Sequence[One]], dict[str, Any]] | None = None, **changes: Any,
) -> Release:  # fmt: skip
    """Write the shards of a release, one for each split and `shard`, and return its manifest."""
    groups: dict[tuple[str, int], list[One]] = {}
    for one in sorted(ones, key=lambda one: one.key):
        groups.setdefault((one.split, one.shard), []).append(one)
    shards = tuple(
        write_shard(storage, split, f"{number:04b}", group, parts and parts(group))
        for (split, number), group in sorted(groups.items())
    )
    return manifest_of(storage, shards, version, name=name, **changes)


def manifest_of(
    storage: Storage, shards: Sequence[ReleaseShard], version: str = "1.0.0", *, name: str = "faces", **changes: Any
) -> Release:
    """The manifest of a release of these shards."""
    found = count_content(storage, [ShardRecord(**shard.model_dump()) for shard in shards], {"s": "folder"})
    written = sum(shard.samples for shard in shards)
    plain: dict[str, Any] = {
        "name": name, "version": version, "code": {"faceloom": "0", "analyser": "1", "renderer": "1"},
        "libraries": {"numpy": "2"}, "recipe": {"name": "x", "sources": [{"path": "photos", "name": "s"}]},
        "plan": "0" * 64, "seed": "0x0", "sources": found.sources, "splits": found.splits, "members": found.members,
        "photos": written, "faces": written, "planned": written, "written": written, "by_mask": found.by_mask,
        "rejects": {}, "shards": tuple(shards),
    }  # fmt: skip
    plain |= changes
    plain.setdefault("erased", plain["planned"] - written)
    return Release(**plain)


def release_in(root: Path, ones: Iterable[One], version: str = "1.0.0", **changes: Any) -> Release:
    """Publish a made-up release, without gates, cards and gallery."""
    storage = Storage(str(root))
    with locked_root(storage, create=True):
        release = write_set(storage, ones, version, **changes)
        files = {"README.md": b"# card\n", "croissant.json": b"{}", "gallery.html": b"<p>gallery"}
        write_release(storage, published(release), files)
    return release


def people(count: int, photos: int = 2, splits: Sequence[str] = ("train", "test")) -> list[One]:
    """Samples of some people, a shard per person, each person in one split."""
    return [
        One(number * 100 + photo, f"Person {number}", splits[number % len(splits)], shard=number)
        for number in range(count)
        for photo in range(photos)
    ]


def with_morphs(ones: Sequence[One]) -> list[One]:
    """The samples, and a morph of each with the next one of the same split."""
    by_split = Counter(one.split for one in ones)
    made = []
    for split in by_split:
        own = [one for one in ones if one.split == split]
        made += [replace(one, other=replace(other)) for one, other in zip(own, own[1:] + own[:1])]
    return [*ones, *made]
