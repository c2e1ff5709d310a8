"""Names and seeds come from content alone: the same in every process, and as good as random."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.schemas.keys import (
    IDENTITY_BITS,
    PHOTO_BITS,
    POSITION_BITS,
    SAMPLE_KEY,
    digest,
    digest_rows,
    generator,
    position,
    prefix_name,
    sample_key,
    seed_of,
    unit_interval,
)

shas = st.binary(max_size=8).map(lambda data: hashlib.sha256(data).hexdigest())
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8))


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_names_and_seeds_are_fixed_for_ever() -> None:
    """These values stand in released indexes: when one changes, every old release loses its meaning."""
    assert digest("a", 1) == sha('["a",1]')
    assert digest({"b": 1, "a": "é"}) == sha('[{"a":"é","b":1}]')
    assert sample_key("0123456789abcdef" * 4, 3, 12) == "0123456789abcdef-f03-m012"
    assert seed_of(0, "k", "paint") == int(sha('[0,"k","paint"]')[:16], 16)
    assert unit_interval("split", 0, "Ada") == int(sha('["split",0,"Ada"]')[:13], 16) / 16**13
    assert generator(1, "k", "op").integers(2**32) == np.random.default_rng(seed_of(1, "k", "op")).integers(2**32)


PROBE = """
from faceloom.schemas.keys import *
print(digest("é", 1.5, {"b": [1], "a": None}), seed_of(3, "key", "paint"), unit_interval("x", 2),
      position("Ada", "ab" * 32), generator(1, "k", "op").random(), sample_key("cd" * 32, 1, 2))
"""


def test_the_same_in_every_process() -> None:
    found = set()
    for seed in ("0", "1", "random"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": "C"}
        found.add(subprocess.run([sys.executable, "-c", PROBE], env=env, capture_output=True, check=True).stdout)
    assert len(found) == 1


@given(st.lists(scalars, max_size=4), st.lists(scalars, max_size=4))
def test_other_values_have_another_digest(one: list[object], other: list[object]) -> None:
    same = [repr(value) for value in one] == [repr(value) for value in other]
    assert (digest(*one) == digest(*other)) is same


@given(st.lists(st.lists(scalars, max_size=3), max_size=4), st.lists(scalars, max_size=2))
def test_rows_one_by_one_have_the_digest_of_all_at_once(rows: list[object], parts: list[object]) -> None:
    assert digest_rows(iter(rows), *parts) == digest(*parts, rows)


def test_a_digest_does_not_run_values_together() -> None:
    assert len({digest("ab", "c"), digest("a", "bc"), digest("abc"), digest(["ab", "c"]), digest("ab,c")}) == 5


def test_a_digest_knows_no_order_of_keys_and_takes_half_characters() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest("\udc80") != digest("\udc81")
    assert digest((1, 2)) == digest([1, 2])


def test_what_has_no_json_form_has_no_digest() -> None:
    with pytest.raises(TypeError):
        digest({1, 2})
    with pytest.raises(TypeError):
        digest(np.float32(1))


@given(shas, st.integers(0, 98), st.integers(0, 998))
def test_sample_keys_suit_webdataset_and_sort_by_photo_face_variant(photo: str, face: int, variant: int) -> None:
    key = sample_key(photo, face, variant)
    assert SAMPLE_KEY.fullmatch(key)
    assert "." not in key
    assert key.startswith(photo[:16])
    assert key < sample_key(photo, face, variant + 1)
    assert key < sample_key(photo, face + 1, 0)


@given(
    shas,
    shas,
    st.tuples(st.integers(0, 200), st.integers(0, 2000)),
    st.tuples(st.integers(0, 200), st.integers(0, 2000)),
)
def test_no_two_samples_share_a_key(a: str, b: str, x: tuple[int, int], y: tuple[int, int]) -> None:
    assert (sample_key(a, *x) == sample_key(b, *y)) is ((a, x) == (b, y))


@given(st.integers(0, 2**40), st.text(max_size=20))
def test_seeds_differ_by_operation_key_and_recipe_seed(seed: int, key: str) -> None:
    seeds = {
        seed_of(seed, key, "paint"),
        seed_of(seed, key, "choose_mask"),
        seed_of(seed + 1, key, "paint"),
        seed_of(seed, key + "x", "paint"),
    }
    assert len(seeds) == 4
    assert all(0 <= one < 2**64 for one in seeds)


@given(st.integers(0, 2**40), st.text(max_size=20), st.text(max_size=10))
def test_a_generator_starts_afresh_every_time(seed: int, key: str, operation: str) -> None:
    first, second = generator(seed, key, operation), generator(seed, key, operation)
    assert first is not second
    assert first.random(3).tolist() == second.random(3).tolist()


@given(st.lists(scalars, max_size=3))
def test_the_unit_interval_is_half_open(values: list[object]) -> None:
    assert 0 <= unit_interval(*values) < 1


def test_the_unit_interval_is_even() -> None:
    tenths = Counter(int(10 * unit_interval("person", number)) for number in range(20_000))
    assert sorted(tenths) == list(range(10))
    assert max(abs(count - 2000) for count in tenths.values()) < 5 * (2000 * 0.9) ** 0.5


@given(st.text(max_size=10), shas, shas)
def test_photos_of_one_group_are_neighbours(group: str, one: str, other: str) -> None:
    a, b = position(group, one), position(group, other)
    assert 0 <= a < 2**POSITION_BITS
    assert a >> PHOTO_BITS == b >> PHOTO_BITS < 2**IDENTITY_BITS
    assert (a < b) is (one[:16] < other[:16])


def test_groups_are_spread_evenly() -> None:
    eighths = Counter(position(f"person {number}", "0" * 64) >> (POSITION_BITS - 3) for number in range(8000))
    assert sorted(eighths) == list(range(8))
    assert max(abs(count - 1000) for count in eighths.values()) < 5 * (1000 * 7 / 8) ** 0.5


@given(st.integers(1, POSITION_BITS).flatmap(lambda n: st.tuples(st.integers(0, 2**n - 1), st.just(n))))
def test_a_leafs_name_is_its_bits(prefix: tuple[int, int]) -> None:
    name = prefix_name(*prefix)
    assert (int(name, 2), len(name)) == prefix
    assert SAMPLE_KEY.fullmatch(name)


def test_the_root_is_called_all() -> None:
    assert prefix_name(0, 0) == "all"
