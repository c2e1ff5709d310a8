"""Training pairs: all of them, in an order that only the seed decides, and only from builds that fit."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.models.presets import PRESETS
from faceloom.pipelines.read.split_reader import open_split
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.training import training_data
from faceloom.pipelines.training.training_data import PairSet, faces_of, fit_preset, hold_out, open_pairs, read_pairs
from faceloom.schemas.errors import FaceloomError, StorageError, TrainingError

torch = pytest.importorskip("torch")
pytest.importorskip("webdataset")

TINY = PRESETS["tiny-compact"]


def changed(build: Path, folder: Path, change: Any) -> str:
    """A copy of a build whose record says something else."""
    shutil.copytree(build, folder)
    record = json.loads((folder / "build.json").read_text())
    change(record)
    (folder / "build.json").write_text(json.dumps(record))
    return str(folder)


def test_a_split_is_read_whole_in_the_order_of_its_keys(pairs_build: Path) -> None:
    pairs = read_pairs(str(pairs_build), "train")
    samples = {sample["__key__"]: sample for sample in open_split(pairs_build, "train")}
    assert list(pairs.keys) == sorted(samples) and len(pairs) > 10
    for number, key in enumerate(pairs.keys):
        for name in ("face", "masked"):
            assert torch.equal(getattr(pairs, name)[number], torch.from_numpy(samples[key][name]).permute(2, 0, 1))
        assert torch.equal(pairs.mask[number, 0], torch.from_numpy(samples[key]["mask"]))


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(pairs_build: Path, workers: int) -> None:
    one, other = read_pairs(str(pairs_build), "train"), read_pairs(str(pairs_build), "train", workers=workers)
    assert one.keys == other.keys
    assert all(torch.equal(getattr(one, name), getattr(other, name)) for name in ("face", "masked", "mask"))


def test_batches_are_floats_of_the_same_pixels(pairs_build: Path) -> None:
    pairs = read_pairs(str(pairs_build), "train")
    batches = list(pairs.batches(5, "cpu"))
    assert [len(batch) for batch in batches[:-1]] == [5] * (len(batches) - 1) and sum(map(len, batches)) == len(pairs)
    first = batches[0]
    assert first.face.shape == (5, 3, 16, 16) and first.mask.shape == (5, 1, 16, 16)
    assert torch.equal((first.masked * 255).round().to(torch.uint8), pairs.masked[:5])
    assert set(torch.cat([batch.mask for batch in batches]).unique().tolist()) == {0, 1}


def test_an_epoch_deals_every_pair_once_in_an_order_of_seed_and_epoch(pairs_build: Path) -> None:
    pairs = read_pairs(str(pairs_build), "train")

    def dealt(seed: int, epoch: int) -> torch.Tensor:
        return torch.cat([batch.face for batch in pairs.epoch(4, "cpu", seed, epoch)])

    assert torch.equal(dealt(1, 1), dealt(1, 1))
    assert not torch.equal(dealt(1, 1), dealt(1, 2)) and not torch.equal(dealt(1, 1), dealt(2, 1))
    assert sorted(face.sum().item() for face in dealt(1, 2)) == sorted(face.sum().item() for face in dealt(2, 1))


def test_one_in_ten_is_held_out_by_seed_where_there_is_no_val(pairs_build: Path) -> None:
    whole = read_pairs(str(pairs_build), "train")
    data = open_pairs(str(pairs_build), TINY, seed=0)
    assert len(data.held_out) == max(1, len(whole) // 10)
    assert sorted(data.train.keys + data.held_out.keys) == list(whole.keys)
    assert list(data.train.keys) == sorted(data.train.keys)
    chosen = {open_pairs(str(pairs_build), TINY, seed=seed).held_out.keys for seed in range(6)}
    assert len(chosen) > 1 and data.held_out.keys == open_pairs(str(pairs_build), TINY, seed=0).held_out.keys


Shown = dict[str, tuple[tuple[str, str], ...]]


def samples_of(people: int, photos: int, variants: int = 1, morphs: int = 0) -> Shown:
    """Faces of some people, each in several samples, and morphs of each face with those of the next people."""
    faces = [(f"p{person}", f"p{person}-f{photo}") for person in range(people) for photo in range(photos)]
    found: Shown = {f"{face[1]}-m{number}": (face,) for face in faces for number in range(variants)}
    for at, face in enumerate(faces):
        for step in range(1, morphs + 1):
            other = faces[(at + step * photos) % len(faces)]
            found[f"{face[1]}-x-{other[1]}-m0"] = (face, other)
    return found


@pytest.mark.parametrize("morphs", [0, 3])
def test_people_are_held_out_with_all_their_samples(morphs: int) -> None:
    samples = samples_of(people=40, photos=3, variants=2, morphs=morphs)
    for seed in range(5):
        divided = hold_out(samples, seed)
        sides = [
            {identity for key in keys for identity, _ in samples[key]} for keys in (divided.train, divided.held_out)
        ]
        assert not sides[0] & sides[1] and len(sides[0] | sides[1]) == 40 and len(sides[1]) == 4
        assert divided.text.startswith("one in 10 of train, by seed: people")
        left = samples.keys() - divided.train - divided.held_out
        assert all({identity for identity, _ in samples[key]} & side for key in left for side in sides)
        assert bool(left) == bool(morphs) and (f"; {len(left)} morphs" in divided.text) == bool(left)


def test_of_few_people_faces_are_held_out() -> None:
    samples = samples_of(people=1, photos=20, variants=5)
    divided = hold_out(samples, 0)
    faces = [{face for key in keys for _, face in samples[key]} for keys in (divided.train, divided.held_out)]
    assert not faces[0] & faces[1] and (len(faces[0]), len(faces[1])) == (18, 2)
    assert len(divided.train) + len(divided.held_out) == len(samples) and "by seed: faces" in divided.text
    assert "by seed: faces" in hold_out(samples_of(people=9, photos=2), 0).text
    assert "by seed: people" in hold_out(samples_of(people=10, photos=2), 0).text


def test_the_samples_of_one_face_are_divided_themselves() -> None:
    divided = hold_out(samples_of(1, 1, variants=20), 0)
    assert (len(divided.train), len(divided.held_out)) == (18, 2)
    assert not divided.train & divided.held_out and "by seed: pairs" in divided.text
    assert hold_out(samples_of(1, 1), 0).train == frozenset()


def test_nobody_with_more_than_a_tenth_is_held_out_but_where_all_have_more() -> None:
    samples = samples_of(people=30, photos=1) | {f"much-{n}": (("much", f"much-f{n}"),) for n in range(30)}
    assert all(not key.startswith("much") for seed in range(20) for key in hold_out(samples, seed).held_out)
    crowded = samples_of(people=1, photos=3, variants=4) | {"p9-m0": (("p9", "p9-f0"),), "p9-m1": (("p9", "p9-f0"),)}
    assert hold_out(crowded, 0).held_out == {"p9-m0", "p9-m1"}


def test_who_is_held_out_is_the_same_in_any_order_and_differs_by_seed() -> None:
    samples = samples_of(people=30, photos=2, morphs=1)
    turned = dict(reversed(samples.items()))
    assert [hold_out(samples, seed) for seed in range(4)] == [hold_out(turned, seed) for seed in range(4)]
    assert len({hold_out(samples, seed).held_out for seed in range(4)}) > 1


FACES = st.tuples(st.integers(0, 14), st.integers(0, 3)).map(lambda at: (f"p{at[0]}", f"p{at[0]}-f{at[1]}"))


@given(st.dictionaries(st.integers(0, 999).map(str), st.lists(FACES, min_size=1, max_size=2).map(tuple), min_size=1),
       st.integers(0, 99))  # fmt: skip
@settings(max_examples=200)
def test_whatever_a_split_shows_nobody_is_on_both_sides_and_someone_is_held_out(samples: Shown, seed: int) -> None:
    divided = hold_out(samples, seed)
    assert divided.held_out and not divided.train & divided.held_out
    assert divided.train | divided.held_out <= samples.keys()
    of_what = {
        "people": lambda key: {who for who, _ in samples[key]},
        "faces": lambda key: {f for _, f in samples[key]},
    }
    word = divided.text.split("by seed: ")[1].split()[0]
    if word in of_what:
        train, held_out = (set().union(*map(of_what[word], keys)) for keys in (divided.train, divided.held_out))
        assert not train & held_out
    for key in samples.keys() - divided.train - divided.held_out:
        assert len(samples[key]) == 2, "only a morph is of both"


def made_up(count: int) -> PairSet:
    values = torch.arange(count, dtype=torch.uint8).reshape(-1, 1, 1, 1)
    return PairSet(
        tuple(f"k{n:03d}" for n in range(count)), values.expand(-1, 3, 2, 2), values.expand(-1, 3, 2, 2), values
    )


@pytest.mark.parametrize(("count", "batch"), [(1, 1), (1, 8), (7, 3), (9, 3), (200, 64)])
def test_batches_are_full_but_for_the_last_and_hold_every_pair_once(count: int, batch: int) -> None:
    for batches in (list(made_up(count).batches(batch, "cpu")), list(made_up(count).epoch(batch, "cpu", 3, 1))):
        assert [len(one) for one in batches] == [batch] * (count // batch) + [count % batch] * bool(count % batch)
        values = (torch.cat([one.mask for one in batches]).flatten() * 255).round().int()
        assert sorted(values.tolist()) == list(range(count))
        faces = (torch.cat([one.face for one in batches])[:, 0, 0, 0] * 255).round().int()
        assert torch.equal(values, faces), "what belongs to one pair stays together"


def test_a_part_keeps_keys_and_pictures_together() -> None:
    part = made_up(9).part([7, 2])
    assert part.keys == ("k007", "k002") and len(part) == 2
    assert part.face[:, 0, 0, 0].tolist() == part.mask.flatten().tolist() == [7, 2]


def test_the_faces_of_a_split_are_those_of_its_index(pairs_build: Path) -> None:
    faces = faces_of(Storage(str(pairs_build)), "train")
    assert list(read_pairs(str(pairs_build), "train").keys) == sorted(faces)
    assert all(key.startswith(f"{face}-m") for key, ((_, face),) in faces.items())
    assert {identity for ((identity, _),) in faces.values()} == {f"person {number}" for number in range(4)}


def test_a_split_val_is_held_out_where_there_is_one(pairs_build: Path, tmp_path: Path) -> None:
    def rename(record: dict[str, Any]) -> None:
        record["by_split"]["val"] = record["by_split"].pop("test")
        for shard in record["shards"]:
            shard["split"] = "val" if shard["split"] == "test" else shard["split"]

    data = open_pairs(changed(pairs_build, tmp_path / "out", rename), TINY, seed=0)
    assert data.train.keys == read_pairs(str(pairs_build), "train").keys
    assert data.held_out.keys == read_pairs(str(pairs_build), "test").keys
    assert data.card.held_out_from == "split val" and data.card.held_out == len(data.held_out)


def test_the_card_says_what_the_data_are(pairs_build: Path) -> None:
    data = open_pairs(str(pairs_build), TINY, seed=0)
    record = json.loads((pairs_build / "build.json").read_text())
    card, count = data.card, record["by_split"]["train"]
    assert card.name == "tiny-pairs" and card.plan == record["plan"]
    assert card.digest == hashlib.sha256((pairs_build / "build.json").read_bytes()).hexdigest()
    assert card.align["mode"] == "eye_level" and card.align["size"] == 16
    assert sum(card.masks.values()) == count and set(card.masks) <= {"polygon-A", "polygon-C"}
    assert card.licences == card.consents == {"not stated": count}
    assert (card.train, card.held_out) == (len(data.train), len(data.held_out))
    assert "one in 10" in card.held_out_from


def test_a_preset_takes_the_size_of_the_build_or_refuses_it(pairs_build: Path) -> None:
    assert fit_preset(str(pairs_build), PRESETS["tiny-paper"]) == PRESETS["tiny-paper"]
    assert fit_preset(str(pairs_build), dataclasses.replace(PRESETS["compact"], size=64)).size == 16
    with pytest.raises(TrainingError, match=r"takes squares with a side of 64 \(got 16x16\).*size: 64.*lee2022.yaml"):
        fit_preset(str(pairs_build), PRESETS["paper"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda record: record["recipe"]["align"].update(size=[16, 12]), r"a multiple of 2 \(got 16x12\)"),
        (lambda record: record["recipe"]["align"].update(size=17), r"a multiple of 2 \(got 17x17\)"),
        (lambda record: record["recipe"].update(masks=[]), "holds no masked faces.*lee2022.yaml"),
        (lambda record: record["by_split"].pop("train"), r"no split `train` \(got test\)"),
    ],
)
def test_builds_that_do_not_fit_are_refused(pairs_build: Path, tmp_path: Path, change: Any, said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        fit_preset(changed(pairs_build, tmp_path / "out", change), TINY)


def test_no_build_and_a_damaged_one(pairs_build: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no finished build"):
        fit_preset(str(tmp_path), TINY)
    with pytest.raises(FaceloomError, match="no such split"):
        read_pairs(str(pairs_build), "val")
    copy = Path(changed(pairs_build, tmp_path / "out", lambda record: None))
    for shard in (copy / "shards").iterdir():
        shard.write_bytes(shard.read_bytes()[:-600])
    with pytest.raises(StorageError, match="missing or cut short"):
        open_pairs(str(copy), TINY, seed=0)


def test_more_pairs_than_memory_takes_are_refused(pairs_build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_data, "MAX_BYTES", 1000)
    with pytest.raises(TrainingError, match="do not fit into memory"):
        open_pairs(str(pairs_build), TINY, seed=0)
