"""A run that cannot be used is a wrong argument in every command: the exit code is 2, and nothing is written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("webdataset")

from faceloom.models.checkpoint import BEST, CARD
from tests.conftest import write_run
from tests.pipelines.cli.running import run

Make = Callable[[Path], object]
JOBS = {"detector": "tiny", "autoencoder": "tiny-compact", "editor": "tiny-editor"}


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


def change(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)


FAULTS: dict[str, tuple[Make, str]] = {
    "missing": (shutil.rmtree, "the folder does not exist"),
    "no run": (lambda folder: (folder / CARD).unlink(), "it is no checkpoint"),
    "damaged card": (lambda folder: cut(folder / CARD), "the card.json is damaged"),
    "cut weights": (lambda folder: cut(folder / BEST), "is damaged or belongs to another card"),
    "changed weights": (lambda folder: change(folder / BEST), "its sha256 differs"),
    "another job": (lambda folder: None, "the network is no"),
}

COMMANDS: dict[str, tuple[str, str]] = {
    "apply detector": ("detector", "apply detector RUN {photos} --to {to}"),
    "apply editor": ("editor", "apply editor RUN {photos} --detector {detector} --to {to}"),
    "apply editor --detector": ("detector", "apply editor {editor} {photos} --detector RUN --to {to}"),
    "apply sheet": ("editor", "apply sheet {photos} --editor RUN --detector {detector} --face {face} --to {to}"),
    "evaluate detector": ("detector", "evaluate detector RUN --data {pairs} --to {to}"),
    "evaluate autoencoder": ("autoencoder", "evaluate autoencoder RUN --data {pairs} --to {to}"),
    "train --from": ("autoencoder", "train autoencoder --data {pairs} --preset tiny-compact --from RUN --to {to}"),
    "build, gate": ("detector", "build {gate} --source {table} --out {to} --workers 1"),
    "plan, gate": ("detector", "plan {gate} --source {table} --out {to}"),
    "build, mask": ("autoencoder", "build {learned} --source {table} --out {to} --workers 1"),
}


@pytest.fixture
def places(tmp_path: Path, pairs_build: Path, synthetic: SimpleNamespace) -> dict[str, Any]:
    """What commands name: recipes that use the run `wrong`, a build, photos, and runs without a fault."""
    table = synthetic.lay_photos(tmp_path / "photos", range(2))
    polygon = {"kind": "polygon", "shape": "A"}
    for name, faces, mask in (
        ("gate", {"masked": {"detector": str(tmp_path / "wrong")}}, polygon),
        ("learned", {}, {"kind": "autoencoder", "checkpoint": str(tmp_path / "wrong")}),
    ):
        recipe = {"name": "try", "faces": {"min_size": 10, **faces}, "masks": [mask]}
        recipe["align"] = {"mode": "eye_level", "size": 16}
        (tmp_path / f"{name}.yaml").write_text(json.dumps(recipe))  # JSON is YAML
    return {
        **{name: tmp_path / f"{name}.yaml" for name in ("gate", "learned")},
        **{job: write_run(tmp_path / job, JOBS[job], job=job) for job in ("detector", "editor")},
        **{"photos": tmp_path / "photos", "face": tmp_path / "photos" / "000.png", "table": table},
        **{"pairs": pairs_build, "to": tmp_path / "to"},
    }


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_that_cannot_be_used_is_a_wrong_argument(
    command: str, fault: str, places: dict[str, Any], tmp_path: Path
) -> None:
    job, line = COMMANDS[command]
    if fault == "another job":
        job = "autoencoder" if job == "detector" else "detector"
    write_run(tmp_path / "wrong", JOBS[job], job=job)
    spoil, message = FAULTS[fault]
    spoil(tmp_path / "wrong")
    words = [str(tmp_path / "wrong") if word == "RUN" else word.format(**places) for word in line.split()]
    done = run(*words, "--json")
    assert done.exit_code == 2, done.output
    found = json.loads(done.stdout)
    assert found["error"] in ("CheckpointError", "RecipeError") and message in found["what"], found
    assert not (tmp_path / "to").exists()


def test_a_finished_run_whose_weights_are_damaged_is_a_wrong_argument(pairs_build: Path, tmp_path: Path) -> None:
    words = ("train", "autoencoder", "--data", pairs_build, "--preset", "tiny-compact", "--to", tmp_path / "run")
    assert run(*words, "--epochs", 1, "--device", "cpu").exit_code == 0
    change(tmp_path / "run" / BEST)
    done = run(*words, "--epochs", 1, "--device", "cpu")
    assert done.exit_code == 2 and "its sha256 differs" in done.output
