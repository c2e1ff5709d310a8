"""Checkpoints of others: cards with values out of place, and weights that are damaged or do not fit."""

from __future__ import annotations

import hashlib
import json
import struct
import tempfile
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from faceloom.schemas.recipe import parse_recipe
from tests.fuzz import notes
from tests.fuzz.base import INPUT, Case, Kind, build, lay_photos
from tests.fuzz.mutate import mutate, nested, tweak, value
from tests.fuzz.rules import Fault, Outcomes
from tests.pipelines.conftest import tiny_run

_BEST = "best.safetensors"


@cache
def _valid() -> Case:
    with tempfile.TemporaryDirectory() as made:
        folder = tiny_run(Path(made) / "run")
        return {name: (folder / name).read_bytes() for name in ("card.json", _BEST)}


def _card() -> dict[str, Any]:
    card: dict[str, Any] = json.loads(_valid()["card.json"])
    return card


def _case(card: Any = None, weights: bytes | None = None, *, signed: bool = True) -> Case:
    """The files of a checkpoint. `signed` makes the card state the length and digest of the weights."""
    card = _card() if card is None else card
    weights = _valid()[_BEST] if weights is None else weights
    if signed:
        card["files"] = {_BEST: {"bytes": len(weights), "sha256": hashlib.sha256(weights).hexdigest()}}
    return {"run/card.json": notes.dump(card), f"run/{_BEST}": weights}


def _with(path: str, new: Any) -> Case:
    """A card with one value exchanged, by its keys with dots."""
    card = _card()
    *above, last = path.split(".")
    node = card
    for key in above:
        node = node[key]
    node[last] = new
    return _case(card, signed=False)


def _parts() -> tuple[dict[str, Any], bytes]:
    """Header and content of the weights, as the format of safetensors has them."""
    data = _valid()[_BEST]
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def _weights(header: Any, content: bytes, length: int | None = None) -> bytes:
    text = notes.dump(header)
    return struct.pack("<Q", len(text) if length is None else length) + text + content


def _first(**changes: Any) -> Case:
    """Weights whose first tensor has another entry in the header."""
    header, content = _parts()
    first = next(name for name in header if name != "__metadata__")
    return _case(weights=_weights({**header, first: {**header[first], **changes}}, content))


def _filled(number: float) -> bytes:
    """Weights that are all the same number; only those of type float32 change."""
    header, content = _parts()
    data = bytearray(content)
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            data[begin:end] = struct.pack("<f", number) * ((end - begin) // 4)
    return _weights(header, bytes(data))


def seeds() -> dict[str, Case]:
    """Cards that pass a quick look, and weights that do harm later."""
    header, content = _parts()
    first = next(name for name in header if name != "__metadata__")
    begin, end = header[first]["data_offsets"]
    more = {"dtype": "U8", "shape": [0], "data_offsets": [len(content)] * 2}
    made = {
        "valid": _case(),
        "code in align": _with("data.align.mode", "faceloom-error:Y29zCnN5c3RlbQooVnRvdWNoIFBXTkVECnRSLg==."),
        "align": _with("data.align", {"mode": "x"}),
        "align of lists": _with("data.align", {"mode": ["eye_level"], "size": {}}),
        "align deep": _with("data.align", {"mode": nested(90, True)}),
        "align large": _with("data.align", {"mode": "eye_level", "size": [4096, 4096]}),
        "size 999": _with("size", 999),
        "size 10^9": _with("size", 10**9),
        "size 0": _with("size", 0),
        "size -32": _with("size", -32),
        "network of 10^9": _with("hyper_parameters.size", 10**9),
        "network of a mapping": _with("hyper_parameters.size", {}),
        "network of a list": _with("hyper_parameters.size", [{}]),
        "widths of mappings": _with("hyper_parameters.widths", [{}, [{}]]),
        "name of a mapping": _with("hyper_parameters.name", {}),
        "format 2": _with("format", 2),
        "format of text": _with("format", "1"),
        "file outside": _with("files", {"../../x": {"bytes": 1, "sha256": "0"}}),
        "files of nothing": _with("files", {}),
        "metrics of 10^400": _with("metrics", {"best_epoch": 10**400}),
        "metrics of nan": _with("metrics", {"best_epoch": float("nan")}),
        "preset of others": _with("preset", "paper"),
        "unknown preset": _with("hyper_parameters.name", "x"),
        "masks of 10^6": _with("data.masks", {str(n): n for n in range(50_000)}),
        "nan": _case(weights=_filled(float("nan"))),
        "infinite": _case(weights=_filled(float("inf"))),
        "large": _case(weights=_filled(3e38)),
        "unsigned": _case(weights=_filled(0), signed=False),
        "no weights": _case(weights=b""),
        "header of 2^63": _case(weights=_weights(header, content, 2**63)),
        "header of 2^32": _case(weights=_weights(header, content, 2**32)),
        "deep header": _case(weights=struct.pack("<Q", 50_000) + b"[" * 50_000),
        "overlap": _case(weights=_weights({**header, "more": header[first]}, content)),
        "other type": _first(dtype="F64", shape=[(end - begin) // 8]),
        "other shape": _first(shape=[(end - begin) // 4, 1, 1]),
        "shape of 2^62": _first(shape=[2**62, 4]),
        "more tensors": _case(weights=_weights({**header, "more": more}, content)),
        "note": _case(weights=_weights({**header, "__metadata__": {"faceloom": "[" * 5_000}}, content)),
        "note of numbers": _case(weights=_weights({**header, "__metadata__": {"faceloom": 1}}, content)),
        "no card": {f"run/{_BEST}": _valid()[_BEST]},
        "folder as card": {"run/card.json/x": b"", f"run/{_BEST}": _valid()[_BEST]},
    }  # fmt: skip
    return {**made, **{f"bad json {n}": {**_case(), "run/card.json": data} for n, data in enumerate(notes.BAD_JSON)}}


def make(rng: Random) -> Case:
    """A card or weights with values exchanged, then damaged or not."""
    what = rng.random()
    if what < 0.5:
        return _case(tweak(rng, _card()), signed=False)
    if what < 0.65:
        return {**_case(), "run/card.json": notes.json_bytes(rng, _card())}
    header, content = _parts()
    if what < 0.85:
        return _case(
            weights=_weights(tweak(rng, header), content, rng.choice((None, None, None, 0, 10, 2**40))), signed=True
        )
    if what < 0.95:
        return _case(weights=mutate(rng, _valid()[_BEST]), signed=rng.random() < 0.8)
    number = value(rng)
    return _case(weights=_filled(float(number) if isinstance(number, int | float) and abs(number) < 1e38 else 3e38))


def run(folder: Path, outcomes: Outcomes) -> None:
    """Read a card, load its network, and build with it."""
    from faceloom.models.checkpoint import load_network, read_card

    checkpoint = folder / INPUT / "run"
    outcomes.attempt("card", lambda: read_card(checkpoint))
    loaded = outcomes.attempt("network", lambda: load_network(checkpoint))
    if loaded is not None and not all(tensor.isfinite().all() for tensor in loaded[0].state_dict().values()):
        raise Fault("network: loaded weights that are not finite")
    mask = {"kind": "autoencoder", "checkpoint": str(checkpoint)}
    faces = {"min_size": 0}
    recipe = parse_recipe({"name": "fuzz", "masks": [mask], "faces": faces, "align": {"size": 32}})
    build(folder, outcomes, lay_photos(folder / INPUT), recipe)


KIND = Kind("cards", seeds, make, run)
