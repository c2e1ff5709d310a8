"""Held-out samples: no person is on both sides, about a tenth is held out, and only the seed decides which."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("webdataset")

from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.models.job import make_job
from faceloom.models.presets import PRESETS
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.training.held_out import faces_of, hold_out
from faceloom.pipelines.training.training_data import read_samples

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


def test_no_one_with_more_than_a_tenth_is_held_out_but_where_all_have_more() -> None:
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
def test_whatever_a_split_shows_no_one_is_on_both_sides_and_someone_is_held_out(samples: Shown, seed: int) -> None:
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


def test_the_faces_of_a_split_are_those_of_its_index(pairs_build: Path) -> None:
    faces = faces_of(Storage(str(pairs_build)), "train")
    job = make_job("autoencoder", PRESETS["tiny-compact"])
    assert list(read_samples(str(pairs_build), "train", job).keys) == sorted(faces)
    assert all(key.startswith(f"{face}-m") for key, ((_, face),) in faces.items())
    assert {identity for ((identity, _),) in faces.values()} == {f"person {number}" for number in range(4)}
