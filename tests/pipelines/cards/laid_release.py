"""A build laid out as a release, without the commands for releases."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.parquet_tables import read_index
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.release import Code, Release, ReleaseShard, SourceUse, SplitUse


def make_release(out: Path, name: str = "masked-faces", version: str = "1.0.0") -> Release:
    """The manifest of a release that holds what a build holds, under the names of the build's shards."""
    storage = Storage(str(out))
    record = read_record(storage)
    rows = [row for shard in record.shards for row in read_index(storage, shard_index(shard.name))]
    sources = [
        SourceUse(
            name=source, kind="people", samples=len(of_source), photos=len({row.photo_sha256 for row in of_source}),
            people=len({person for row in of_source for person in row.people}),
            licences=Counter(row.licence or "" for row in of_source),
            consents=Counter(row.consent or "" for row in of_source),
        )
        for source in sorted({row.source for row in rows})
        for of_source in [[row for row in rows if row.source == source]]
    ]  # fmt: skip
    splits = {
        split: SplitUse(
            samples=count,
            people=len({person for row in rows if row.split == split for person in row.people}),
            shards=sum(shard.split == split for shard in record.shards),
        )
        for split, count in record.by_split.items()
    }
    shards = [ReleaseShard(**shard.model_dump()) for shard in record.shards]
    return Release(
        name=name, version=version, description="Faces, with and without masks.",
        code=Code(faceloom=record.code, analyser=record.analyser, renderer=record.renderer),
        libraries=record.libraries, recipe=record.recipe, plan=record.plan, seed="0x0", sources=tuple(sources),
        splits=splits, members=tuple(sorted({member.name for row in rows for member in row.members})),
        photos=record.photos, faces=record.faces, planned=record.planned, written=record.written,
        by_mask=record.by_mask, rejects=record.rejects, shards=tuple(shards),
    )  # fmt: skip


def lay_release(out: Path, root: Path, version: str = "1.0.0") -> Release:
    """Copy the shards of a build to a root, and write the Croissant card of a release that holds them."""
    from faceloom.pipelines.cards.croissant import croissant_json

    release = make_release(out, version=version)
    for shard in release.shards:
        for path in (shard_tar(shard.name), shard_index(shard.name)):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(out / path, root / path)
    folder = root / "releases" / release.name / version
    folder.mkdir(parents=True)
    (folder / "croissant.json").write_bytes(croissant_json(release))
    return release
