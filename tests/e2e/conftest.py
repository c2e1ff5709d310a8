"""A few real portraits (public domain) and a few files that are none, and builds made of them by the real command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from faceloom.pipelines.cli.app import app
from tests.made_once import copied_once, made_once

RECIPE = """\
name: try
seed: 7
masks:
  - {kind: polygon, shape: A}
  - {kind: template, template: surgical}
split: {per_identity: 0.6}
"""


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def words_of(arguments: tuple[object, ...]) -> list[str]:
    """The words of a command, which takes one worker if it is not given another number."""
    words = [str(argument) for argument in arguments]
    if words[0] in ("build", "plan") and not {"--workers", "--runner"} & {*words}:
        words += ["--workers", "1"]
    return words


def in_a_process(*arguments: object) -> Ran:
    """Run the command line in a process of its own."""
    command = [str(Path(sys.executable).with_name("faceloom")), *words_of(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, "COLUMNS": "120"})
    return Ran(done.returncode, done.stdout, done.stderr)


def in_this_process(*arguments: object) -> Ran:
    """Run the command line in this process, without the seconds that imports take."""
    done = CliRunner().invoke(app, words_of(arguments), env={"COLUMNS": "120"}, catch_exceptions=False)
    return Ran(done.exit_code, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def run() -> Any:
    """The command line, as a function."""
    return in_this_process


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six photos of two people and four files that must be rejected, in folders per person."""
    pytest.importorskip("skimage.data")
    return made_once(tmp_path_factory, "e2e-photos", lay_photos)


def lay_photos(root: Path) -> None:
    """Write the photos below a folder."""
    import cv2
    from matplotlib.cbook import get_sample_data
    from skimage import data

    file = Path(str(get_sample_data("grace_hopper.jpg", asfileobj=False)))
    grace = cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert grace is not None
    eileen = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)[:320, 60:380]
    for name, image in (("grace_hopper", cv2.resize(grace, (320, 375))), ("eileen_collins", eileen)):
        (root / name).mkdir()
        height, width = image.shape[:2]
        for number, (degrees, gain) in enumerate([(0, 1.0), (4, 0.8), (-4, 1.1)]):
            turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
            turned = cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REFLECT)
            lit = cv2.convertScaleAbs(turned, alpha=gain)
            cv2.imwrite(str(root / name / f"view {number}.jpg"), lit)
    (root / "grace_hopper" / "empty.jpg").write_bytes(b"")
    (root / "grace_hopper" / "letter.jpg").write_text("Dear Grace, this is no photo.\n" * 20)
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    cv2.imwrite(str(root / "eileen_collins" / "noise.png"), noise)
    shutil.copy(root / "eileen_collins" / "view 0.jpg", root / "eileen_collins" / "again.jpg")


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small recipe."""
    return (
        made_once(tmp_path_factory, "e2e-recipe", lambda folder: (folder / "try.yaml").write_text(RECIPE)) / "try.yaml"
    )


@dataclass(frozen=True)
class Built:
    """An output folder, and what plan and build said of it."""

    out: Path
    plan: Ran
    build: Ran


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, photos: Path, recipe: Path) -> Built:
    """Planned, then built; tests must not change it."""

    def make(folder: Path) -> None:
        words = (recipe, "--source", photos, "--out", folder / "out", "--json")
        ran = in_a_process("plan", *words), in_a_process("build", *words, "--workers", 2)
        (folder / "ran.json").write_text(json.dumps([asdict(one) for one in ran]))

    out = copied_once(tmp_path_factory, "e2e-built", make)
    ran = json.loads((made_once(tmp_path_factory, "e2e-built", make) / "ran.json").read_text())
    return Built(out, *(Ran(**one) for one in ran))


@pytest.fixture
def own(built: Built, tmp_path: Path) -> Path:
    """A copy of the built folder that a test may change."""
    shutil.copytree(built.out, tmp_path / "out")
    return tmp_path / "out"
