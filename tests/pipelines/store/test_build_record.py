"""The record of a build: it adds up, says nothing of the machine, and is there only when the build is whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from faceloom.pipelines.recipe.load import load_recipe
from faceloom.pipelines.recipe.shipped import recipe_names
from faceloom.pipelines.store.build_record import (
    RECORD_FORMAT,
    BuildRecord,
    library_versions,
    make_record,
    portable_recipe,
    read_record,
    render_rejects,
    write_record,
)
from faceloom.pipelines.store.output_folder import locked_output
from faceloom.pipelines.store.parquet_tables import write_index
from faceloom.pipelines.store.paths import BUILD_RECORD, shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, StorageError
from faceloom.schemas.index import IndexRow
from faceloom.schemas.photos import Reject
from faceloom.schemas.plan import FaceList, Part, Plan, PlannedFace, Shard
from faceloom.schemas.recipe import Recipe, parse_recipe
from faceloom.schemas.source_spec import SourceKind


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


RECIPE = parse_recipe({"name": "x", "sources": [{"path": "/home/ada/photos"}]})


def face(masks: int, uri: str = "u") -> PlannedFace:
    return PlannedFace("s", uri, "h", 0, "i", "train", None, None, (), 9, 9, b"", (0, 0, 1, 1), (0,) * masks, 0)


def put(storage: Storage, shard: Shard, masks: list[str], rejects: int = 0, source: str = "s") -> None:
    rows = [
        IndexRow(
            f"k{n}", "i", shard.split, "p", "", 0, 512, (), mask, source, "u", "h", 0, ("i",), (), "[]", "1", None, None
        )
        for n, mask in enumerate(masks)
    ]
    gone = [{"stage": "render", "source": "s", "uri": "u", "code": "mask_fit", "message": "m", "key": "k"}] * rejects
    write_index(storage, shard_index(shard.name), rows, {"p": gone}, length=100 * len(masks), sha256="ab" * 32)
    with storage.write(shard_tar(shard.name)) as stream:
        stream.write(bytes(100 * len(masks)))


@pytest.fixture
def plan(storage: Storage) -> Plan:
    """Two shards of 3 and 2 samples, one of them lost to a reject."""
    train = Shard("train", "all", "a" * 12, (Part("p", FaceList([face(2), face(1)])),))
    test = Shard("test", "all", "b" * 12, (Part("p", FaceList([face(2, "x")])),))
    put(storage, train, ["surgical", "surgical", "cloth"], source="lfw")
    put(storage, test, ["cloth"], rejects=1)
    return Plan("digest", (train, test), (), 1000)


def rejects(storage: Storage, plan: Plan) -> list[Reject]:
    return [
        Reject("scan", "s", "v", "empty", "m"),
        Reject("scan", "s", "w", "empty", "m"),
        *render_rejects(storage, plan),
    ]


def test_counts_come_from_the_shards_and_add_up(storage: Storage, plan: Plan) -> None:
    record = make_record(storage, RECIPE, plan, 4, rejects(storage, plan))
    assert (record.photos, record.faces, record.planned, record.written) == (4, 3, 5, 4)
    assert record.rejects == {"render": {"mask_fit": 1}, "scan": {"empty": 2}}
    assert record.by_split == {"test": 1, "train": 3}
    assert record.by_mask == {"cloth": 2, "surgical": 2}
    assert record.by_source == {"lfw": 3, "s": 1}
    assert sum(record.by_split.values()) == sum(record.by_mask.values()) == sum(record.by_source.values()) == 4
    assert [(one.name, one.samples, one.bytes) for one in record.shards] == [
        ("train-all-aaaaaaaaaaaa", 3, 300), ("test-all-bbbbbbbbbbbb", 1, 100),
    ]  # fmt: skip
    assert record.planned == record.written + sum(record.rejects["render"].values())


def test_rejects_of_rendering_come_back_from_the_indexes(storage: Storage, plan: Plan) -> None:
    assert render_rejects(storage, plan) == [Reject("render", "s", "u", "mask_fit", "m", "k")]


@pytest.mark.parametrize("known", [[], [Reject("render", "s", "u", "mask_fit", "m", "k")] * 2])
def test_what_does_not_add_up_is_refused(storage: Storage, plan: Plan, known: list[Reject]) -> None:
    with pytest.raises(FaceloomError, match="do not match: ") as caught:
        make_record(storage, RECIPE, plan, 3, known)
    assert caught.value.value in ("1", "-1")
    assert "--no-resume" in caught.value.remedy


@pytest.mark.parametrize("photos", [3, 5])
def test_a_photo_that_is_neither_planned_nor_rejected_is_missed(storage: Storage, plan: Plan, photos: int) -> None:
    with pytest.raises(FaceloomError, match="photos are neither planned nor rejected"):
        make_record(storage, RECIPE, plan, photos, rejects(storage, plan))


def test_samples_without_a_mask_are_counted_as_none(storage: Storage) -> None:
    shard = Shard("train", "all", "c" * 12, (Part("p", FaceList([face(0)])),))
    put(storage, shard, [""])
    assert make_record(storage, RECIPE, Plan("d", (shard,), (), 1), 1, []).by_mask == {"none": 1}


def test_a_build_of_nothing_adds_up(storage: Storage) -> None:
    record = make_record(storage, RECIPE, Plan("d", (), (), 1), 1, [Reject("scan", "s", "v", "empty", "m")])
    assert (record.written, record.shards, record.by_split) == (0, (), {})


def test_the_recipe_is_kept_without_paths_of_this_machine() -> None:
    recipe = parse_recipe(
        {
            "name": "x",
            "description": "about /home",
            "sources": [{"path": "/home/ada/t.csv", "root": "/mnt/disk", "name": "mine", "licence": "see /licence"}],
            "masks": [
                {"kind": "picture", "path": "/a/m.png", "anchors": "/b/m.json"},
                {"kind": "polygon", "shape": "A"},
            ],
            "faces": {"landmark_model": "/opt/models/68.dat"},
            "lowres": {"sizes_from": "/data/heights.txt"},
            "output": {"features": {"model": "/opt/models/vgg.pt"}},
            "morph": {"lambda": 3.0},
        }
    )
    kept = portable_recipe(recipe)
    [source] = kept["sources"]
    assert (source["path"], source["root"], source["name"], source["licence"]) == (
        "t.csv",
        "disk",
        "mine",
        "see /licence",
    )
    assert (kept["masks"][0]["path"], kept["masks"][0]["anchors"]) == ("m.png", "m.json")
    assert kept["faces"]["landmark_model"] == "68.dat"
    assert (kept["lowres"]["sizes_from"], kept["output"]["features"]["model"]) == ("heights.txt", "vgg.pt")
    assert kept["morph"]["lambda"] == 3.0, "under the name that a recipe has for it"
    assert "/" not in json.dumps({**kept, "description": "", "sources": [{**source, "licence": ""}]})
    assert kept["description"] == "about /home"
    assert "shards" not in kept["output"] and "align" not in kept, "defaults are not written out"
    elsewhere = recipe.model_dump(mode="json", exclude_unset=True)
    elsewhere["sources"][0]["path"] = "/other/t.csv"
    assert portable_recipe(parse_recipe(elsewhere)) == kept


def test_paths_of_labels_and_checkpoints_are_no_ones_business() -> None:
    recipe = parse_recipe(
        {
            "name": "x",
            "sources": [
                {"path": "/a/photos", "kind": "label_maps", "labels": "/a/maps"},
                {"path": "/a/b", "kind": "path_pattern", "pattern": "{identity}/*.png"},
            ],
            "masks": [
                {"kind": "autoencoder", "checkpoint": "/runs/one"},
                *(
                    {"kind": "template", "template": "cloth", "pattern": file}
                    for file in ("/home/ada/dots.png", "dots")
                ),
            ],
            "faces": {"detector": {"onnx": "/home/ada/centerface.onnx"}},
        }
    )
    kept = portable_recipe(recipe)
    assert kept["faces"]["detector"] == {"onnx": "centerface.onnx"}
    assert (kept["sources"][0]["labels"], kept["masks"][0]["checkpoint"]) == ("maps", "one")
    assert [mask["pattern"] for mask in kept["masks"][1:]] == ["dots.png", "dots"]
    assert kept["sources"][1]["pattern"] == "{identity}/*.png", "it is no path"
    assert portable_recipe(parse_recipe(kept)) == kept


def test_a_source_whose_name_comes_from_a_folder_keeps_its_name() -> None:
    recipe = parse_recipe({"name": "x", "sources": [{"path": "/mnt/faces/shard-{0000..0041}.tar"}, {"path": "/"}]})
    assert portable_recipe(recipe)["sources"] == [
        {"path": "shard-{0000..0041}.tar", "name": "faces"},
        {"path": "/", "name": "photos"},
    ]


@pytest.mark.parametrize("name", recipe_names())
def test_a_shipped_recipe_comes_back_from_its_record_as_it_was(storage: Storage, name: str) -> None:
    recipe = load_recipe(name)
    write_record(storage, example(recipe=portable_recipe(recipe)))
    again = read_record(storage).settings
    recipe = recipe.model_copy(update={"sources": again.sources}) if again.sources else recipe  # their paths are cut
    assert again == recipe and again.model_dump_json(exclude_unset=True) == recipe.model_dump_json(exclude_unset=True)
    assert list(again.split.shares.items()) == list(recipe.split.shares.items()), "their order decides sides"


PATHS = ("path", "root", "labels", "bare", "masked", "maps")
KINDS: dict[str, dict[str, Any]] = {
    "auto": {}, "people": {"licence": "CC0"}, "flat": {"include": ["*.jpg"]}, "celebamask_hq": {}, "tinyface": {},
    "table": {"columns": {"uri": "file", "identity": "who"}, "root": "/mnt/photos"},
    "shards": {"name": "s", "consent": "yes"}, "recordio": {"exclude": ["a*"]},
    "label_maps": {"labels": "/mnt/maps", "label_order": ["skin", "hair"]},
    "path_pattern": {"pattern": "{identity}/{split}/*.png"},
    "pairs": {"bare": "/mnt/set", "masked": "/mnt/on", "maps": "/mnt/drawn", "suffix": "-on"},
}  # fmt: skip


def test_versions_of_libraries_that_made_kept_samples_stay(storage: Storage, plan: Plan) -> None:
    now = make_record(storage, RECIPE, plan, 4, rejects(storage, plan)).libraries
    assert now == library_versions() and "numpy" in now
    write_record(storage, example(libraries={"numpy": "1.9", "old": "3"}))
    upgraded = make_record(storage, RECIPE, plan, 4, rejects(storage, plan))
    assert upgraded.libraries == {**now, "numpy": f"1.9, {now['numpy']}", "old": "3"}
    write_record(storage, upgraded)
    assert make_record(storage, RECIPE, plan, 4, rejects(storage, plan)) == upgraded


@pytest.mark.parametrize("kind", get_args(SourceKind))
def test_a_source_of_each_kind_comes_back_with_its_keys_alone(kind: str) -> None:
    source = {"kind": kind, "path": "/mnt/set", **KINDS[kind]}
    recipe = parse_recipe({"name": "x", "sources": [source]})
    kept = portable_recipe(recipe)
    kept["sources"][0] |= {key: source[key] for key in PATHS if key in source}
    assert kept["sources"] == [source]
    [again] = parse_recipe(json.loads(json.dumps(kept, sort_keys=True))).sources
    assert again == recipe.sources[0] and again.model_fields_set == recipe.sources[0].model_fields_set
    assert again.columns.model_fields_set == set(source.get("columns", ()))


def test_settings_have_their_defaults_and_old_records_are_read() -> None:
    assert example(recipe={"name": "x"}).settings.align.width_height == (112, 112)
    old = Recipe.model_validate({"name": "x", "sources": [{"path": "t.csv"}], "morph": {}}).model_dump(mode="json")
    assert example(recipe=old).settings.morph is not None
    with pytest.raises(StorageError, match="damaged build record"):
        _ = example(recipe={"name": "x", "align": {"size": 10**9}}).settings


def example(**changes: Any) -> BuildRecord:
    fields: dict[str, Any] = {
        "format": RECORD_FORMAT, "code": "1", "libraries": {"numpy": "2"},
        "recipe": portable_recipe(Recipe(name="x", description="é")),
        "plan": "d", "analyser": "1", "renderer": "1", "photos": 1,
        "faces": 1, "planned": 1, "written": 1, "rejects": {}, "by_split": {"train": 1}, "by_mask": {"none": 1},
        "by_source": {"s": 1}, "shards": ({"name": "train-all-abc", "split": "train", "samples": 1, "bytes": 1,
                                           "sha256": "", "index_bytes": 1, "index_sha256": ""},),
    }  # fmt: skip
    return BuildRecord(**{**fields, **changes})


def test_a_record_comes_back_as_it_was(storage: Storage) -> None:
    write_record(storage, example())
    assert read_record(storage) == example()
    text = storage.read_bytes(BUILD_RECORD).decode()
    assert text.endswith("}\n")
    assert json.loads(text)["recipe"]["description"] == "é"


def test_an_unchanged_record_is_not_written_again(storage: Storage) -> None:
    write_record(storage, example())
    before = storage.local(BUILD_RECORD).stat()
    write_record(storage, example())
    assert storage.local(BUILD_RECORD).stat().st_ino == before.st_ino
    write_record(storage, example(photos=2))
    assert read_record(storage).photos == 2


def test_a_foreign_folder_has_no_finished_build(storage: Storage) -> None:
    with pytest.raises(StorageError, match=r"no finished build.*no output folder of faceloom") as caught:
        read_record(storage)
    assert "faceloom build" in caught.value.remedy


def test_an_interrupted_first_build_is_described(storage: Storage) -> None:
    with locked_output(storage):
        for path in ("index/a.parquet", "index/b.parquet", "work/p.tar"):
            with storage.write(path) as stream:
                stream.write(b"x")
    with pytest.raises(StorageError, match="no finished build") as caught:
        read_record(storage)
    assert "It holds 2 finished shards, 1 files of unfinished work." in caught.value.remedy
    assert "`faceloom build` again" in caught.value.remedy and "`faceloom clean`" in caught.value.remedy


def tampered(**changes: Any) -> bytes:
    shard = example().model_dump(mode="json")["shards"][0]
    if shards := changes.pop("shard", None):
        changes["shards"] = [{**shard, **shards}]
    return json.dumps({**example().model_dump(mode="json"), **changes}).encode()


def test_a_record_with_keys_of_a_later_version_is_read(storage: Storage) -> None:
    storage.local(BUILD_RECORD).write_bytes(tampered(later={"a": 1}, shard={"later": 1}))
    assert read_record(storage).shards[0].name == "train-all-abc"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"plan": 1}', b"\xff\xfe", b"[" * 99_999, b'{"plan": "a", "plan": "b"}',
     tampered(photos="1"), tampered(photos=-1), tampered(photos=1.5), tampered(photos=None), tampered(plan=None),
     tampered(recipe=[]), tampered(recipe={"a": [[[[]]]] * 3}, photos=[]), tampered(by_split={"train": "x"}),
     tampered(rejects={"scan": 3}), tampered(neighbours=["../a"]), tampered(neighbours=["/etc/passwd"]),
     tampered(recall={"train": "x"}), tampered(warnings="x"), tampered(shards={}), tampered(shards=[1]),
     tampered(shard={"name": "/etc/passwd"}), tampered(shard={"name": "../x"}), tampered(shard={"name": "a\0"}),
     tampered(shard={"name": ""}), tampered(shard={"name": None}), tampered(shard={"split": "a/../b"}),
     tampered(shard={"bytes": 2**62}), tampered(shard={"samples": -1}), tampered(shard={"samples": True}),
     tampered(shards=[]), tampered(written=9999), tampered(by_split={"val": 1}), tampered(by_mask={"none": 2}),
     tampered(by_source={}), tampered(planned=2), tampered(shard={"split": "val"}),
     tampered(shard={"name": "\x1b[2J"}), tampered(photos=10**400)],
)  # fmt: skip
def test_a_damaged_record_is_called_damaged(storage: Storage, content: bytes) -> None:
    storage.local(BUILD_RECORD).write_bytes(content)
    with pytest.raises(StorageError, match="damaged build record") as caught:
        read_record(storage)
    assert caught.value.where == BUILD_RECORD
    assert "writes a new record" in caught.value.remedy
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_the_message_names_the_field_and_the_value(storage: Storage) -> None:
    storage.local(BUILD_RECORD).write_bytes(tampered(shard={"samples": "many"}))
    with pytest.raises(StorageError, match=r"shards\[0\]\.samples: Input should be a valid integer, not 'many'"):
        read_record(storage)
