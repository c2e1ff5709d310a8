"""Which device torch computes on."""

from __future__ import annotations

import platform
from pathlib import Path

from faceloom.schemas.errors import TrainingError

DEVICES = ("auto", "cpu", "cuda")
"""Allowed values of the option."""


def find_device(asked: str) -> str:
    """Return the device to use, `cpu` or `cuda`.

    Args:
        asked: one of DEVICES; `auto` takes CUDA if there is a usable GPU.

    Raises:
        TrainingError: the device is unknown or not available.
    """
    if asked not in DEVICES:
        raise TrainingError("unknown device", where="device", value=asked, remedy=f"Allowed: {', '.join(DEVICES)}")
    if asked == "cpu":
        return asked
    import torch

    there = torch.cuda.is_available()
    if asked == "cuda" and not there:
        built = "this torch has no CUDA" if torch.version.cuda is None else "torch finds no usable GPU"
        raise TrainingError("CUDA is not available", where="device", value=built, remedy="Use cpu or auto")
    return "cuda" if there else "cpu"


def device_text(device: str) -> str:
    """Describe a device for a card: its product name and, for a CPU, the number of threads that torch uses."""
    import torch

    if device == "cuda":
        return f"cuda: {torch.cuda.get_device_name()}"
    return f"cpu: {_cpu_name()}, {torch.get_num_threads()} threads"


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()
