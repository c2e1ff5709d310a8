"""Parts and shards on disk: render a part, join parts, lift a part from an older shard. One commit marker each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import groupby
from typing import Any

from faceloom.pipelines.context import Context
from faceloom.pipelines.failures import note_failure
from faceloom.pipelines.progress import Ticker
from faceloom.pipelines.reading import bad_photos, read_labels, read_unchanged
from faceloom.pipelines.render import PhotoToRender, render_photos
from faceloom.pipelines.sample import Sample, parents_of
from faceloom.pipelines.stopwatch import Stopwatch
from faceloom.pipelines.storage import Storage
from faceloom.pipelines.tables import planned_path, read_index, read_metadata, read_planned, write_index
from faceloom.pipelines.tar import END, append_sample, sample_length
from faceloom.pipelines.tools import tools_for
from faceloom.schemas.errors import PhotoError, StorageError
from faceloom.schemas.index import IndexRow, Member
from faceloom.schemas.photos import Reject
from faceloom.schemas.plan import PlannedFace
from faceloom.schemas.versions import RENDERER

CHUNK_FACES = 24
"""Faces and morphs of one photo for which it is decoded once; beyond, once more."""


@dataclass(frozen=True, slots=True)
class Lift:
    """Where a part lies inside an older shard."""

    shard: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class ShardTask:
    """One shard to join from its parts, in order. Parts that have a `Lift` are copied from an older shard."""

    shard: str
    parts: tuple[str, ...]
    lifts: tuple[tuple[str, Lift], ...] = ()


@dataclass(frozen=True, slots=True)
class PartTask:
    """One part to render for a shard; its plan rows lie under `work/`. Without a part there is only to join."""

    shard: ShardTask
    part: str | None


def part_tar(part: str) -> str:
    """A rendered part: a piece of a tar without its end."""
    return f"work/{part}.tar"


def part_index(part: str) -> str:
    """Index of a rendered part, and its commit marker."""
    return f"work/{part}.parquet"


def shard_tar(shard: str) -> str:
    """A finished shard."""
    return f"shards/{shard}.tar"


def shard_index(shard: str) -> str:
    """Index of a finished shard, and its commit marker."""
    return f"index/{shard}.parquet"


def is_finished(storage: Storage, shard: str) -> bool:
    """Whether a shard is there, at its full length."""
    index, tar = shard_index(shard), shard_tar(shard)
    if not (storage.exists(index) and storage.exists(tar)):
        return False
    return storage.size(tar) == read_metadata(storage, index)["bytes"]


def is_rendered(storage: Storage, part: str) -> bool:
    """Whether a part is there; after a power cut it need not be whole."""
    return storage.exists(part_index(part)) and storage.exists(part_tar(part))


def is_whole(storage: Storage, part: str) -> bool:
    """Whether a part that an earlier run left is there to its last byte. Reads all of it."""
    if not is_rendered(storage, part):
        return False
    try:
        rows, tar = read_index(storage, part_index(part)), storage.read_bytes(part_tar(part))
    except StorageError:
        return False
    return all(_is_as_listed(row, tar, 0) for row in rows)


def _is_as_listed(row: IndexRow, data: bytes, begin: int) -> bool:
    """Whether the bytes of a tar from `begin` hold a sample as its index says."""
    contents = ((m.sha256, data[m.offset - begin : m.offset - begin + m.size]) for m in row.members)
    return all(hashlib.sha256(content).hexdigest() == sha256 for sha256, content in contents)


def render_part(part: str, context: Context) -> dict[str, float]:
    """Render one part: tar first, index last. A photo that changed or vanished since it was analysed fails the part.

    Returns:
        Seconds by stage.

    Raises:
        SourceError: the whole source is gone.
        StorageError: the output cannot be written.
    """
    storage, watch = context.storage, Stopwatch()
    if is_whole(storage, part):
        return {}
    faces = read_planned(storage, planned_path(part))
    rows: list[IndexRow] = []
    rejects: list[Reject] = []
    try:
        # Not synced to the disk: a part is short-lived, and looked through before a later run takes it.
        with storage.write(part_tar(part), durable=False) as stream, Ticker(context.progress) as ticker:
            offset = 0
            for face, result in _render_faces(faces, context, watch):
                ticker.tick()
                if isinstance(result, Reject):
                    rejects.append(result)
                    continue
                with watch.time("write"):
                    members = append_sample(stream, offset, result.key, result.files)
                rows.append(_index_row(part, face, result, offset, members))
                offset += rows[-1].length
    except PhotoError:
        note_failure(storage, part, bad_photos(context, faces))
        return dict(watch.seconds)
    with watch.time("write"):
        made = {part: [_plain(reject) for reject in rejects]}
        write_index(storage, part_index(part), rows, made, durable=False)
    return dict(watch.seconds)


def _render_faces(
    faces: list[PlannedFace], context: Context, watch: Stopwatch
) -> Iterator[tuple[PlannedFace, Sample | Reject]]:
    tools = tools_for(context.recipe, context.mask_digests, context.file_digests, context.real_heights)
    return render_photos(_read_photos(faces, context, watch), context.recipe, tools, watch)


def _chunks(faces: list[PlannedFace]) -> Iterator[list[PlannedFace]]:
    """Faces of one photo together; not too many, because the photos of all their neighbours are read with them."""
    for _, of_photo in groupby(faces, key=lambda face: (face.source, face.uri)):
        planned = list(of_photo)
        for start in range(0, len(planned), CHUNK_FACES):
            yield planned[start : start + CHUNK_FACES]


def _read_photos(faces: list[PlannedFace], context: Context, watch: Stopwatch) -> Iterator[PhotoToRender]:
    for planned in _chunks(faces):
        with watch.time("read"):
            first = planned[0]
            data = read_unchanged(context, first.source, first.uri, first.photo_sha256)
            others = {
                face.morph.key: read_unchanged(context, face.morph.source, face.morph.uri, face.morph.photo_sha256)
                for face in planned
                if face.morph
            }
            photo = PhotoToRender(data, planned, read_labels(context, first), others)
        yield photo


def _index_row(part: str, face: PlannedFace, sample: Sample, offset: int, members: tuple[Member, ...]) -> IndexRow:
    return IndexRow(
        key=sample.key,
        identity=face.identity,
        split=face.split,
        part=part,
        offset=offset,
        length=sample_length(members),
        members=members,
        mask=sample.mask,
        source=face.source,
        uri=face.uri,
        photo_sha256=face.photo_sha256,
        face=face.face,
        parents=parents_of(face),
        operations=sample.operations,
        renderer=RENDERER,
        licence=face.licence,
        consent=face.consent,
    )


def _plain(reject: Reject) -> dict[str, str]:
    return {name: getattr(reject, name) for name in ("stage", "source", "uri", "code", "message", "key")}


def join_shard(task: ShardTask, context: Context) -> None:
    """Join a shard's parts in order: tar first, index last, then the parts are deleted. Harmless when repeated.

    If a part is missing (its render failed) nothing is written.
    """
    storage = context.storage
    if is_finished(storage, task.shard):
        return
    lifts = dict(task.lifts)
    if not all(part in lifts or is_rendered(storage, part) for part in task.parts):
        return
    rows: list[IndexRow] = []
    parts: dict[str, Any] = {}
    read = cache(partial(read_index, storage))  # several parts may be lifted from one shard
    with storage.write(shard_tar(task.shard)) as stream:
        offset = 0
        for part in task.parts:
            lift = lifts.get(part)
            index = shard_index(lift.shard) if lift else part_index(part)
            begin = lift.offset if lift else 0
            part_rows = [row for row in read(index) if row.part == part]
            parts[part] = read_metadata(storage, index)["parts"][part]
            for row in part_rows:
                stream.write(_sample_bytes(storage, shard_tar(lift.shard) if lift else part_tar(part), row))
            rows += [_moved(row, offset - begin) for row in part_rows]
            offset += sum(row.length for row in part_rows)
        stream.write(END)
    write_index(storage, shard_index(task.shard), rows, parts, length=offset + len(END))
    for part in task.parts:
        for path in (part_tar(part), planned_path(part), part_index(part)):
            storage.remove(path)


def _sample_bytes(storage: Storage, tar: str, row: IndexRow) -> bytes:
    data = storage.read_range(tar, row.offset, row.length)
    if not _is_as_listed(row, data, row.offset):
        remedy = "Delete this file and run the same command again; it is made anew"
        raise StorageError(f"damaged: sample {row.key} is not what the index says", where=tar, remedy=remedy)
    return data


def _moved(row: IndexRow, by: int) -> IndexRow:
    members = tuple(replace(member, offset=member.offset + by) for member in row.members)
    return replace(row, offset=row.offset + by, members=members)
