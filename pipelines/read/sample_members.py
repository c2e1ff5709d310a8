"""Pick the members of one sample and decode them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from io import BytesIO
from typing import Any, Literal

from faceloom.schemas.errors import FaceloomError, StorageError

Missing = Literal["error", "skip"] | Mapping[str, Any]
"""What to do with a sample that lacks a requested member; a mapping holds values to use in its place."""

_GREY = ("mask", "alpha", "guide", "lr_mask")


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
        StorageError: a picture cannot be decoded.
    """
    files = {name.partition(".")[0]: name for name in sorted(sample) if not name.startswith("__")}
    picked: dict[str, Any] = {"__key__": sample["__key__"]}
    for member in sorted(files if members is None else members):
        if member in files:
            name = files[member]
            if not decode:
                picked[name] = sample[name]
                continue
            value = decode_member(name, sample[name])
        elif isinstance(missing, Mapping) and member in missing:
            value = deepcopy(missing[member])  # a caller that changes one sample must not change the others
        elif missing == "skip":
            return None
        else:
            where, has = f"{sample['__url__']}::{sample['__key__']}", ", ".join(files)
            remedy = f"It has: {has}. If only some samples lack it, missing='skip' leaves those out"
            raise FaceloomError("the sample has no such member", where=where, value=member, remedy=remedy)
        picked[member] = _tensor(value) if tensors and member != "json" else value
    return picked


def decode_member(name: str, data: bytes) -> Any:
    """Decode one member of a sample by its file name.

    Args:
        name: such as `face.jpg`, `mask.png`, `landmarks.npy` or `json`.
        data: its content.

    Returns:
        For pictures uint8 (H, W, 3), RGB; for `mask`, `alpha`, `guide` and `lr_mask` uint8 (H, W); for `.npy` an array;
        for `json` a dict.

    Raises:
        StorageError: the picture cannot be decoded.
    """
    if name.endswith("json"):
        return json.loads(data)
    import numpy as np

    if name.endswith(".npy"):
        return np.load(BytesIO(data), allow_pickle=False)
    import cv2

    flag = cv2.IMREAD_GRAYSCALE if name.partition(".")[0] in _GREY else cv2.IMREAD_COLOR_RGB
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if picture is None:
        raise StorageError("a picture in a shard cannot be decoded", where=name, remedy="Build the dataset again")
    return picture


def _tensor(value: Any) -> Any:
    import numpy as np
    import torch

    if not isinstance(value, np.ndarray):  # a value from `missing` may be of any type
        return value
    if value.dtype != "uint8":
        return torch.from_numpy(value)
    picture = torch.from_numpy(value)
    return picture[None] if picture.ndim == 2 else picture.permute(2, 0, 1).contiguous()
