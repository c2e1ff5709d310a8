"""Types of values that come back from disk: what may stand in a column, checked by pydantic before objects are made."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, TypeAdapter, ValidationError

from faceloom.schemas.checked import message_of
from faceloom.schemas.json_text import parse_json
from faceloom.schemas.plain_values import shown

Parsed = TypeVar("Parsed", bound=BaseModel)

MOST_OFFSET = 2**48
"""Bytes of a file, far beyond any disk; a larger number is damage."""

_KEY, _FILE_NAME, _HEX = r"^[a-z0-9_-]{1,255}$", r"^[^/\\\x00-\x1f\x7f]{1,255}$", r"^([0-9a-f]{2}){0,32}$"
_EXPECTED = {_KEY: "expected a key", _FILE_NAME: "expected a file name", _HEX: "expected a digest"}
"""Words for a text that does not match a pattern."""
Key = Annotated[str, StringConstraints(pattern=_KEY)]
"""Key of a sample or face."""
FileName = Annotated[str, StringConstraints(pattern=_FILE_NAME)]
"""A part of a path, such as a shard, a split or a member of a sample."""
Hex = Annotated[str, StringConstraints(pattern=_HEX)]
"""A digest, or nothing."""
Offset = Annotated[int, Field(ge=0, le=MOST_OFFSET)]
"""A position in a file or a length, in bytes."""
Count = Annotated[int, Field(ge=0, lt=2**31)]
"""A number of pixels, faces or variants."""
Turn = Annotated[int, Field(ge=-180, le=180)]
"""An angle in whole degrees, clockwise."""
Finite = Annotated[float, Field(allow_inf_nan=False)]


def _of_68_points(data: bytes) -> bytes:
    if len(data) not in (0, 544):
        raise ValueError("68 points have 544 bytes")
    return data


Landmarks = Annotated[bytes, AfterValidator(_of_68_points)]
"""68 (x, y) points as float32, or nothing."""


def _of_five_points(data: bytes) -> bytes:
    if len(data) not in (0, 40):
        raise ValueError("five points have 40 bytes")
    return data


FivePoints = Annotated[bytes, AfterValidator(_of_five_points)]
"""Five (x, y) points as float32, or nothing."""


def _of_five_figures(figures: tuple[float, ...]) -> tuple[float, ...]:
    if len(figures) not in (0, 5):
        raise ValueError("a face has five figures, or none")
    return figures


Figures = Annotated[tuple[Finite, ...], AfterValidator(_of_five_figures)]
"""Quality figures of a face in the order of `schemas.faces.FIGURES`, or nothing."""


MOST_ITEMS = 500_000
"""Values of a document that becomes a model. pydantic lists all faults at once, some 20 µs and 1 kB for each."""


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """The pydantic adapter of a type, made once."""
    return TypeAdapter(kind)


def first_fault(error: ValidationError) -> tuple[tuple[int | str, ...], str]:
    """Where the first fault of a value lies, and one line about it with the value cut short."""
    fault = error.errors(include_url=False)[0]
    message = _EXPECTED.get(str(fault.get("ctx", {}).get("pattern")), message_of(fault))
    absent = fault["type"] == "missing"  # its input is the whole around it
    return fault["loc"], message if absent else f"{message}, not {shown(fault['input'])}"


def place_text(loc: tuple[int | str, ...]) -> str:
    """A place inside a value, such as `shards[3].name`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc).removeprefix(".")


def parse_model(model: type[Parsed], data: bytes, most_bytes: int) -> Parsed:
    """Parse a JSON document into a model, by strict rules.

    Raises:
        ValueError: the document is too long, too deep or not JSON, has too many values, or a value is not what it
            should be. The message is one line, and names the place of the value.
    """
    document = parse_json(data, most_bytes)  # refuses what is too deep
    if data.count(b",") >= MOST_ITEMS:
        raise ValueError(f"it has more than {MOST_ITEMS:,} values")
    if isinstance(document, dict):
        # pydantic copies the whole document into the error of each missing key, which takes long for a large one.
        for name, field in model.model_fields.items():
            if field.is_required() and (field.alias or name) not in document:
                raise ValueError(f"{field.alias or name}: missing")
    try:
        return model.model_validate_json(data, strict=True)
    except ValidationError as error:
        place, text = first_fault(error)
        raise ValueError(f"{place_text(place)}: {text}" if place else text) from None
