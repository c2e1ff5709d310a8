"""Synthetic photos with known landmarks, so that no test here needs a detector or a real face."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faceloom.schemas.plan import PlannedFace
from tests.made_once import copied_once

if TYPE_CHECKING:
    from tests.pipelines.building import Bench


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


SURE = (17, 18, 19, 20, 21, 22, 23, 25, 26, 27, 28, 29, 30, 31, 35, 36, 38, 39, 40, 41)
"""Seeds of `picture(112, 112, seed)` in which landmarks of an aligned crop pass for sure."""


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
    assert pixels is not None
    return np.asarray(pixels[..., ::-1] if pixels.ndim == 3 else pixels)


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


def tiny_run(folder: Path, preset: str = "tiny-compact", size: int = 32, **data: object) -> Path:
    """A checkpoint of an untrained tiny network for crops of that size; `data` goes into the card's data."""
    import torch

    from faceloom.models.checkpoint import BEST, write_card, write_weights
    from faceloom.models.networks import make_network, parameter_count
    from faceloom.models.presets import PRESETS, preset_values
    from faceloom.schemas.model_card import DataCard, ModelCard

    chosen = replace(PRESETS[preset], size=size)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = make_network(chosen)
        if "looks" in network.state_dict():
            cutouts = network.state_dict()["looks"]  # shares its memory with the network
            cutouts.copy_(torch.randint(256, cutouts.shape))
    folder.mkdir(parents=True, exist_ok=True)
    files = {BEST: write_weights(folder / BEST, network.state_dict())}
    plain: dict[str, Any] = {
        "name": "made-up", "digest": "0" * 64, "plan": "1" * 64, "align": {"mode": "eye_level", "size": size},
        "masks": {"surgical": 8}, "licences": {"CC0": 8}, "consents": {"not stated": 8}, "train": 7, "held_out": 1,
        "held_out_from": "split val",
    }  # fmt: skip
    card = ModelCard(
        preset=preset, size=size, parameters=parameter_count(network), hyper_parameters=preset_values(chosen),
        unstated_in_paper=chosen.unstated, seed=0, epochs_done=1, finished=True, metrics={}, device="cpu",
        precision="float32", code="0", torch="0", data=DataCard.model_validate({**plain, **data}), files=files,
    )  # fmt: skip
    write_card(folder, card)
    return folder


@pytest.fixture(scope="session")
def masked_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of 18 samples of 32x32 pixels; of its people some are in train and test, some in test alone."""
    return copied_once(tmp_path_factory, "masked_build", lay_masked_build)


def lay_masked_build(root: Path) -> None:
    """Make it below a folder."""
    from faceloom.pipelines.build import prepare, run_build
    from faceloom.pipelines.run.watcher import Watcher
    from faceloom.schemas.recipe import parse_recipe

    lay_photos(root / "photos", range(18), people=12)  # six people with two photos, six with one
    recipe = {
        "name": "pairs", "sources": [{"path": str(root / "photos" / "photos.csv")}], "faces": {"min_size": 0},
        "masks": [
            {"kind": "template", "template": "surgical", "weight": 3.0}, {"kind": "template", "template": "kn95"},
        ],
        "align": {"mode": "eye_level", "size": 32}, "split": {"per_identity": 0.5}, "output": {"image": "png"},
    }  # fmt: skip
    run_build(prepare(parse_recipe(recipe), str(root / "out")), workers=1, resume=True, watcher=Watcher())


@pytest.fixture(scope="session")
def pairs_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished build of 16 x 16 pairs, 70 % of each person's for training: what training tests read."""
    return copied_once(tmp_path_factory, "pairs_build", lay_pairs_build)


def lay_pairs_build(folder: Path) -> None:
    """Make it below a folder."""
    from typer.testing import CliRunner

    from faceloom.pipelines.cli.app import app

    table = lay_photos(folder / "photos", range(24))
    recipe = {
        "name": "tiny-pairs", "faces": {"min_size": 10}, "align": {"mode": "eye_level", "size": 16},
        "masks": [{"kind": "polygon", "shape": "A"}, {"kind": "polygon", "shape": "C", "colour": "black"}],
        "split": {"per_identity": 0.7}, "output": {"image": "png"},
    }  # fmt: skip
    (folder / "tiny.yaml").write_text(json.dumps(recipe))
    words = ["build", str(folder / "tiny.yaml"), "--source", str(table), "--out", str(folder / "out")]
    done = CliRunner().invoke(app, [*words, "--workers", "1"])
    assert done.exit_code == 0, done.output


@pytest.fixture(scope="session")
def guided_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of 24 samples of 16x16 pixels with guide masks; two do not state whether the mouth is open."""
    return copied_once(tmp_path_factory, "guided_build", lay_guided_build)


def lay_guided_build(root: Path) -> None:
    """Make it below a folder."""
    from faceloom.pipelines.build import prepare, run_build
    from faceloom.pipelines.run.watcher import Watcher
    from faceloom.schemas.recipe import parse_recipe

    table = lay_photos(root / "photos", range(24), people=12)
    lines = table.read_text().splitlines()
    values = ["Mouth_Slightly_Open", *("" if number in (3, 9) else str(1 - 2 * (number % 2)) for number in range(24))]
    table.write_text("".join(f"{line},{value}\n" for line, value in zip(lines, values, strict=True)))
    recipe = {
        "name": "guided", "sources": [{"path": str(table)}], "faces": {"min_size": 0},
        "align": {"mode": "eye_level", "size": 16}, "split": {"by": "identity", "shares": {"train": 0.6, "test": 0.4}},
        "guide": {"attribute": "Mouth_Slightly_Open", "missing": "landmarks"}, "output": {"image": "png"},
    }  # fmt: skip
    run_build(prepare(parse_recipe(recipe), str(root / "out")), workers=1, resume=True, watcher=Watcher())


@pytest.fixture(scope="session")
def synthetic() -> SimpleNamespace:
    """The functions of this file."""
    functions: list[Callable[..., object]] = [
        landmarks,
        picture,
        encoded,
        decoded,
        planned,
        write_table,
        lay_photos,
        tiny_run,
    ]
    return SimpleNamespace(**{function.__name__: function for function in functions})


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds have several parts per shard, and load no landmark model."""
    from tests.pipelines.building import make_small_parts

    make_small_parts(monkeypatch)


@pytest.fixture
def bench(tmp_path: Path, synthetic: SimpleNamespace, small_parts: None) -> Bench:
    """Photos, and nothing built."""
    from tests.pipelines.building import Bench

    return Bench(tmp_path, synthetic)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, synthetic: SimpleNamespace) -> Bench:
    """Photos, and a finished build `out`; not to be touched."""
    from tests.pipelines.building import Bench, make_small_parts

    bench = Bench(tmp_path_factory.mktemp("finished"), synthetic)
    with pytest.MonkeyPatch.context() as patch:
        make_small_parts(patch)
        bench.run()
    bench.clean = bench.tree()
    return bench


@pytest.fixture
def built(tmp_path: Path, synthetic: SimpleNamespace, small_parts: None, finished: Bench) -> Bench:
    """A copy of the photos and of the finished build, in another place."""
    from tests.pipelines.building import Bench

    shutil.copytree(finished.folder, tmp_path, dirs_exist_ok=True)
    bench = Bench(tmp_path, synthetic)
    bench.clean = finished.clean
    return bench


@pytest.fixture(scope="session")
def scene(synthetic: SimpleNamespace) -> SimpleNamespace:
    """A photo of 400 pixels with a tilted face of eye distance 90: arcface shrinks it 2.6 times."""
    points = synthetic.landmarks((190, 160), 90, 0.2)
    rgb = synthetic.picture(400, 380, 1)
    data = synthetic.encoded(rgb)
    return SimpleNamespace(rgb=rgb, data=data, points=points, face=synthetic.planned(data, points))
