"""Files of weights: what is read, and what is refused before it is read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from faceloom.models.weights_file import MOST_HEADER, check_tensors, read_weights, save_tensors  # noqa: E402
from faceloom.schemas.errors import CheckpointError  # noqa: E402


def test_tensors_and_note_come_back(tmp_path: Path) -> None:
    save_tensors(tmp_path / "w", {"a": torch.ones(2, 3)}, {"epoch": 3})
    tensors, note = read_weights(tmp_path / "w")
    assert torch.equal(tensors["a"], torch.ones(2, 3)) and note == {"epoch": 3}


def header(values: Any, data: bytes = b"") -> bytes:
    text = values if isinstance(values, bytes) else json.dumps(values).encode()
    return len(text).to_bytes(8, "little") + text + data


A = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 64,
        (MOST_HEADER + 1).to_bytes(8, "little") + b" " * 100,
        header(b"{"),
        header(b"[" * 100_000),
        header([]),
        header({"a": 1}),
        header({"a": A}),
        header({"a": A}, b"\0" * 5),
        header({"a": {**A, "shape": [2**62]}}, b"\0" * 4),
        header({"a": {**A, "shape": [-1]}}, b"\0" * 4),
        header({"a": {**A, "dtype": "X"}}, b"\0" * 4),
        header({"a": {**A, "data_offsets": [4, 0]}}, b"\0" * 4),
        header({"a": A, "b": A}, b"\0" * 4),
        header({"__metadata__": {"faceloom": "{"}, "a": A}, b"\0" * 4),
        header({"__metadata__": {"faceloom": "[]"}, "a": A}, b"\0" * 4),
        header({"__metadata__": {"faceloom": "[" * 1000}, "a": A}, b"\0" * 4),
        header({"__metadata__": {"faceloom": '{"a": NaN}'}, "a": A}, b"\0" * 4),
        header({"__metadata__": 1, "a": A}, b"\0" * 4),
    ],
)
def test_a_damaged_file_is_refused_on_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "w").write_bytes(data)
    with pytest.raises(CheckpointError, match="the weights cannot be read") as caught:
        read_weights(tmp_path / "w")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 800


def test_pipes_devices_and_folders_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path, tmp_path / "missing"):
        with pytest.raises(CheckpointError, match="the weights cannot be read"):
            read_weights(path)


EXPECTED = {"a": torch.zeros(2, 3, device="meta"), "n": torch.zeros((), dtype=torch.int64, device="meta")}
FIT = {"a": torch.ones(2, 3), "n": torch.tensor(7)}


def test_tensors_that_fit_pass() -> None:
    check_tensors(Path("w"), FIT, EXPECTED, finite=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"b": torch.ones(1)}, "unknown tensor 'b'"),
        ({"a": torch.ones(3, 2)}, r"a is float32 \[3, 2\] instead of float32 \[2, 3\]"),
        ({"a": torch.ones(2, 3).half()}, "a is float16"),
        ({"n": torch.tensor(7.0)}, "n is float32"),
        ({"a": torch.full((2, 3), float("nan"))}, "not a finite number .got a"),
        ({"a": torch.tensor([[0, 0, 0], [0, 0, float("-inf")]])}, "not a finite number .got a"),
    ],
)
def test_tensors_that_do_not_fit_are_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(CheckpointError, match=said):
        check_tensors(Path("w"), {**FIT, **change}, EXPECTED, finite=True)


def test_a_missing_tensor_is_named() -> None:
    with pytest.raises(CheckpointError, match="missing tensor 'n'"):
        check_tensors(Path("w"), {"a": FIT["a"]}, EXPECTED, finite=True)
