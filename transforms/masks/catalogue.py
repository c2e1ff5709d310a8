"""Our nine vector masks: outlines, relief, straps, colours and patterns. All numbers are in the mask frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from faceloom.transforms.masks.shapes import HalfOutline

Relief = Literal["pleats", "panels", "centre_fold", "bill", "drape", "cup"]
Straps = Literal["loops", "bands", "none"]


@dataclass(frozen=True)
class Template:
    """One mask.

    Attributes:
        half: right half of the outline.
        relief: shape of the surface.
        straps: ear loops, head bands or none.
        upper, lower: control points at which straps are fixed, as indices into `half`.
        stand_off: distance from the mouth.
        palette: name of a palette of `fabric`.
        patterns: fabric patterns, with weights.
        hug: maximum reach beyond the silhouette of the face.
        hem: probability of a visible hem, weld or trim along the edge.
        valve: probability of a valve.
        label: probability of a printed mark.
        folds: typical number of random creases.
    """

    half: HalfOutline
    relief: Relief
    straps: Straps
    upper: int
    lower: int
    stand_off: float
    palette: str
    patterns: tuple[tuple[str, float], ...]
    hug: float = 0.07
    hem: float = 0.5
    valve: float = 0.0
    label: float = 0.0
    folds: float = 6.0


_PLAIN = (("plain", 1.0),)

TEMPLATES: dict[str, Template] = {
    "surgical": Template(
        half=((0, 0.33, False), (0.2, 0.37, False), (0.55, 0.44, False), (0.99, 0.40, True), (0.97, 0.85, False),
              (0.91, 1.27, True), (0.58, 1.67, False), (0.24, 1.87, False), (0, 1.90, False)),
        relief="pleats", straps="loops", upper=3, lower=5, stand_off=0.1, palette="surgical",
        patterns=(("plain", 0.94), ("print", 0.03), ("stripes", 0.015), ("dots", 0.015)), hug=0.12, hem=0.8, label=0.07,
    ),
    "surgical_child": Template(
        half=((0, 0.45, False), (0.25, 0.48, False), (0.55, 0.53, False), (0.84, 0.52, True), (0.82, 0.85, False),
              (0.75, 1.22, True), (0.48, 1.56, False), (0.22, 1.74, False), (0, 1.77, False)),
        relief="pleats", straps="loops", upper=3, lower=5, stand_off=0.08, palette="surgical",
        patterns=(("plain", 0.7), ("print", 0.2), ("dots", 0.06), ("stripes", 0.04)), hem=0.8,
    ),
    "cloth": Template(
        half=((0, 0.24, False), (0.17, 0.28, False), (0.5, 0.40, False), (1.15, 0.30, True), (1.13, 0.64, True),
              (0.94, 1.17, False), (0.60, 1.66, False), (0.24, 1.89, False), (0, 1.92, False)),
        relief="centre_fold", straps="loops", upper=3, lower=4, stand_off=0.14, palette="cloth",
        patterns=(("plain", 0.93), ("print", 0.07)), hug=0.09, hem=0.4, label=0.42, folds=5,
    ),
    "cloth_patterned": Template(
        half=((0, 0.28, False), (0.18, 0.32, False), (0.5, 0.45, False), (0.98, 0.45, True), (0.95, 0.85, False),
              (0.85, 1.22, True), (0.52, 1.68, False), (0.22, 1.88, False), (0, 1.9, False)),
        relief="centre_fold", straps="loops", upper=3, lower=5, stand_off=0.14, palette="any",
        patterns=(("stripes", 1.0), ("checks", 1.0), ("dots", 1.0), ("floral", 1.5), ("camouflage", 0.8),
                  ("print", 0.7)), hem=0.5, folds=6,
    ),
    "n95_fold": Template(
        half=((0, 0.18, False), (0.16, 0.22, False), (0.47, 0.42, False), (0.98, 0.60, True), (0.97, 0.92, True),
              (0.82, 1.38, False), (0.52, 1.77, False), (0.22, 1.94, False), (0, 1.97, False)),
        relief="panels", straps="loops", upper=3, lower=4, stand_off=0.25, palette="respirator", patterns=_PLAIN,
        hem=0.7, label=0.12, folds=3,
    ),
    "kn95": Template(
        half=((0, 0.16, True), (0.18, 0.25, False), (0.5, 0.42, False), (0.96, 0.54, True), (0.95, 0.92, True),
              (0.79, 1.39, False), (0.46, 1.78, False), (0.16, 1.95, False), (0, 1.97, True)),
        relief="centre_fold", straps="loops", upper=3, lower=4, stand_off=0.3, palette="respirator", patterns=_PLAIN,
        hem=0.85, label=0.4, valve=0.12, folds=3,
    ),
    "duckbill": Template(
        half=((0, 0.22, False), (0.2, 0.28, False), (0.5, 0.48, False), (0.90, 0.72, True), (0.9, 1.05, False),
              (0.74, 1.38, False), (0.5, 1.72, False), (0.22, 1.86, False), (0, 1.88, False)),
        relief="bill", straps="bands", upper=3, lower=4, stand_off=0.4, palette="respirator", patterns=_PLAIN,
        hem=0.7, label=0.15, folds=3,
    ),
    "gaiter": Template(
        half=((0, 0.28, False), (0.3, 0.34, False), (0.7, 0.42, False), (1.10, 0.34, True), (1.12, 0.8, False),
              (1.0, 1.3, False), (0.8, 1.75, False), (0.74, 2.06, True), (0.4, 2.17, False), (0, 2.2, False)),
        relief="drape", straps="none", upper=3, lower=4, stand_off=0.1, palette="cloth",
        patterns=(("plain", 3.0), ("paisley", 1.5), ("camouflage", 1.0), ("floral", 0.5), ("stripes", 0.3),
                  ("checks", 0.5)), hug=0.12, hem=0.2, folds=9,
    ),
    "ffp_valve": Template(
        half=((0, 0.16, False), (0.2, 0.22, False), (0.5, 0.45, False), (0.85, 0.72, False), (0.91, 1.02, False),
              (0.78, 1.42, False), (0.46, 1.80, False), (0.2, 1.93, False), (0, 1.95, False)),
        relief="cup", straps="bands", upper=3, lower=4, stand_off=0.32, palette="respirator", patterns=_PLAIN,
        hem=0.7, valve=1.0, label=0.2, folds=2,
    ),
}  # fmt: skip
"""The masks by their names in a recipe."""
