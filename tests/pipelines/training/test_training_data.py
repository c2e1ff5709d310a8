"""Training pairs: all of them, in an order that only the seed decides, and only from builds that fit."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from faceloom.models.job import make_job
from faceloom.models.presets import PRESETS, presets_of
from faceloom.pipelines.read.split_reader import open_split
from faceloom.pipelines.training import training_data
from faceloom.pipelines.training.training_data import SampleSet, fit_preset, open_samples, read_samples
from faceloom.schemas.errors import FaceloomError, StorageError, TrainingError
from faceloom.schemas.recipe import Align

pytest.importorskip("torch")
pytest.importorskip("webdataset")

import torch

from tests.pipelines.read import builds
from tests.pipelines.read.builds import make_build

TINY = PRESETS["tiny-compact"]
JOB = make_job("autoencoder", TINY)


def changed(build: Path, folder: Path, change: Any) -> str:
    """A copy of a build whose record says something else."""
    shutil.copytree(build, folder)
    record = json.loads((folder / "build.json").read_text())
    change(record)
    (folder / "build.json").write_text(json.dumps(record))
    return str(folder)


def test_a_split_is_read_whole_in_the_order_of_its_keys(pairs_build: Path) -> None:
    pairs = read_samples(str(pairs_build), "train", JOB)
    samples = {sample["__key__"]: sample for sample in open_split(pairs_build, "train")}
    assert list(pairs.keys) == sorted(samples) and len(pairs) > 10
    for number, key in enumerate(pairs.keys):
        for name in ("face", "masked"):
            assert torch.equal(pairs.members[name][number], torch.from_numpy(samples[key][name]).permute(2, 0, 1))
        assert torch.equal(pairs.members["mask"][number, 0], torch.from_numpy(samples[key]["mask"]))


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(pairs_build: Path, workers: int) -> None:
    one, other = (
        read_samples(str(pairs_build), "train", JOB),
        read_samples(str(pairs_build), "train", JOB, workers=workers),
    )
    assert one.keys == other.keys
    assert all(torch.equal(one.members[name], other.members[name]) for name in ("face", "masked", "mask"))


def test_batches_are_floats_of_the_same_pixels(pairs_build: Path) -> None:
    pairs = read_samples(str(pairs_build), "train", JOB)
    batches = list(pairs.batches(5, "cpu"))
    sizes = [len(batch["face"]) for batch in batches]
    assert sizes[:-1] == [5] * (len(batches) - 1) and sum(sizes) == len(pairs)
    first = batches[0]
    assert first["face"].shape == (5, 3, 16, 16) and first["mask"].shape == (5, 1, 16, 16)
    assert torch.equal((first["masked"] * 255).round().to(torch.uint8), pairs.members["masked"][:5])
    assert set(torch.cat([batch["mask"] for batch in batches]).flatten().tolist()) == {0, 1}


def test_an_epoch_deals_every_pair_once_in_an_order_of_seed_and_epoch(pairs_build: Path) -> None:
    pairs = read_samples(str(pairs_build), "train", JOB)

    def dealt(seed: int, epoch: int) -> torch.Tensor:
        return torch.cat([batch["face"] for batch in pairs.epoch(4, "cpu", seed, epoch)])

    assert torch.equal(dealt(1, 1), dealt(1, 1))
    assert not torch.equal(dealt(1, 1), dealt(1, 2)) and not torch.equal(dealt(1, 1), dealt(2, 1))
    assert sorted(face.sum().item() for face in dealt(1, 2)) == sorted(face.sum().item() for face in dealt(2, 1))


def test_one_in_ten_is_held_out_by_seed_where_there_is_no_val(pairs_build: Path) -> None:
    whole = read_samples(str(pairs_build), "train", JOB)
    data = open_samples(str(pairs_build), JOB, seed=0)
    assert len(data.held_out) == max(1, len(whole) // 10)
    assert sorted(data.train.keys + data.held_out.keys) == list(whole.keys)
    assert list(data.train.keys) == sorted(data.train.keys)
    chosen = {open_samples(str(pairs_build), JOB, seed=seed).held_out.keys for seed in range(6)}
    assert len(chosen) > 1 and data.held_out.keys == open_samples(str(pairs_build), JOB, seed=0).held_out.keys


def made_up(count: int) -> SampleSet:
    values = torch.arange(count, dtype=torch.uint8).reshape(-1, 1, 1, 1)
    faces = values.expand(-1, 3, 2, 2)
    return SampleSet(tuple(f"k{n:03d}" for n in range(count)), {"face": faces, "masked": faces, "mask": values})


@pytest.mark.parametrize(("count", "batch"), [(1, 1), (1, 8), (7, 3), (9, 3), (200, 64)])
def test_batches_are_full_but_for_the_last_and_hold_every_pair_once(count: int, batch: int) -> None:
    for batches in (list(made_up(count).batches(batch, "cpu")), list(made_up(count).epoch(batch, "cpu", 3, 1))):
        assert [len(one["face"]) for one in batches] == [batch] * (count // batch) + [count % batch] * bool(
            count % batch
        )
        values = (torch.cat([one["mask"] for one in batches]).flatten() * 255).round().int()
        assert sorted(values.tolist()) == list(range(count))
        faces = (torch.cat([one["face"] for one in batches])[:, 0, 0, 0] * 255).round().int()
        assert torch.equal(values, faces), "what belongs to one pair stays together"


def test_a_part_keeps_keys_and_pictures_together() -> None:
    part = made_up(9).part([7, 2])
    assert part.keys == ("k007", "k002") and len(part) == 2
    assert part.members["face"][:, 0, 0, 0].tolist() == part.members["mask"].flatten().tolist() == [7, 2]


def test_a_split_val_is_held_out_where_there_is_one(pairs_build: Path, tmp_path: Path) -> None:
    def rename(record: dict[str, Any]) -> None:
        record["by_split"]["val"] = record["by_split"].pop("test")
        for shard in record["shards"]:
            shard["split"] = "val" if shard["split"] == "test" else shard["split"]

    data = open_samples(changed(pairs_build, tmp_path / "out", rename), JOB, seed=0)
    assert data.train.keys == read_samples(str(pairs_build), "train", JOB).keys
    assert data.held_out.keys == read_samples(str(pairs_build), "test", JOB).keys
    assert data.card.held_out_from == "split val" and data.card.held_out == len(data.held_out)


def test_the_card_says_what_the_data_are(pairs_build: Path) -> None:
    data = open_samples(str(pairs_build), JOB, seed=0)
    record = json.loads((pairs_build / "build.json").read_text())
    card, count = data.card, record["by_split"]["train"]
    assert card.name == "tiny-pairs" and card.plan == record["plan"]
    assert card.digest == hashlib.sha256((pairs_build / "build.json").read_bytes()).hexdigest()
    assert card.align == Align(mode="eye_level", size=16)
    assert sum(card.masks.values()) == count and set(card.masks) <= {"polygon-A", "polygon-C"}
    assert card.licences == card.consents == {"not stated": count}
    assert (card.train, card.held_out) == (len(data.train), len(data.held_out))
    assert "one in 10" in card.held_out_from


def test_a_preset_takes_the_size_of_the_build_or_refuses_it(pairs_build: Path) -> None:
    assert fit_preset(str(pairs_build), "autoencoder", PRESETS["tiny-paper"]) == PRESETS["tiny-paper"]
    assert fit_preset(str(pairs_build), "autoencoder", dataclasses.replace(PRESETS["compact"], size=64)).size == 16
    with pytest.raises(TrainingError, match=r"takes squares with a side of 64 \(got 16x16\).*size: 64.*lee2022.yaml"):
        fit_preset(str(pairs_build), "autoencoder", PRESETS["paper"])


def _without_train(record: dict[str, Any]) -> None:
    """A record whose split `train` is gone, in numbers that agree."""
    lost = record["by_split"].pop("train")
    record["shards"] = [shard for shard in record["shards"] if shard["split"] != "train"]
    left = record["written"] - lost
    record.update(written=left, planned=record["planned"] - lost, by_mask={"m": left}, by_source={"s": left})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda record: record["recipe"]["align"].update(size=[18, 16]),
            r"a multiple of 2, at least 8, at most 1024 \(got 18x16\)",
        ),
        (lambda record: record["recipe"]["align"].update(size=17), r"of 2, at least 8, at most 1024 \(got 17x17\)"),
        (lambda record: record["recipe"].update(masks=[]), "has no masked faces.*lee2022.yaml"),
        (_without_train, r"no split `train` \(got test\)"),
    ],
)
def test_builds_that_do_not_fit_are_refused(pairs_build: Path, tmp_path: Path, change: Any, said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        fit_preset(changed(pairs_build, tmp_path / "out", change), "autoencoder", TINY)


def test_no_build_and_a_damaged_one(pairs_build: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no finished build"):
        fit_preset(str(tmp_path), "autoencoder", TINY)
    with pytest.raises(FaceloomError, match="no such split"):
        read_samples(str(pairs_build), "val", JOB)
    copy = Path(changed(pairs_build, tmp_path / "out", lambda record: None))
    for shard in (copy / "shards").iterdir():
        shard.write_bytes(shard.read_bytes()[:-600])
    with pytest.raises(StorageError, match=r"the shard has .* bytes, and build.json lists"):
        open_samples(str(copy), JOB, seed=0)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_sample_is_named_in_one_line_from_workers_too(
    pairs_build: Path, tmp_path: Path, workers: int
) -> None:
    copy = Path(changed(pairs_build, tmp_path / "out", lambda record: None))
    for shard in (copy / "shards").iterdir():
        data = bytearray(shard.read_bytes())
        data[520] ^= 1
        shard.write_bytes(data)
    with pytest.raises(StorageError) as found:
        read_samples(str(copy), "train", JOB, workers=workers)
    text = str(found.value)
    assert re.match(r"shards/train-.*tar: sample \S+ is damaged: the sha256 of its face.png differs", text)
    assert "\n" not in text and "Traceback" not in text


def test_pictures_of_different_sizes_are_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build() -> str:
        record = json.loads((make_build(tmp_path, [("train", 2)]) / "build.json").read_text())
        (tmp_path / "build.json").write_text(
            json.dumps({**record, "recipe": {"name": "x", "output": {"alpha": False}}})
        )
        return str(tmp_path)

    assert len(read_samples(build(), "train", JOB)) == 2
    real = builds.sample_files
    monkeypatch.setattr(builds, "SIDE", 8)
    small = real(1)
    monkeypatch.setattr(builds, "SIDE", 16)
    monkeypatch.setattr(builds, "sample_files", lambda number: small if number else real(0))
    with pytest.raises(StorageError, match=r"pictures of a split differ in size \(got 16x16, 8x8\)"):
        read_samples(build(), "train", JOB)


def test_more_pairs_than_memory_takes_are_refused(pairs_build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_data, "MAX_BYTES", 1000)
    with pytest.raises(TrainingError, match="do not fit into memory"):
        open_samples(str(pairs_build), JOB, seed=0)


def test_samples_that_a_job_cannot_use_are_left_out(guided_build: Path) -> None:
    preset: Any = fit_preset(str(guided_build), "msagan", presets_of("msagan")["tiny"])
    samples = read_samples(str(guided_build), "train", make_job("msagan", preset))
    assert len(samples) == 13 and set(samples.members) == {"face", "guide", "has"}
    assert set(samples.members["has"].tolist()) == {0.0, 1.0}
    everyone = dataclasses.replace(preset, attribute="mouth_open", mask_loss="none")
    samples = read_samples(str(guided_build), "train", make_job("msagan", everyone))
    assert len(samples) == 14 and samples.members["landmarks"].shape == (14, 68, 2)


def test_an_attribute_with_one_value_is_refused_before_any_work(guided_build: Path) -> None:
    tiny: Any = presets_of("msagan")["tiny"]
    with pytest.raises(TrainingError, match=r"all 14 samples.*same value \(got true\)"):
        fit_preset(str(guided_build), "msagan", dataclasses.replace(tiny, attribute="mouth_open"))
