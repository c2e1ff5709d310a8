"""Samples are found where finished shards of older builds hold them, and nowhere else."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from faceloom.pipelines.context import Context
from faceloom.pipelines.plan.inputs import sample_inputs, settings_digest
from faceloom.pipelines.plan.reuse import Reuse, find_reuse
from faceloom.pipelines.plan.shard_layout import planned_part
from faceloom.pipelines.store.parquet_tables import write_index
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.tar_writer import END, append_sample
from faceloom.schemas.index import IndexRow
from faceloom.schemas.plan import FaceList, Part, PlannedFace, Shard
from faceloom.schemas.recipe import parse_recipe

RECIPE = parse_recipe({"name": "x", "masks": [{"kind": "polygon", "shape": "A"}, {"kind": "polygon", "shape": "B"}]})
DIGESTS = ("a mask", "another mask")


def face(number: int, masks: tuple[int, ...] = (0, 1)) -> PlannedFace:
    sha256 = f"{number:064x}"
    return PlannedFace(
        "s", f"{number}.jpg", sha256[::-1], 0, "Ada", "train", None, None, (), 9, 9, bytes(544), (0, 0, 8, 8), masks, 0
    )


@dataclass
class Output:
    """An output folder, and shards of faces in it."""

    context: Context

    @property
    def storage(self) -> Storage:
        return self.context.storage

    def put(self, name: str, *faces: PlannedFace) -> None:
        rows: list[IndexRow] = []
        settings = settings_digest(RECIPE)
        with self.storage.write(shard_tar(name)) as stream:
            for one in faces:
                for key, inputs in zip(one.sample_keys, sample_inputs(one, settings, DIGESTS), strict=True):
                    offset = 1024 * len(rows)
                    members = append_sample(stream, offset, key, [("json", b"{}")])
                    rows.append(
                        IndexRow(key, "Ada", "train", "p", inputs, offset, 1024, members, "", "s", one.uri, "h", 0,
                                 ("Ada",), (), "[]", "1", None, None)
                    )  # fmt: skip
            stream.write(END)
        write_index(self.storage, shard_index(name), rows, {"p": []}, length=1024 * len(rows) + len(END))

    def find(self, **parts: tuple[PlannedFace, ...]) -> dict[str, Reuse]:
        made = tuple(make_part(faces, name) for name, faces in parts.items())
        return find_reuse(self.context, [Shard("train", "all", "new", made)])


def make_part(faces: tuple[PlannedFace, ...], name: str) -> Part:
    inputs = [sample_inputs(face, settings_digest(RECIPE), DIGESTS) for face in faces]
    return replace(planned_part(FaceList(faces), inputs), digest=name)


@pytest.fixture
def output(tmp_path: Path) -> Output:
    return Output(Context(RECIPE.model_dump_json(), str(tmp_path), DIGESTS))


def test_samples_are_found_in_the_shards_that_hold_them(output: Output) -> None:
    output.put("one", face(1), face(2))
    output.put("two", face(3))
    found = output.find(a=(face(1), face(3)), b=(face(2), face(9)), c=(face(8),))
    assert found == {"a": Reuse(("one", "two"), 4), "b": Reuse(("one",), 2)}


def test_a_sample_with_another_mask_is_another_sample(output: Output) -> None:
    output.put("old", face(1, (0, 0)))
    assert output.find(a=(face(1, (0, 1)),)) == {"a": Reuse(("old",), 1)}


@pytest.mark.parametrize(
    "change",
    [{"identity": "Bob"}, {"split": "test"}, {"licence": "CC0"}, {"consent": "yes"}, {"attributes": (("age", 3),)},
     {"uri": "moved.jpg"}, {"box": (0, 0, 8, 9)}, {"landmarks": bytes(543) + b"1"}, {"labels": "ab"}],
)  # fmt: skip
def test_whatever_is_recorded_or_seen_makes_another_sample(output: Output, change: dict[str, object]) -> None:
    output.put("old", face(1))
    assert output.find(a=(replace(face(1), **change),)) == {}  # type: ignore[arg-type]


def test_a_sample_in_two_shards_counts_once(output: Output) -> None:
    output.put("one", face(1))
    output.put("two", face(1))
    assert output.find(a=(face(1),)) == {"a": Reuse(("one",), 2)}


@pytest.mark.parametrize("lost", [shard_tar, shard_index])
def test_half_a_shard_is_of_no_use(output: Output, lost: object) -> None:
    output.put("old", face(1))
    output.storage.remove((shard_tar if lost is shard_tar else shard_index)("old"))
    assert output.find(a=(face(1),)) == {}


def test_damaged_indexes_stop_nothing(output: Output) -> None:
    output.put("old", face(1))
    output.storage.local("index/bad.parquet").write_bytes(b"x")
    os.mkfifo(output.storage.local("index/pipe.parquet"))
    assert output.find(a=(face(1),)) == {"a": Reuse(("old",), 2)}


def test_nothing_wanted_and_nothing_there(output: Output) -> None:
    assert output.find(a=(face(1),)) == {}
    output.put("old", face(1))
    assert output.find() == {} and find_reuse(output.context, []) == {}
