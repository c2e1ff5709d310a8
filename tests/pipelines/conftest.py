"""Synthetic photos with known landmarks, so that no test here needs a detector or a real face."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from faceloom.schemas.plan import PlannedFace


def _ring(centre: tuple[float, float], radii: tuple[float, float], count: int) -> np.ndarray:
    angles = np.linspace(np.pi, 3 * np.pi, count, endpoint=False)
    return np.array(centre) + np.column_stack([np.cos(angles), np.sin(angles)]) * radii


def _frontal() -> np.ndarray:
    """68 points of a frontal face, in eye distances from the middle between the eyes."""
    across = np.linspace(-1, 1, 17)
    jaw = np.column_stack([1.12 * np.sin(across * np.pi / 2), 1.78 * np.cos(across * np.pi / 2)])
    brow = np.column_stack([np.linspace(0.85, 0.2, 5), [-0.25, -0.35, -0.4, -0.38, -0.3]])
    bridge = np.column_stack([np.zeros(4), np.linspace(-0.03, 0.52, 4)])
    nostrils = np.column_stack([np.linspace(-0.25, 0.25, 5), [0.62, 0.66, 0.68, 0.66, 0.62]])
    eyes = [_ring((x, 0), (0.18, 0.08), 6) for x in (-0.5, 0.5)]
    mouth = [_ring((0, 1.05), (0.42, 0.17), 12), _ring((0, 1.05), (0.34, 0.07), 8)]
    return np.concatenate([jaw, brow * (-1, 1), brow[::-1], bridge, nostrils, *eyes, *mouth])


FRONTAL = _frontal()


def landmarks(middle: tuple[float, float], eyes: float, roll: float = 0.0) -> np.ndarray:
    """float32 (68, 2): a face whose eyes lie `eyes` pixels apart around `middle`, turned by `roll` radians."""
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    return (FRONTAL @ turn.T * eyes + middle).astype(np.float32)


def picture(width: int, height: int, seed: int = 0, blob: int = 16) -> np.ndarray:
    """uint8 (H, W, 3), RGB: soft blobs of colour of about that many pixels, different for each seed."""
    import cv2

    coarse = np.random.default_rng(seed).integers(40, 216, (height // blob + 2, width // blob + 2, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def encoded(rgb: np.ndarray, ending: str = ".png") -> bytes:
    """The bytes of a picture file."""
    import cv2

    done, data = cv2.imencode(ending, rgb[..., ::-1])
    assert done
    return data.tobytes()


def decoded(data: bytes) -> np.ndarray:
    """RGB or grey pixels of a picture file, as they are stored."""
    import cv2

    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return pixels[..., ::-1] if pixels.ndim == 3 else pixels


def planned(data: bytes, points: np.ndarray, masks: tuple[int, ...] = (0,), **changes: object) -> PlannedFace:
    """The plan row of the only face of a photo."""
    low, high = points.min(axis=0), points.max(axis=0)
    fields: dict[str, object] = {
        "source": "s", "uri": "a.png", "photo_sha256": hashlib.sha256(data).hexdigest(), "face": 0, "identity": "Ada",
        "split": "train", "licence": "CC0", "consent": None, "attributes": (("age", 36),), "width": 400, "height": 400,
        "landmarks": points.astype(np.float32).tobytes(), "box": (*map(float, low), *map(float, high)), "masks": masks,
        "place": 0,
    }  # fmt: skip
    return PlannedFace(**{**fields, **changes})  # type: ignore[arg-type]


def write_table(folder: Path, rows: Iterable[tuple[str, str, np.ndarray]]) -> Path:
    """A source: a table that gives each photo's identity and landmarks, so that no detector runs."""
    file = folder / "photos.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        lines = csv.writer(stream)
        lines.writerow(["uri", "identity", "landmarks"])
        lines.writerows([uri, identity, json.dumps(points.tolist())] for uri, identity, points in rows)
    return file


def lay_photos(folder: Path, numbers: Iterable[int], people: int = 4) -> Path:
    """Tiny photos 000.png, 001.png … of some people, those that are missing, and the table that lists them."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in numbers:
        uri = f"{number:03d}.png"
        if not (folder / uri).exists():
            (folder / uri).write_bytes(encoded(picture(96, 112, number)))
        rows.append((uri, f"person {number % people}", landmarks((48 + number % 3, 46), 32)))
    return write_table(folder, rows)


@pytest.fixture(scope="session")
def synthetic() -> SimpleNamespace:
    """The functions of this file."""
    functions: list[Callable[..., object]] = [landmarks, picture, encoded, decoded, planned, write_table, lay_photos]
    return SimpleNamespace(**{function.__name__: function for function in functions})
