"""Recipes, and the files that they name: YAML of every sort, values out of place, and paths that lead nowhere."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from faceloom.pipelines.build import prepare
from faceloom.pipelines.context import Context
from faceloom.pipelines.recipe.load import load_recipe
from faceloom.pipelines.recipe.yaml_text import parse_yaml
from tests.fuzz.base import INPUT, OUT, Case, Kind, lay_photos
from tests.fuzz.mutate import mutate, tweak
from tests.fuzz.recipe_texts import TEXTS
from tests.fuzz.rules import ROOT, Outcomes

_ANCHORS = {
    "left_top": [0, 5],
    "top": [20, 0],
    "right_top": [40, 5],
    "right_bottom": [36, 20],
    "bottom": [20, 30],
    "left_bottom": [4, 20],
}
_WHOLE: dict[str, Any] = {
    "name": "whole",
    "description": "every part that a recipe has",
    "seed": 3,
    "sources": [{"path": "photos.csv", "name": "s", "licence": "CC0", "include": ["*"], "columns": {"uri": "uri"}}],
    "per_face": 2,
    "faces": {"select": "all", "min_size": 10, "max_pixels": 1_000_000},
    "masks": [
        {"kind": "picture", "path": "mask.png", "anchors": "anchors.yaml", "wearing": "nose_out"},
        {"kind": "template", "template": "surgical", "colour": "#aabbcc", "spread": 0.5},
        {"kind": "polygon", "shape": "C", "colour": [1, 2, 3], "weight": 2},
    ],
    "align": {"mode": "face_box", "size": 64, "margin": 0.2, "border": "reflect"},
    "lowres": {"mode": "askd", "sizes": [8, 16], "native": True},
    "split": {"by": "identity", "shares": {"train": 0.8, "val": 0.1, "test": 0.1}},
    "output": {"image": "png", "alpha": True, "shards": {"samples": 50, "bytes": "16MiB"}},
}  # fmt: skip


@cache
def documents() -> tuple[dict[str, Any], ...]:
    """The recipe with every part, and the shipped ones with a source of three photos."""
    shipped = [parse_yaml(path.read_bytes()) for path in sorted((ROOT / "recipes").glob("*.yaml"))]
    return (_WHOLE, *({**document, "sources": [{"path": "photos.csv"}]} for document in shipped))


@cache
def _mask() -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGBA", (41, 31), (10, 90, 200, 255)).save(buffer, "PNG")
    return buffer.getvalue()


def _case(recipe: bytes, **files: bytes) -> Case:
    named = {name.replace("_", "."): data for name, data in files.items()}
    return {
        "recipe.yaml": recipe,
        "mask.png": _mask(),
        "anchors.yaml": json.dumps(_ANCHORS).encode(),
        "sizes.txt": b"12\n8x20 # x\n",
        **named,
    }


def _anchors(place: list[float]) -> bytes:
    return json.dumps(dict.fromkeys(_ANCHORS, place)).encode()


def seeds() -> dict[str, Case]:
    """Texts that are no recipe, or that grow when they are read, and odd files beside good recipes."""
    made = {f"text {n}": _case(text.encode("utf-8", "surrogatepass")) for n, text in enumerate(TEXTS)}
    made |= {f"valid {n}": _case(json.dumps(document).encode()) for n, document in enumerate(documents())}
    laughs = "name: x\na0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
    )
    merges = "name: x\nb0: &b0 {a: 1}\n" + "".join(
        f"b{n}: &b{n} {{<<: [*b{n - 1}, *b{n - 1}], k{n}: *b{n - 1}}}\n" for n in range(1, 25)
    )
    whole = json.dumps(_WHOLE).encode()
    return {
        **made,
        "laughs": _case(laughs.encode()),
        "merges": _case(merges.encode()),
        "utf-16": _case("name: x\n".encode("utf-16")),
        "not utf-8": _case(b"name: \xff\n"),
        "anchors that repeat": _case(whole, anchors_yaml=b"a: &a [*a]\n"),
        "anchors of nan": _case(whole, anchors_yaml=json.dumps({**_ANCHORS, "top": [float("nan"), 1]}).encode()),
        "anchors of 2^400": _case(whole, anchors_yaml=json.dumps({**_ANCHORS, "top": [2**400, 1]}).encode()),
        "anchors in one place": _case(whole, anchors_yaml=_anchors([1, 1])),
        "anchors far away": _case(whole, anchors_yaml=_anchors([1e300, -1e300])),
        "anchors deep": _case(whole, anchors_yaml=b"[" * 5_000),
        "mask of text": _case(whole, mask_png=b"x"),
        "mask bomb": _case(whole, mask_png=_mask()[:16] + b"\0\0\xea\x60\0\0\xea\x60" + _mask()[24:]),
        "sizes of digits": _case(
            json.dumps({**_WHOLE, "lowres": {"mode": "sampled", "sizes_from": "sizes.txt"}}).encode(),
            sizes_txt=b"9" * 6_000,
        ),
    }


def make(rng: Random) -> Case:
    """A recipe with values exchanged; sometimes its text is damaged too, or a file that it names."""
    document = rng.choice(documents())
    text = json.dumps(tweak(rng, document)).encode()
    what = rng.random()
    if what < 0.2:
        text = mutate(rng, rng.choice(TEXTS).encode("utf-8", "surrogatepass"))
    elif what < 0.35:
        text = mutate(rng, text)
    files = {}
    if document is _WHOLE and rng.random() < 0.3:
        files["mask_png"] = mutate(rng, _mask())
    if document is _WHOLE and rng.random() < 0.4:
        anchors = json.dumps(tweak(rng, _ANCHORS)).encode()
        files["anchors_yaml"] = anchors if rng.random() < 0.6 else mutate(rng, anchors)
    # A changed text must not lead to the folders of this machine.
    return _case(text.replace(b'"/"', b'"./"'), **files)


def run(folder: Path, outcomes: Outcomes) -> None:
    """Load and prepare a recipe, and list its sources."""
    lay_photos(folder / INPUT)
    recipe = outcomes.attempt("load", lambda: load_recipe(folder / INPUT / "recipe.yaml"))
    if recipe is None:
        return
    if not recipe.sources:
        recipe = recipe.model_copy(update={"sources": load_recipe(_plain(folder)).sources})
    prepared = outcomes.attempt("prepare", lambda: prepare(recipe, str(folder / OUT)))
    if prepared is not None:
        outcomes.attempt("scan", lambda: _scan(prepared))


def _plain(folder: Path) -> Path:
    path = folder / INPUT / "plain.yaml"
    path.write_text("name: plain\nsources: [{path: photos.csv}]\n")
    return path


def _scan(context: Context) -> int:
    return sum(1 for spec in context.recipe.sources for _ in context.source(spec.source_name).scan())


KIND = Kind("recipes", seeds, make, run)
