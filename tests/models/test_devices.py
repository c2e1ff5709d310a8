"""Devices: asked for, there or not."""

from __future__ import annotations

import re

import pytest

torch = pytest.importorskip("torch")

from faceloom.models.devices import DEVICES, device_text, find_device  # noqa: E402
from faceloom.schemas.errors import TrainingError  # noqa: E402


def test_the_processor_is_always_there() -> None:
    assert find_device("cpu") == "cpu"
    assert re.fullmatch(rf"cpu: .+, {torch.get_num_threads()} threads", device_text("cpu"))


@pytest.mark.parametrize("there", [True, False])
def test_auto_takes_cuda_where_there_is_any(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert find_device("auto") == ("cuda" if there else "cpu")


def test_cuda_that_is_absent_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match=r"CUDA is not available.*Use cpu or auto"):
        find_device("cuda")


def test_an_unknown_device_is_refused_with_those_there_are() -> None:
    with pytest.raises(TrainingError, match=rf"unknown device \(got tpu\). Allowed: {', '.join(DEVICES)}"):
        find_device("tpu")
