"""Validate data of a stranger by a model, and name every fault by its path, on one line."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from faceloom.schemas.base import NAME, did_you_mean
from faceloom.schemas.plain_values import PlainValueError, plain_values, shown, step

MOST_FAULTS = 8
"""Faults that a message names."""
_QUOTED = "'([^']*)'"

Checked = TypeVar("Checked", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of the data.

    Attributes:
        path: where it stands, such as `$.masks[1].colour`.
        what: what is wrong, and what is allowed.
        value: what stands there, shortened; empty for lists and mappings.
    """

    path: str
    what: str
    value: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.what}" + (f" (got {self.value})" if self.value else "")


class InvalidDataError(ValueError):
    """Data that does not fit its model.

    Attributes:
        faults: one at least, and `MOST_FAULTS` at most.
    """

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = faults


def checked(model: type[Checked], data: Any) -> Checked:
    """The data as an instance of a model, by strict rules: nothing is converted.

    Args:
        model: a frozen model; its sequences are tuples.
        data: plain values, as YAML and JSON have them.

    Raises:
        InvalidDataError: with the path of each fault.
    """
    try:
        data = plain_values(data)
        return model.model_validate(data, strict=True)
    except PlainValueError as error:
        raise InvalidDataError((Fault(error.path, str(error), error.value),)) from None
    except TypeError as error:
        # A validator of our own met a type that it does not expect, such as a mapping where it hashes or compares.
        raise InvalidDataError(
            (Fault("$", f"a value has the wrong type: {' '.join(str(error).split())[:200]}"),)
        ) from error
    except ValidationError as error:
        raise InvalidDataError(tuple(_deepest(islice(_all_faults(model, data, error), 1000)))[:MOST_FAULTS]) from None


def _all_faults(model: type[BaseModel], data: Any, error: ValidationError) -> Iterator[Fault]:
    """Every fault. An unknown key hides other faults beside it, so it is removed to find them."""
    known: set[str] = set()
    for _ in range(MOST_FAULTS):
        unknown = set()
        for fault in error.errors(include_url=False):
            path = _path_of(data, fault)
            if fault["type"] == "unknown_key":
                unknown.add(path)
            value = "" if isinstance(fault["input"], Mapping | list | tuple) else shown(fault["input"])
            yield Fault(path, message_of(fault), value)
        if unknown <= known:
            return
        known |= unknown
        data = _without(data, unknown)
        try:
            model.model_validate(data, strict=True)
            return
        except ValidationError as next_error:
            error = next_error


def _deepest(faults: Iterator[Fault]) -> Iterator[Fault]:
    """One fault for each path.

    If one branch of a union fails deep inside, messages of the other branches about the whole only confuse.
    """
    by_path: dict[str, list[Fault]] = {}
    above: set[str] = set()
    for fault in faults:
        if fault.path not in by_path:
            above |= {fault.path[: end.start()] for end in re.finditer(r"[.\[]", fault.path)}
        by_path.setdefault(fault.path, []).append(fault)
    for path, alike in by_path.items():
        if path not in above:
            texts = dict.fromkeys(fault.what for fault in alike)
            yield Fault(path, "; or: ".join(texts), next((fault.value for fault in alike if fault.value), ""))


def _path_of(data: Any, fault: Mapping[str, Any]) -> str:
    """Turn pydantic's location of an error into a path in the data, without the names of union branches."""
    loc, path, here = list(fault["loc"]), "$", data
    for position, name in enumerate(loc):
        if isinstance(here, Mapping) and position and isinstance(loc[position - 1], int) and name == here.get("kind"):
            continue  # the tag of a union, not a key
        inside = (isinstance(here, Mapping) and name in here) or (
            isinstance(here, tuple) and isinstance(name, int) and name < len(here)
        )
        if inside or (position == len(loc) - 1 and fault["type"] == "missing"):
            path += step(name)
            here = here[name] if inside else None
    extra = {"unknown_key": fault.get("ctx", {}).get("key"), "union_tag_not_found": "kind", "union_tag_invalid": "kind"}
    return path + step(extra[fault["type"]]) if fault["type"] in extra else path


def message_of(fault: Mapping[str, Any]) -> str:
    """One line about a fault, given an item of pydantic's `errors`, without the value."""
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "union_tag_not_found":
        return "missing; every entry needs its kind"
    if kind == "union_tag_invalid":
        tags, tag = context["expected_tags"], context["tag"]
        return f"allowed: {tags}{did_you_mean(tag, re.findall(_QUOTED, tags))} (got {shown(tag)})"
    if kind == "literal_error":
        return str(fault["msg"]) + did_you_mean(fault["input"], re.findall(_QUOTED, context["expected"]))
    if kind == "string_pattern_mismatch" and context["pattern"] == NAME:
        return "expected lower-case letters, digits, - and _, the first a letter or digit"
    if kind == "missing":
        return "missing"
    if kind == "extra_forbidden":
        return "unknown key"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return "expected a mapping of keys"
    if kind == "tuple_type":
        return "expected a list"
    return " ".join(str(fault["msg"]).removeprefix("Value error, ").split())


def _without(node: Any, paths: Collection[str], path: str = "$") -> Any:
    """A copy of the data without the values at some paths."""
    if isinstance(node, Mapping):
        kept = {key: value for key, value in node.items() if f"{path}{step(key)}" not in paths}
        return {key: _without(value, paths, f"{path}{step(key)}") for key, value in kept.items()}
    if isinstance(node, tuple):
        return tuple(_without(value, paths, f"{path}[{number}]") for number, value in enumerate(node))
    return node
