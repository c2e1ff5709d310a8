"""Machines of a cluster, by their type."""

from __future__ import annotations

import re
from dataclasses import dataclass

from faceloom.schemas.errors import FaceloomError

_GIB_PER_CORE = {"standard": 4.0, "highmem": 8.0, "highcpu": 1.0}
_OTHERS = {"n1-standard": 3.75, "n1-highmem": 6.5, "n1-highcpu": 0.9, "c3-highcpu": 2.0, "c4-highcpu": 2.0}
_GOOGLE = re.compile(r"([a-z][0-9][a-z]{0,2})-(standard|highmem|highcpu)-([0-9]{1,3})")
_PLAIN = re.compile(r"([0-9]{1,3})x([0-9]{1,4}(?:\.[0-9])?)")


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine of a cluster.

    Attributes:
        name: its type.
        cores: processors; a worker process runs on each.
        memory: bytes.
    """

    name: str
    cores: int
    memory: int


def parse_machine(text: str) -> Machine:
    """Cores and memory of a type of machine.

    Args:
        text: a type of Google Compute Engine such as `n2-standard-8`, or cores and GiB of memory such as `8x32`.

    Raises:
        FaceloomError: it is neither.

    >>> parse_machine("n2-standard-8").cores, parse_machine("4x15").memory // 2**30
    (8, 15)
    """
    if (found := _GOOGLE.fullmatch(text)) and int(found[3]):
        family, cores = f"{found[1]}-{found[2]}", int(found[3])
        return Machine(text, cores, round(cores * _OTHERS.get(family, _GIB_PER_CORE[found[2]]) * 2**30))
    if (found := _PLAIN.fullmatch(text)) and int(found[1]) and float(found[2]):
        return Machine(text, int(found[1]), round(float(found[2]) * 2**30))
    remedy = "Write a type of Google Compute Engine such as n2-standard-8, or cores and GiB of memory such as 8x32"
    raise FaceloomError("unknown type of machine", where="--machine", value=text, remedy=remedy)
