"""Pick the members of one sample and decode them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Literal

from faceloom.schemas.errors import FaceloomError, PhotoError, StorageError
from faceloom.schemas.json_text import MOST_DEPTH, parse_json

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Missing = Literal["error", "skip"] | Mapping[str, Any]
"""What to do with a sample that lacks a requested member; a mapping holds values to use in its place."""

_GREY = ("mask", "instances", "alpha", "guide", "lr_mask")
_POINTS = ("landmarks", "lower_landmarks")
_NPY = re.compile(
    rb"\x93NUMPY\x01\x00(..)\{'descr': '<f4', 'fortran_order': False, 'shape': \((\d{1,9}),(?: (\d{1,9}))?\), \} *\n",
    re.DOTALL,
)
MOST_PIXELS = 4096 * 4096
"""Pixels of the largest crop."""
MOST_JSON = 1 << 24
"""Bytes of the longest record of a sample."""
_FORMATS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF")


def check_missing(missing: Missing, members: Sequence[str] | None) -> None:
    """Check that `missing` is valid and fits `members`.

    Raises:
        FaceloomError: it is no known value, or it covers members that are not requested.
    """
    if isinstance(missing, Mapping):
        if not set(missing) <= set(members or ()):
            remedy = "Add them to `members`"
            values = ", ".join(sorted(missing))
            raise FaceloomError("`missing` names members that are not read", value=values, remedy=remedy)
    elif missing not in ("error", "skip"):
        remedy = "Use 'error', 'skip', or a mapping such as {'landmarks': array}"
        raise FaceloomError("`missing` has an unknown value", value=missing, remedy=remedy)
    elif missing == "skip" and members is None:
        raise FaceloomError("missing='skip' has no effect without `members`", remedy="List the members to read")


def pick_members(
    sample: dict[str, Any], *, members: tuple[str, ...] | None, missing: Missing, decode: bool, tensors: bool
) -> dict[str, Any] | None:
    """Pick the requested members of a raw sample and decode them; None leaves the sample out.

    Args:
        sample: as webdataset groups it: `__key__`, `__url__`, and bytes by file name.
        members, missing, decode, tensors: as in `open_split`.

    Raises:
        FaceloomError: the sample lacks a member, and `missing` is `error`.
        StorageError: a member cannot be decoded.
    """
    where = f"{sample['__url__']}::{sample['__key__']}"
    files = {name.partition(".")[0]: name for name in sorted(sample) if not name.startswith("__")}
    picked: dict[str, Any] = {"__key__": sample["__key__"]}
    for member in sorted(files if members is None else members):
        if member in files:
            name = files[member]
            if not decode:
                picked[name] = sample[name]
                continue
            value = decode_member(name, sample[name], where)
        elif isinstance(missing, Mapping) and member in missing:
            value = deepcopy(missing[member])  # a caller that changes one sample must not change the others
        elif missing == "skip":
            return None
        else:
            has = ", ".join(files)
            remedy = f"It has: {has}. If only some samples lack it, missing='skip' leaves those out"
            raise FaceloomError("the sample has no such member", where=where, value=member, remedy=remedy)
        picked[member] = _tensor(value) if tensors and member != "json" else value
    return picked


def decode_member(name: str, data: bytes, sample: str = "") -> Any:
    """Decode one member of a sample by its file name.

    Args:
        name: such as `face.jpg`, `mask.png`, `landmarks.npy` or `json`.
        data: its content.
        sample: shard and key, for the message of an error.

    Returns:
        For pictures uint8 (H, W, 3), RGB; for `mask`, `instances`, `alpha`, `guide` and `lr_mask` uint8 (H, W); for
        `.npy` float32, (68, 2) for landmarks, otherwise (D,); for `json` a dict.

    Raises:
        StorageError: it cannot be decoded, or has more than `MOST_PIXELS` or `MOST_JSON`.
    """
    kind, _, ending = name.partition(".")
    try:
        if name == "json":
            return _record(data)
        return _array(kind, data) if ending == "npy" else _picture(kind, data)
    except (ValueError, RecursionError, PhotoError) as error:
        remedy = "Build the dataset again with this version of faceloom"
        what = f"the {name} of a sample cannot be decoded: {str(error).splitlines()[0]}"
        raise StorageError(what, where=sample, remedy=remedy) from None


def _record(data: bytes) -> dict[str, Any]:
    if len(data) > MOST_JSON:
        raise ValueError(f"it has {len(data):,} bytes; at most {MOST_JSON:,} are read")
    # parse_json takes eight times as long, and few brackets cannot nest deep.
    shallow = data.count(b"[") + data.count(b"{") <= MOST_DEPTH
    value = json.loads(data) if shallow else parse_json(data, MOST_JSON)
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    return value


def _array(kind: str, data: bytes) -> npt.NDArray[np.float32]:
    import numpy as np

    # NumPy's own parser raises errors of many kinds, and reserves memory for any shape.
    header = _NPY.match(data)
    if header is None:
        raise ValueError("it is no .npy of float32 as builds write it")
    shape = tuple(int(number) for number in header.group(2, 3) if number)
    content = memoryview(data)[header.end() :]
    fits = shape == (68, 2) if kind in _POINTS else len(shape) == 1
    if not fits or header.end() != 10 + int.from_bytes(header[1], "little") or len(content) != 4 * math.prod(shape):
        raise ValueError(f"its shape is {shape}, in {len(content):,} bytes")
    return np.frombuffer(content, "<f4").reshape(shape).copy()


def _picture(kind: str, data: bytes) -> npt.NDArray[np.uint8]:
    import cv2
    import numpy as np

    if not data.startswith(_FORMATS):
        raise ValueError("it is no JPEG, PNG or WEBP")
    width, height = _size(data)
    if width * height > MOST_PIXELS:
        raise ValueError(f"it has {width} x {height} pixels; at most {MOST_PIXELS:,} are decoded")
    flag = cv2.IMREAD_GRAYSCALE if kind in _GREY else cv2.IMREAD_COLOR_RGB
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error as error:
        raise ValueError(error.err) from None
    if picture is None:
        raise ValueError("its pixels are damaged")
    return np.asarray(picture, np.uint8)


def _size(data: bytes) -> tuple[int, int]:
    """Width and height of a picture."""
    if data[12:16] == b"IHDR":  # of PNG; Pillow takes longer than decoding
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    from faceloom.transforms.decode import MAX_PIXELS, read_header

    return read_header(data, max_pixels=MAX_PIXELS).size


def _tensor(value: Any) -> Any:
    import numpy as np
    import torch

    if not isinstance(value, np.ndarray):  # a value from `missing` may be of any type
        return value
    if value.dtype != "uint8":
        return torch.from_numpy(value)
    picture = torch.from_numpy(value)
    return picture[None] if picture.ndim == 2 else picture.permute(2, 0, 1).contiguous()
