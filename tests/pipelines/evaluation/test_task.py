"""Tasks: what is found wrong before any work, and who a split's people are."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from faceloom.pipelines.evaluation.task import SHOWN, Protocol, prepare_evaluation
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.parquet_tables import read_index, read_metadata, write_index
from faceloom.pipelines.store.paths import shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.training.training_data import build_digest
from faceloom.schemas.errors import CheckpointError, FaceloomError, StorageError, TrainingError
from faceloom.schemas.index import IndexRow, Parent
from faceloom.schemas.keys import face_key

pytest.importorskip("torch")
pytest.importorskip("webdataset")
pytest.importorskip("safetensors")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, synthetic: SimpleNamespace) -> Path:
    path: Path = synthetic.tiny_run(tmp_path_factory.mktemp("runs") / "net")
    return path


@pytest.fixture
def own(masked_build: Path, tmp_path: Path) -> Path:
    """A copy of the build that a test may change."""
    shutil.copytree(masked_build, tmp_path / "own")
    return tmp_path / "own"


def rows_of(out: Path, split: str) -> list[IndexRow]:
    storage = Storage(str(out))
    shards = [shard for shard in read_record(storage).shards if shard.split == split]
    return [row for shard in shards for row in read_index(storage, shard_index(shard.name))]


def become_morphs(out: Path, split: str, parents: dict[str, tuple[IndexRow, IndexRow]]) -> list[str]:
    """Have the index call some samples morphs of others; returns their keys."""
    storage = Storage(str(out))
    for shard in (shard for shard in read_record(storage).shards if shard.split == split):
        path = shard_index(shard.name)
        facts = read_metadata(storage, path)
        rows = [
            replace(row, identity="+".join(one.identity for one in mixed), parents=tuple(map(parent, mixed)))
            if (mixed := parents.get(row.key))
            else row
            for row in read_index(storage, path)
        ]
        write_index(storage, path, rows, facts["parts"], length=facts["bytes"])
    return list(parents)


def parent(row: IndexRow) -> Parent:
    return Parent(face_key(row.photo_sha256, row.face), row.identity, row.source, row.uri, row.photo_sha256)


def change_record(out: Path, **changes: object) -> None:
    plain = json.loads((out / "build.json").read_text())
    (out / "build.json").write_text(json.dumps({**plain, **changes}))


def test_a_task_knows_who_was_trained_on(masked_build: Path, run: Path) -> None:
    task = prepare_evaluation([run], str(masked_build), "test", device="cpu")
    train, test = rows_of(masked_build, "train"), rows_of(masked_build, "test")
    people, known = {row.identity for row in test}, {row.identity for row in train}
    assert people & known and people - known  # or the other tests would show nothing
    assert task.known == {row.key for row in test if row.identity in known}
    assert task.protocol == Protocol(
        "test", "per_identity", len(test), len(people), len(people & known),
        sum(row.identity in known for row in test),
    )  # fmt: skip
    assert task.device == "cpu" and len(task.shown) == min(SHOWN, len(test))
    assert set(task.shown) <= {row.key for row in test}


def test_a_morph_is_of_both_its_parents(own: Path, run: Path) -> None:
    train, test = rows_of(own, "train"), rows_of(own, "test")
    known = {row.identity for row in train}
    old, new = next(row for row in test if row.identity in known), [row for row in test if row.identity not in known]
    assert len(new) > 2
    mixed, apart = become_morphs(own, "test", {new[0].key: (new[0], old), new[1].key: (new[1], new[2])})
    task = prepare_evaluation([run], str(own), "test", device="cpu")
    before = {row.key for row in test if row.identity in known}
    assert task.known == before | {mixed} and apart not in task.known
    people = {row.identity for row in test}
    assert (task.protocol.people, task.protocol.people_trained) == (len(people), len(people & known))
    assert task.protocol.samples_trained == len(task.known)


def test_people_whom_train_holds_in_morphs_alone_are_known(own: Path, run: Path) -> None:
    train, test = rows_of(own, "train"), rows_of(own, "test")
    new = next(row for row in test if row.identity not in {row.identity for row in train})
    become_morphs(own, "train", {train[0].key: (train[0], new)})
    assert new.key in prepare_evaluation([run], str(own), "test", device="cpu").known


def test_a_network_that_was_trained_on_the_build_is_told_from_others(
    masked_build: Path, tmp_path: Path, run: Path, synthetic: SimpleNamespace
) -> None:
    own = synthetic.tiny_run(tmp_path / "own", digest=build_digest(Storage(str(masked_build))))
    task = prepare_evaluation([own, run], str(masked_build), "test", device="cpu")
    assert [(found.name, found.own_build) for found in task.runs] == [("own", True), ("net", False)]


def test_folders_of_the_same_name_are_told_apart(
    masked_build: Path, tmp_path: Path, run: Path, synthetic: SimpleNamespace
) -> None:
    other = synthetic.tiny_run(tmp_path / "net")
    task = prepare_evaluation([run, other], str(masked_build), "test", device="cpu")
    assert [found.name for found in task.runs] == [str(run), str(other)]


def test_a_run_is_named_after_its_folder_also_from_inside(
    masked_build: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run)
    assert prepare_evaluation([Path()], str(masked_build), "test", device="cpu").runs[0].name == "net"


def test_a_build_that_is_not_there_is_refused(tmp_path: Path, run: Path) -> None:
    with pytest.raises(StorageError, match="no finished build"):
        prepare_evaluation([run], str(tmp_path / "nothing"), "test")


def test_a_split_that_is_not_there_is_refused_with_those_that_are(masked_build: Path, run: Path) -> None:
    with pytest.raises(FaceloomError, match=r"no samples in this build \(got val\).*test, train"):
        prepare_evaluation([run], str(masked_build), "val")


def test_a_shard_that_is_gone_is_noticed(own: Path, run: Path) -> None:
    (own / "shards" / next(path.name for path in (own / "shards").iterdir() if path.name.startswith("test"))).unlink()
    with pytest.raises(StorageError, match="the shard"):
        prepare_evaluation([run], str(own), "test")


def test_a_build_without_masks_is_refused(own: Path, run: Path) -> None:
    recipe = read_record(Storage(str(own))).recipe
    change_record(own, recipe={**recipe, "masks": []})
    with pytest.raises(FaceloomError, match="no masked faces"):
        prepare_evaluation([run], str(own), "test")


def test_a_network_for_another_size_is_refused(
    masked_build: Path, tmp_path: Path, run: Path, synthetic: SimpleNamespace
) -> None:
    large = synthetic.tiny_run(tmp_path / "large", "tiny-paper", 48)
    with pytest.raises(CheckpointError, match=r"large: was trained for crops of 48x48.*got 32x32.*size: 48"):
        prepare_evaluation([run, large], str(masked_build), "test")


def test_crops_that_are_not_square_are_another_size(own: Path, run: Path) -> None:
    recipe = read_record(Storage(str(own))).recipe
    change_record(own, recipe={**recipe, "align": {"mode": "eye_level", "size": [24, 32]}})
    with pytest.raises(CheckpointError, match="got 24x32"):
        prepare_evaluation([run], str(own), "test")


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda folder: shutil.rmtree(folder), "the folder does not exist"),
        (lambda folder: (folder / "card.json").unlink(), "no checkpoint of faceloom"),
        (lambda folder: (folder / "card.json").write_text("{"), "damaged"),
        (lambda folder: (folder / "best.safetensors").unlink(), r"has no best\.safetensors"),
        (lambda folder: (folder / "best.safetensors").write_bytes(b"short"), "damaged"),
    ],
)
def test_a_folder_that_is_no_checkpoint_is_refused(
    masked_build: Path, tmp_path: Path, synthetic: SimpleNamespace, spoil: object, text: str
) -> None:
    folder = synthetic.tiny_run(tmp_path / "net")
    assert callable(spoil)
    spoil(folder)
    with pytest.raises(CheckpointError, match=text):
        prepare_evaluation([folder], str(masked_build), "test")


def test_a_device_that_is_not_known_is_refused(masked_build: Path, run: Path) -> None:
    with pytest.raises(TrainingError, match="unknown device"):
        prepare_evaluation([run], str(masked_build), "test", device="abacus")


def protocol(split: str = "test", people: int = 10, trained: int = 0) -> Protocol:
    return Protocol(split, "identity", 20, people, trained, 2 * trained)


def test_the_protocol_is_said_in_words() -> None:
    assert protocol().text.startswith("held-out people")
    assert protocol(trained=10).text.startswith("known people, other photos")
    assert "names no people" in replace(protocol(), named=False).text
    mixed = protocol(trained=4).text
    assert mixed.startswith("mixed") and "4 of 10 people" in mixed and "8 samples" in mixed


@pytest.mark.parametrize("split", ["train", "val"])
def test_pairs_that_training_saw_are_not_called_held_out(split: str) -> None:
    assert protocol(split).text.startswith("not held out")


def test_train_itself_can_be_evaluated(masked_build: Path, run: Path) -> None:
    found = prepare_evaluation([run], str(masked_build), "train", device="cpu").protocol
    assert found.people_trained == found.people and found.samples_trained == found.samples
