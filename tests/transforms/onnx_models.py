"""Tiny detectors in ONNX, written byte by byte: they take a bright spot for a face."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence


def _varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found, number = found + bytes([number & 127 | 128]), number >> 7
    return found + bytes([number])


def _field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _ints(name: str, values: Sequence[int]) -> bytes:
    return _field(5, _field(1, name) + b"".join(_field(8, value) for value in values) + _field(20, 7))


def _node(kind: str, inputs: Iterable[str], output: str, *attributes: bytes) -> bytes:
    named = b"".join(_field(1, one) for one in inputs) + _field(2, output) + _field(3, f"node_{output}")
    return _field(1, named + _field(4, kind) + b"".join(attributes))


def _tensor(name: str, shape: Sequence[int], values: Sequence[float]) -> bytes:
    data = struct.pack(f"<{len(values)}f", *values)
    return _field(5, b"".join(_field(1, side) for side in shape) + _field(2, 1) + _field(8, name) + _field(9, data))


def _value(number: int, name: str, shape: Sequence[int]) -> bytes:
    sides = b"".join(_field(1, _field(1, side)) for side in shape)
    return _field(number, _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, sides))))


def _model(cells: dict[int, dict[str, tuple[float, Sequence[float]]]]) -> bytes:
    """A model whose outputs are cells of some sizes; each channel is `weight * mean grey / 255 + bias`.

    Args:
        cells: by the side of a cell, for each output its weight and the biases of its channels.
    """
    graph = b""
    outputs: list[tuple[str, int, int]] = []
    for side, found in cells.items():
        pool = _ints("kernel_shape", (side, side)), _ints("strides", (side, side))
        graph += _node("AveragePool", ["input"], f"cells_{side}", *pool)
        for name, (weight, biases) in found.items():
            graph += _node("Conv", [f"cells_{side}", f"w_{name}", f"b_{name}"], name, _ints("kernel_shape", (1, 1)))
            graph += _tensor(f"w_{name}", (len(biases), 3, 1, 1), [weight / 765] * 3 * len(biases))
            graph += _tensor(f"b_{name}", (len(biases),), biases)
            outputs.append((name, len(biases), 64 // side))
    graph += _field(2, "tiny") + _value(11, "input", (1, 3, 64, 64))
    graph += b"".join(_value(12, name, (1, channels, side, side)) for name, channels, side in outputs)
    return _field(1, 7) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 11))


def centerface(height: float, width: float) -> bytes:
    """A model with the outputs of CenterFace: bright cells of 4 pixels are middles of faces of one size."""
    sizes = math.log(height / 4), math.log(width / 4)
    return _model({4: {"537": (1, [0]), "538": (0, sizes), "539": (0, [0, 0]), "540": (0, [0] * 10)}})


def face_yn() -> bytes:
    """A model with the outputs of YuNet: bright cells of 8, 16 or 32 pixels are faces of that size."""
    return _model(
        {
            side: {
                f"cls_{side}": (1, [0]),
                f"obj_{side}": (1, [0]),
                f"bbox_{side}": (0, [0] * 4),
                f"kps_{side}": (0, [0] * 10),
            }
            for side in (8, 16, 32)
        }
    )


def face_parser(classes: Sequence[tuple[float, float, float, float]], outputs: Sequence[str] = ("scores",)) -> bytes:
    """A face parser that goes by colour: the score of each class is weighted red, green and blue, 0..1, plus a bias."""
    flat = [weight for one in classes for weight in one[:3]]
    graph = b""
    for name in outputs:
        graph += _node("Conv", ["input", f"w_{name}", f"b_{name}"], name, _ints("kernel_shape", (1, 1)))
        graph += _tensor(f"w_{name}", (len(classes), 3, 1, 1), flat)
        graph += _tensor(f"b_{name}", (len(classes),), [one[3] for one in classes])
    graph += _field(2, "tiny") + _value(11, "input", (1, 3, 64, 64))
    graph += b"".join(_value(12, name, (1, len(classes), 64, 64)) for name in outputs)
    return _field(1, 7) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 11))


BY_COLOUR: tuple[tuple[float, float, float, float], ...] = ((0, 0, 0, 0.5), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0))
"""Classes of `face_parser`: black is background, red, green and blue are the classes 1, 2 and 3."""
