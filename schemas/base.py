"""The base of everything that a recipe holds: immutable, and strict about keys."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

NAMED_COLOURS: dict[str, tuple[int, int, int]] = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "red": (255, 0, 0),
    "light_blue": (110, 207, 254),  # NISTIR 8311
    "navy": (26, 38, 79),
    "grey": (128, 128, 128),
    "green": (142, 196, 173),
    "pink": (236, 176, 190),
    "beige": (222, 204, 178),
}
"""Colours that a recipe may name, as RGB."""


NAME = r"^[a-z0-9][a-z0-9_-]*$"
"""Pattern of the name of a build."""


def did_you_mean(given: object, allowed: Iterable[str]) -> str:
    """The end of a message about a word that is not allowed: the nearest allowed word, if there is one."""
    words = {word.lower(): word for word in allowed}
    close = difflib.get_close_matches(str(given)[:80].lower(), list(words), n=1)
    return f"; did you mean '{words[close[0]]}'?" if close else ""


class Model(BaseModel):
    """A part of a recipe. It is frozen, and refuses unknown keys with a list of the allowed ones."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, serialize_by_alias=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            allowed = {field.alias or name for name, field in cls.model_fields.items()}
            for key in data:
                if key not in allowed:
                    hint = did_you_mean(key, sorted(allowed))
                    raise PydanticCustomError(
                        "unknown_key",
                        "unknown key; allowed: {allowed}{hint}",
                        {"key": str(key), "allowed": ", ".join(sorted(allowed)), "hint": hint},
                    )
        return data


def _colour(value: object) -> object:
    if isinstance(value, str):
        name = value.lower()
        if name in NAMED_COLOURS:
            return NAMED_COLOURS[name]
        if len(name) == 7 and name[0] == "#":
            try:
                return tuple(bytes.fromhex(name[1:]))
            except ValueError:
                pass
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"a colour is [r, g, b], '#rrggbb' or one of {', '.join(NAMED_COLOURS)}")
    if not (
        len(value) == 3
        and all(isinstance(part, int) and not isinstance(part, bool) and 0 <= part <= 255 for part in value)
    ):
        raise ValueError("a colour has three whole numbers from 0 to 255")
    return value


_COLOUR_SCHEMA = {
    "anyOf": [
        {"enum": list(NAMED_COLOURS)},
        {"type": "string", "pattern": "^#[0-9a-fA-F]{6}$"},
        {
            "type": "array",
            "items": {"type": "integer", "minimum": 0, "maximum": 255},
            "minItems": 3,
            "maxItems": 3,
        },
    ],
    "words": "a colour",
}
Colour = Annotated[tuple[int, int, int], BeforeValidator(_colour), WithJsonSchema(_COLOUR_SCHEMA)]
"""RGB, 0..255; written as [r, g, b], '#rrggbb' or a name of NAMED_COLOURS."""


def _pattern(path: str) -> str:
    if "\0" in path:
        raise ValueError("a path holds no NUL character")
    if (length := len(os.fsencode(path))) > _LONGEST_PATH:
        raise ValueError(f"a path has at most {_LONGEST_PATH:,} bytes, not {length:,}")
    return path


def check_names(path: str) -> str:
    """The path, if a file system can hold each of its names.

    Raises:
        ValueError: a name is too long.
    """
    if (longest := max(map(len, os.fsencode(path).split(b"/")))) > LONGEST_NAME:
        raise ValueError(f"a file name has at most {LONGEST_NAME} bytes, not {longest}")
    return path


_LONGEST_PATH = 4_095
LONGEST_NAME = 255
"""Bytes of a file name, as Linux and macOS have them."""

PatternText = Annotated[str, Field(min_length=1), AfterValidator(_pattern)]
"""A pattern of paths; its parts may be longer than the names that it stands for."""
PathText = Annotated[PatternText, AfterValidator(check_names)]
"""A path that an operating system can look up."""
