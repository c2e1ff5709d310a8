from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")
pytest.importorskip("matplotlib")
pytest.importorskip("skimage")

from tests.fuzz.base import Case, run_case, warm_up, without_beam
from tests.fuzz.kinds import KINDS
from tests.fuzz.run import REPORT, save_input

RANDOM, BY_HAND = 5, 7
"""Random inputs of each kind, and inputs made by hand: all together take some 20 seconds. `make fuzz` runs all."""


@pytest.fixture(scope="module", autouse=True)
def ready() -> Iterator[None]:
    """Everything imported, and builds without Beam."""
    warm_up()
    with without_beam():
        yield


def check(kind: str, name: str, case: Case) -> None:
    """Run an input; one that shows a fault is saved for `python -m tests.fuzz.run --replay`."""
    outcomes = run_case(KINDS[kind], case)
    if outcomes.faults:
        saved = save_input(REPORT, kind, name, case)
        pytest.fail("\n".join([f"saved in {saved}", *map(str, outcomes.faults), *outcomes.seen]))


@pytest.mark.parametrize("kind", KINDS)
def test_an_input_is_used_or_refused(kind: str) -> None:
    # Shrinking would take minutes; the saved input is small enough.
    @settings(
        max_examples=RANDOM,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.randoms(use_true_random=False))
    def random_inputs(rng: Random) -> None:
        check(kind, "hypothesis", KINDS[kind].make(rng))

    random_inputs()


@pytest.mark.parametrize("kind", KINDS)
def test_an_input_made_by_hand_is_used_or_refused(kind: str) -> None:
    seeds = KINDS[kind].seeds()
    for name in list(seeds)[:: -(-len(seeds) // BY_HAND)]:
        check(kind, name, seeds[name])
