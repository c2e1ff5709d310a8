"""Weights as safetensors: written whole, read by memory map, and compared with the network that they are for."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceloom.schemas.errors import CheckpointError
from faceloom.schemas.json_text import parse_json
from faceloom.schemas.plain_values import shown
from faceloom.schemas.regular_files import open_regular_file

if TYPE_CHECKING:
    from torch import Tensor

MOST_HEADER = 16 * 2**20
"""Bytes of the header: names, shapes and the note. A note of 10,000 epochs takes a twentieth of it."""
_NOTE = "faceloom"
AGAIN = "Copy the folder again, or train again: `faceloom train` with --no-resume"
"""What to do about a damaged file of a run."""


def save_tensors(file: Path, tensors: Mapping[str, Tensor], note: Mapping[str, Any]) -> None:
    """Write tensors with a JSON note in the header.

    Raises:
        OSError: the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        # One entry: the order of several is random.
        save_file(plain, file, metadata={_NOTE: json.dumps(note, sort_keys=True)})
        file.chmod(0o644)  # safetensors makes it readable by the owner only
    except SafetensorError as error:
        raise OSError(str(error)) from error


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the note of a file; the tensors are a private map of the file.

    Raises:
        CheckpointError: the file is missing or damaged, or its header is longer than `MOST_HEADER`.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with open_regular_file(path) as stream:
            if (length := int.from_bytes(stream.read(8), "little")) > MOST_HEADER:
                raise ValueError(f"its header has {length:,} bytes; at most {MOST_HEADER:,} are read")
        with safe_open(path, framework="pt") as file:
            note = parse_json((file.metadata() or {}).get(_NOTE, "{}"), MOST_HEADER)
            if not isinstance(note, dict):
                raise ValueError("its note is no object")
            return {name: file.get_tensor(name) for name in file.keys()}, note  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as error:
        value = " ".join(str(error).split())[:300]
        raise CheckpointError("the weights cannot be read", where=str(path), value=value, remedy=AGAIN) from None


def check_tensors(path: Path, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, finite: bool) -> None:
    """Compare tensors with those that a network needs.

    Args:
        path: of their file, for messages.
        tensors: from `read_weights`.
        expected: tensors of the same names, shapes and types; their device may be `meta`.
        finite: also look for values that are no finite numbers, which reads the whole file.

    Raises:
        CheckpointError: a tensor is missing, unknown, of another shape or type, or holds such a value.
    """
    remedy = "Take the folder of a run as `faceloom train` wrote it, or train again"
    what = "the weights do not fit the network"
    if wrong := sorted(tensors.keys() ^ expected.keys()):
        value = f"{'missing' if wrong[0] in expected else 'unknown'} tensor {shown(wrong[0])}"
        raise CheckpointError(what, where=str(path), value=value, remedy=remedy)
    for name, tensor in tensors.items():
        wanted = expected[name]
        if tensor.shape != wanted.shape or tensor.dtype != wanted.dtype:
            value = f"{name} is {tensor.dtype} {list(tensor.shape)} instead of {wanted.dtype} {list(wanted.shape)}"
            raise CheckpointError(what, where=str(path), value=value.replace("torch.", ""), remedy=remedy)
        # NaN goes through both ends; unlike `isfinite`, it needs no second tensor.
        if finite and tensor.is_floating_point() and not all(math.isfinite(float(end)) for end in tensor.aminmax()):
            what = "a weight is not a finite number"
            raise CheckpointError(what, where=str(path), value=name, remedy="Train again, with a lower learning rate")
