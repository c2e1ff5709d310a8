"""A build for other tools: morphs, several samples of a photo, augmentation and attributes that some photos lack."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.build import prepare, run_build
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.paths import shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.recipe import parse_recipe
from tests.pipelines.conftest import encoded, landmarks, picture

PEOPLE, PHOTOS = 6, 24


def make_photos(folder: Path, people: Sequence[str] = (), without_face: int = 0) -> Path:
    """Photos in a folder for each person, and the table that lists them; some lack an attribute.

    The first photos may show no face: the table gives no landmarks, and no detector finds any.
    """
    names = people or [f"person_{number}" for number in range(PEOPLE)]
    with (folder / "photos.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["uri", "identity", "landmarks", "age", "light", "licence"])
        for number in range(PHOTOS):
            name = names[number % len(names)]
            uri = f"{name}/{name}_{number // len(names):04d}.png"
            (folder / name).mkdir(exist_ok=True)
            (folder / uri).write_bytes(encoded(picture(96, 112, number)))
            points = landmarks((48 + number % 3, 46), 32).tolist()
            age, light = ("", "soft") if number % 3 == 0 else (20 + number, "")
            table.writerow(
                [
                    uri,
                    name,
                    json.dumps(points) if number >= without_face else "",
                    age,
                    light,
                    "CC0" if number % 2 else "",
                ]
            )
    return folder / "photos.csv"


def make_build(table: Path, out: Path, **changes: Any) -> Path:
    """Build the photos of a table; returns the output folder."""
    plain: dict[str, Any] = {
        "name": "other-tools", "sources": [{"kind": "table", "path": str(table), "columns": ["age", "light"]}],
        "faces": {"min_size": 10}, "per_face": 2, "align": {"mode": "eye_level", "size": 48},
        "masks": [{"kind": "template", "template": "surgical"}, {"kind": "polygon", "shape": "A"}],
        "augment": [{"kind": "GaussianBlur", "p": 0.3}, {"kind": "HorizontalFlip", "p": 0.5}],
        "split": {"shares": {"train": 0.7, "test": 0.3}}, "output": {"shards": {"samples": 12}},
    }  # fmt: skip
    context = prepare(parse_recipe({**plain, **changes}), str(out))
    run_build(context, workers=1, resume=True, watcher=Watcher())
    return out


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table of the photos."""
    return make_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """The output folder of a finished build with morphs, in train and test."""
    return make_build(photos, tmp_path_factory.mktemp("interop") / "out", morph={"neighbours": 1})


def shard_paths(out: Path, split: str) -> list[str]:
    """Paths of the shards of a split, without braces."""
    record = read_record(Storage(str(out)))
    return [str(out / shard_tar(shard.name)) for shard in record.shards if shard.split == split]


def samples_of(out: Path, split: str) -> int:
    """Number of samples of a split."""
    return read_record(Storage(str(out))).by_split[split]
