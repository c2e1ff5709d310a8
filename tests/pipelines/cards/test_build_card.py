"""README.md of an output folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from faceloom.pipelines.analyse.model_files import LANDMARK_MODEL_TERMS
from faceloom.pipelines.cards.build_card import build_facts, facts_of_build, write_card
from faceloom.pipelines.cards.data_card import card_text
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.storage import Storage


@pytest.fixture
def storage(masked_build: Path, tmp_path: Path) -> Storage:
    shutil.copytree(masked_build, tmp_path / "out")
    return Storage(str(tmp_path / "out"))


def test_counts_people_and_samples_of_a_real_build(storage: Storage) -> None:
    facts = build_facts(storage, read_record(storage))
    assert facts.samples == 18 and facts.people == 12 and facts.members[0] == "face.png"
    assert {name: samples for name, (samples, _) in facts.splits.items()} == read_record(storage).by_split
    assert sum(people for _, people in facts.splits.values()) > 12  # some are in both splits
    assert facts.sources[0].samples == 18 and facts.sources[0].licences == {"": 18}


def test_a_card_of_the_same_build_is_not_written_again(storage: Storage) -> None:
    write_card(storage, read_record(storage), "")
    before = storage.local("README.md").stat()
    write_card(storage, read_record(storage), "")
    after = storage.local("README.md").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_the_card_names_no_clock_and_no_path_of_a_machine(storage: Storage) -> None:
    write_card(storage, read_record(storage), LANDMARK_MODEL_TERMS)
    text = storage.read_bytes("README.md").decode()
    assert "300-W" in text and str(storage.root) not in text and "/tmp" not in text
    assert "300-W" not in card_text(build_facts(storage, read_record(storage)))


def test_morphs_and_how_well_their_neighbours_were_found_are_stated(storage: Storage) -> None:
    def card(**changes: object) -> str:
        record = read_record(storage).model_copy(update=changes)
        return card_text(facts_of_build(record, [], {}, 0, []))

    assert f"6 of {read_record(storage).faces} faces are morphs of two people. Nearest neighbours are exact." in card(
        morphs=6
    )
    found = card(morphs=6, recall={"train": 0.987, "test": 1.0})
    assert "100.0% of them in test, 98.7% of them in train" in found and "exact" not in found
    assert "are morphs" not in card()


def test_huggingface_finds_the_shards_by_the_card(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write_card(storage, read_record(storage), "")
    builder = datasets.load_dataset_builder(storage.root, cache_dir=str(Path(storage.root).parent / "cache"))
    files = {split: sorted(Path(path).stem for path in paths) for split, paths in builder.config.data_files.items()}
    wanted = {s: sorted(x.name for x in read_record(storage).shards if x.split == s) for s in ("test", "train")}
    assert files == wanted and "WebDataset" in type(builder).__mro__[1].__name__
