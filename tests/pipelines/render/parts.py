"""A source, an output and the plan rows of three parts, for tests of parts and shards."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

from faceloom.pipelines.context import Context
from faceloom.pipelines.render.join_shard import join_shard
from faceloom.pipelines.render.mask_painter import mask_digests
from faceloom.pipelines.render.part_task import ShardTask, render_part
from faceloom.pipelines.store.parquet_tables import read_index
from faceloom.pipelines.store.paths import planned_faces, shard_index, shard_tar
from faceloom.pipelines.store.planned_rows import write_planned
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.tar_writer import END
from faceloom.schemas.recipe import parse_recipe


def parts_bench(tmp_path: Path, synthetic: SimpleNamespace) -> SimpleNamespace:
    """Six photos of a source, an output, and the plan rows of its parts `aa` (0, 1, 2), `bb` (3, 4) and `cc` (5)."""
    photos = tmp_path / "photos"
    synthetic.lay_photos(photos, range(6))
    recipe = parse_recipe(
        {"name": "x", "sources": [{"path": str(photos), "kind": "flat", "name": "s"}], "align": {"size": 32},
         "masks": [{"kind": "polygon", "shape": "A"}, {"kind": "polygon", "shape": "C", "colour": "red"}]}
    )  # fmt: skip
    context = Context(recipe.model_dump_json(), str(tmp_path / "out"), mask_digests(recipe))
    faces = []
    for number in range(6):
        data = (photos / f"{number:03d}.png").read_bytes()
        points = synthetic.landmarks((48 + number % 3, 46), 32)
        faces.append(synthetic.planned(data, points, (0, 1), uri=f"{number:03d}.png", place=number))
    groups = {"aa": faces[:3], "bb": faces[3:5], "cc": faces[5:]}
    for part, group in groups.items():
        write_planned(context.storage, planned_faces(part), group)
    return SimpleNamespace(context=context, storage=context.storage, faces=faces, groups=groups, photos=photos)


def render_and_join(bench: SimpleNamespace, shard: str, names: Sequence[str]) -> None:
    for part in names:
        write_planned(bench.storage, planned_faces(part), bench.groups[part])
        render_part(part, bench.context)
    join_shard(ShardTask(shard, tuple(names)), bench.context)


def everything(storage: Storage) -> dict[str, bytes]:
    root = Path(storage.root)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def members(data: bytes) -> list[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return [(info.name, archive.extractfile(info).read()) for info in archive]  # type: ignore[union-attr]


def check_index(storage: Storage, shard: str) -> None:
    """The index says of each member exactly what the tar holds."""
    data = storage.read_bytes(shard_tar(shard))
    rows = read_index(storage, shard_index(shard))
    listed = [(f"{row.key}.{m.name}", data[m.offset : m.offset + m.size]) for row in rows for m in row.members]
    assert listed == members(data)
    assert all(
        hashlib.sha256(data[m.offset : m.offset + m.size]).hexdigest() == m.sha256 for row in rows for m in row.members
    )
    ends = [0, *(row.offset + row.length for row in rows)]
    assert [row.offset for row in rows] == ends[:-1]
    assert data[ends[-1] :] == END
