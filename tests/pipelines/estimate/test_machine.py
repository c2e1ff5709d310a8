"""Types of machines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.estimate.machine import Machine, parse_machine
from faceloom.schemas.errors import FaceloomError


@pytest.mark.parametrize(
    ("text", "cores", "gib"),
    [
        ("n2-standard-8", 8, 32),
        ("e2-highmem-16", 16, 128),
        ("n2d-highcpu-32", 32, 32),
        ("n1-standard-4", 4, 15),
        ("c3-highcpu-22", 22, 44),
        ("8x32", 8, 32),
        ("2x7.5", 2, 7.5),
    ],
)
def test_types_have_their_cores_and_memory(text: str, cores: int, gib: float) -> None:
    assert parse_machine(text) == Machine(text, cores, round(gib * 2**30))


@pytest.mark.parametrize(
    "text", ["", "n2", "n2-standard-0", "n2-large-8", "0x8", "8x0", "8 x 32", "m5.2xlarge", "8x32\n"]
)
def test_other_types_are_refused(text: str) -> None:
    with pytest.raises(FaceloomError, match=r"--machine: unknown type of machine.*n2-standard-8"):
        parse_machine(text)


@given(st.text(max_size=20))
def test_any_text_is_a_machine_or_an_error_of_ours(text: str) -> None:
    try:
        machine = parse_machine(text)
    except FaceloomError:
        return
    assert machine.cores >= 1 and machine.memory > 0
