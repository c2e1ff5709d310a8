"""A mix of bare and masked faces: the stated ratio, both kinds of each person, the same in every run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.export.picture_mix import choose_second
from faceloom.pipelines.export.sample_facts import SampleFacts

BOTH = ("face.jpg", "json", "masked.jpg")


def samples(counts: list[int], members: tuple[str, ...] = BOTH) -> list[SampleFacts]:
    return [
        SampleFacts(f"{person:04d}-{number:02d}", f"p{person}", "train", "u", False, members)
        for person, count in enumerate(counts)
        for number in range(count)
    ]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=20), st.floats(0.01, 0.99), st.integers(0, 9))
def test_each_person_with_two_samples_gives_both_pictures(counts: list[int], share: float, seed: int) -> None:
    facts = samples(counts)
    chosen = choose_second(facts, ("face", "masked"), share, seed)
    assert chosen == choose_second(facts[::-1], ("face", "masked"), share, seed)
    for person, count in enumerate(counts):
        second = sum(fact.key in chosen for fact in facts if fact.identity == f"p{person}")
        assert count == 1 or 0 < second < count
        assert abs(second - share * count) < 1 or (count > 1 and second in (1, count - 1))


@pytest.mark.parametrize("share", [0.25, 0.5, 0.7])
@pytest.mark.parametrize("count", [1, 5])
def test_many_people_keep_the_ratio(share: float, count: int) -> None:
    facts = samples([count] * 2000)
    assert len(choose_second(facts, ("face", "masked"), share, 0)) / len(facts) == pytest.approx(share, abs=0.03)


def test_the_choice_depends_on_the_seed() -> None:
    facts = samples([6] * 20)
    assert choose_second(facts, ("face", "masked"), 0.5, 0) != choose_second(facts, ("face", "masked"), 0.5, 1)


def test_samples_that_lack_a_picture_do_not_count() -> None:
    facts = samples([40], ("face.jpg", "json"))
    facts += [fact._replace(key=f"x{fact.key}", members=BOTH) for fact in samples([4])]
    chosen = choose_second(facts, ("face", "masked"), 0.5, 0)
    assert len(chosen) == 2 and all(key.startswith("x") for key in chosen)
