"""Render one part of a shard: a tar fragment and its index."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from faceloom.pipelines.analyse.verified_photos import bad_photos, read_labels, read_unchanged
from faceloom.pipelines.context import Context
from faceloom.pipelines.plan.inputs import sample_inputs, settings_digest
from faceloom.pipelines.render.old_samples import OldSampleReader, find_old_samples
from faceloom.pipelines.render.render_photos import PhotoToRender, render_photos
from faceloom.pipelines.render.resources import load_resources
from faceloom.pipelines.render.sample import Sample, parents_of, people_of
from faceloom.pipelines.run.progress import tick
from faceloom.pipelines.run.stopwatch import Stopwatch
from faceloom.pipelines.run.unforeseen import naming
from faceloom.pipelines.sources.source import expect
from faceloom.pipelines.store.failures import note_failure
from faceloom.pipelines.store.parquet_tables import write_index
from faceloom.pipelines.store.paths import part_index, part_tar, planned_faces
from faceloom.pipelines.store.planned_rows import read_planned
from faceloom.pipelines.store.shard_files import is_whole
from faceloom.pipelines.store.tar_writer import append_sample, sample_length
from faceloom.schemas.errors import PhotoError
from faceloom.schemas.index import IndexRow, Member, moved
from faceloom.schemas.photos import Reject
from faceloom.schemas.plan import PlannedFace
from faceloom.schemas.versions import RENDERER

CHUNK_FACES = 24
"""Maximum number of faces and morphs per decoding of a photo; a photo with more is decoded again."""


@dataclass(frozen=True, slots=True)
class ShardTask:
    """One shard to join from its parts, in order."""

    shard: str
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PartTask:
    """One part to render for a shard; the plan rows of the shard lie under `work/`.

    Attributes:
        older: names of finished shards that hold some of its samples.
    """

    shard: ShardTask
    part: str
    older: tuple[str, ...] = ()


def render_part(part: str, context: Context, older: tuple[str, ...] = (), planned: str = "") -> dict[str, float]:
    """Render one part: tar first, index last. A photo that changed or vanished since it was analysed fails the part.

    Args:
        part: its digest.
        context: of the build.
        older: names of finished shards; samples that they hold are copied.
        planned: name of the shard whose plan rows were written together; empty if the part has a file of its own.

    Returns:
        Seconds by stage.

    Raises:
        SourceError: the whole source is gone.
        StorageError: the output cannot be written.
        WorkerError: anything unforeseen, on a photo, sample or part that it names; the part is not written.
    """
    with naming(f"part {part}"):
        return _render_part(part, context, older, planned)


def _render_part(part: str, context: Context, older: tuple[str, ...], planned: str) -> dict[str, float]:
    storage, watch = context.storage, Stopwatch()
    if is_whole(storage, part):
        return {}
    faces = (
        read_planned(storage, planned_faces(planned), part) if planned else read_planned(storage, planned_faces(part))
    )
    inputs = _inputs(faces, context)
    rows: list[IndexRow] = []
    rejects: list[Reject] = []
    try:
        # Not synced to the disk: a part is short-lived, and a later run checks it before use.
        with storage.write(part_tar(part), durable=False) as stream, OldSampleReader(storage) as reader:
            offset = 0
            with watch.time("copy"):
                old = find_old_samples(storage, older, inputs)
            rendered = _render_faces(faces, frozenset(old), context, watch)
            for face, key in ((one, key) for one in faces for key in one.sample_keys):
                tick()
                if key in old:
                    with watch.time("copy"):
                        stream.write(reader.read(old[key]))
                    rows.append(replace(moved(old[key].row, offset), part=part))
                elif isinstance(result := next(rendered), Reject):
                    rejects.append(result)
                    continue
                else:
                    with watch.time("write"):
                        members = append_sample(stream, offset, result.key, result.files)
                    rows.append(_index_row(part, inputs[key], face, result, offset, members))
                offset += rows[-1].length
    except PhotoError as error:
        note_failure(storage, part, bad_photos(context, faces) or {error.where: error.what})
        return dict(watch.seconds)
    with watch.time("write"):
        made = {part: [_plain(reject) for reject in rejects]}
        write_index(storage, part_index(part), rows, made, durable=False)
    return dict(watch.seconds)


def _render_faces(
    faces: list[PlannedFace], skip: frozenset[str], context: Context, watch: Stopwatch
) -> Iterator[Sample | Reject]:
    wanted = [face for face in faces if not skip.issuperset(face.sample_keys)]
    if not wanted:
        return iter(())
    return render_photos(_read_photos(wanted, skip, context, watch), load_resources(context), watch)


def _chunks(faces: list[PlannedFace]) -> Iterator[list[PlannedFace]]:
    """Group faces by photo. Groups are limited, because the photos of all their neighbours are read with them."""
    for _, of_photo in groupby(faces, key=lambda face: (face.source, face.uri)):
        planned = list(of_photo)
        for start in range(0, len(planned), CHUNK_FACES):
            yield planned[start : start + CHUNK_FACES]


def _read_photos(
    faces: list[PlannedFace], skip: frozenset[str], context: Context, watch: Stopwatch
) -> Iterator[PhotoToRender]:
    _announce([one for planned in _chunks(faces) for one in (planned[0], *_others(planned))], context)
    for planned in _chunks(faces):
        first = planned[0]
        with watch.time("read"), naming(f"{first.source}/{first.uri}"):
            data = read_unchanged(context, first.source, first.uri, first.photo_sha256)
            neighbours = _others(planned)
            others = {one.key: read_unchanged(context, one.source, one.uri, one.photo_sha256) for one in neighbours}
            photo = PhotoToRender(data, planned, read_labels(context, first), others, skip)
        yield photo


def _others(faces: list[PlannedFace]) -> list[PlannedFace]:
    """The neighbours that faces are mixed with."""
    return [face.morph.other for face in faces if face.morph]


def _announce(faces: list[PlannedFace], context: Context) -> None:
    """Announce photos in the order in which they will be read."""
    for source in dict.fromkeys(face.source for face in faces):
        expect(context.source(source), [face.uri for face in faces if face.source == source])


def _index_row(
    part: str, inputs: str, face: PlannedFace, sample: Sample, offset: int, members: tuple[Member, ...]
) -> IndexRow:
    return IndexRow(
        key=sample.key,
        identity=face.identity,
        split=face.split,
        part=part,
        inputs=inputs,
        offset=offset,
        length=sample_length(members),
        members=members,
        mask=sample.mask,
        source=face.source,
        uri=face.uri,
        photo_sha256=face.photo_sha256,
        face=face.face,
        people=people_of(face),
        parents=parents_of(face),
        operations=sample.operations,
        renderer=RENDERER,
        licence=face.licence,
        consent=face.consent,
    )


def _inputs(faces: list[PlannedFace], context: Context) -> dict[str, str]:
    """Digests of what the samples depend on, by sample key."""
    settings = settings_digest(context.recipe, context.file_digests)
    return {
        key: digest
        for face in faces
        for key, digest in zip(face.sample_keys, sample_inputs(face, settings, context.mask_digests), strict=True)
    }


def _plain(reject: Reject) -> dict[str, str]:
    return {name: getattr(reject, name) for name in ("stage", "source", "uri", "code", "message", "key")}
