"""Details on the cloth: valves, marks, trims, bands."""

from __future__ import annotations

import numpy as np
from pydantic import JsonValue

from faceloom.transforms.masks.canvas import Canvas
from faceloom.transforms.masks.catalogue import Template
from faceloom.transforms.masks.fabric import Colour, any_colour, draw_colour_near
from faceloom.transforms.types import Image, Outline


def _ink(colour: Colour) -> tuple[int, int, int]:
    r, g, b = (round(float(np.clip(v, 0, 255))) for v in colour)
    return r, g, b


def _trim(sheet: Image, canvas: Canvas, outline: Outline, ink: tuple[int, int, int], width: float) -> None:
    import cv2

    dots = np.round(canvas.texels(outline) * 16).astype(np.int32)
    cv2.polylines(sheet, [dots], True, ink, max(1, round(2 * width * canvas.scale[0])), cv2.LINE_AA, 4)


def _valve(sheet: Image, canvas: Canvas, colour: Colour, rng: np.random.Generator) -> None:
    import cv2

    place = (0.0, rng.normal(1.1, 0.06)) if rng.random() < 0.5 else (rng.choice([-1, 1]) * rng.uniform(0.3, 0.45), 1.1)
    x, y = canvas.texels(np.array([place]))[0]
    r = rng.uniform(0.12, 0.2) * canvas.scale[0]
    centre = (round(x * 16), round(y * 16))
    dyed = rng.random() < 0.25
    shell = any_colour(rng) if dyed else draw_colour_near(colour * rng.uniform(0.82, 1.0), rng)
    square = rng.random() < 0.35
    for share, tone in ((1.0, 0.72), (0.93, 1.0), (0.62, 0.85), (0.55, 0.97)):
        if square:
            a, b = np.array([x, y]) - r * share, np.array([x, y]) + r * share * np.array([1, 0.8])
            cv2.rectangle(
                sheet, tuple(int(v) for v in a), tuple(int(v) for v in b), _ink(shell * tone), -1, cv2.LINE_AA
            )
        else:
            cv2.circle(sheet, centre, max(1, round(r * share * 16)), _ink(shell * tone), -1, cv2.LINE_AA, 4)
    for k in range(-1, 2):  # slots
        at = y + 0.3 * k * r
        ends = [(round(v * 16), round(at * 16)) for v in (x - 0.4 * r, x + 0.4 * r)]
        cv2.line(sheet, ends[0], ends[1], _ink(shell * 0.6), max(1, round(0.08 * r)), cv2.LINE_AA, 4)


def _mark(sheet: Image, canvas: Canvas, colour: Colour, rng: np.random.Generator) -> None:
    import cv2

    side = float(rng.choice([-1, 1]))
    x, y = canvas.texels(np.array([(side * rng.uniform(0.15, 0.7), rng.uniform(0.5, 1.4))]))[0]
    size = rng.uniform(0.08, 0.24) * canvas.scale[0]
    contrast = any_colour(rng) if rng.random() < 0.4 else np.full(3, 40.0 if colour.mean() > 110 else 215.0)
    ink = _ink(0.65 * np.asarray(contrast, np.float32) + 0.35 * colour)
    if rng.random() < 0.6:  # a sewn label or a printed box
        tall = rng.uniform(0.3, 1.0)
        a, b = (int(x - size), int(y - tall * size)), (int(x + size), int(y + tall * size))
        cv2.rectangle(sheet, a, b, _ink(any_colour(rng)), -1)
    text = "".join(chr(int(v)) for v in rng.integers(65, 91, int(rng.integers(2, 6))))
    for row in range(int(rng.integers(1, 4))):
        at = (int(x - size), int(y + (row * 0.45 + 0.15) * size))
        cv2.putText(sheet, text, at, cv2.FONT_HERSHEY_SIMPLEX, max(0.12, size / 52), ink, 1, cv2.LINE_AA)


def add_details(sheet: Image, canvas: Canvas, template: Template, outline: Outline, colour: Colour,
                rng: np.random.Generator) -> list[JsonValue]:  # fmt: skip
    """Draw details on the flat cloth in place.

    Returns:
        Names of the drawn details.
    """
    done: list[JsonValue] = []
    top, bottom = float(outline[:, 1].min()), float(outline[:, 1].max())
    if template.relief == "pleats" and rng.random() < 0.22:  # a paler band at the top: the folded inner layer
        row = int((top + rng.uniform(0.08, 0.2) * (bottom - top) - canvas.y0) * canvas.scale[1])
        band = 0.5 * colour + 0.5 * 250 if rng.random() < 0.7 else any_colour(rng)
        sheet[: max(0, row)] = band.astype(np.uint8)
        done.append("band")
    if rng.random() < 0.26 * template.hem:
        contrast = any_colour(rng) if rng.random() < 0.25 else np.full(3, 245.0 if rng.random() < 0.5 else 30.0)
        # From a seam to a sewn binding of one centimetre.
        _trim(sheet, canvas, outline, _ink(np.asarray(contrast, np.float32)), 0.015 + 0.1 * rng.random() ** 2)
        done.append("trim")
    if rng.random() < template.valve:
        _valve(sheet, canvas, colour, rng)
        done.append("valve")
    if rng.random() < template.label:
        _mark(sheet, canvas, colour, rng)
        done.append("label")
    return done
