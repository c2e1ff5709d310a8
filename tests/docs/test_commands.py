"""The documents are true: commands run, recipes are valid, codes and links are complete."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from faceloom.pipelines import demo
from faceloom.pipelines.cli.app import app
from faceloom.pipelines.recipe.load import load_recipe
from faceloom.pipelines.recipe.yaml_text import parse_yaml
from faceloom.schemas.errors import RecipeError
from faceloom.schemas.keys import generator
from faceloom.schemas.recipe import parse_recipe

pytest.importorskip("matplotlib")
pytest.importorskip("skimage")

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")]
DOCUMENTS += sorted((ROOT / "docs").glob("*.md"))
NAMES = [path.name for path in DOCUMENTS]
BIN = Path(sys.executable).parent
LONG = ["guide.md", "output.md", "releases.md"]


def text_of(name: str) -> str:
    return next(path for path in DOCUMENTS if path.name == name).read_text(encoding="utf-8")


def blocks(name: str, *languages: str) -> list[tuple[str, str]]:
    """Fenced blocks of a document in order: language and content."""
    found = re.findall(r"^```(\w+)\n(.*?)^```", text_of(name), re.MULTILINE | re.DOTALL)
    return [(language, content) for language, content in found if language in languages]


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder as the documents assume it: recipes, photos of two people, and the same faces as aligned crops."""
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    (tmp_path / "constraints.txt").symlink_to(ROOT / "constraints.txt")
    targets = np.array([(38.2946, 51.6963), (73.5318, 51.5014)])
    for name, portrait in demo.load_portraits().items():
        for folder in ("photos", "crops"):
            (tmp_path / folder / name).mkdir(parents=True)
        for number in range(3):
            view = demo.draw_view(portrait, name, generator(5, f"{name}{number}", "demo"))
            (tmp_path / "photos" / name / f"{number}.jpg").write_bytes(demo.encode_jpeg(view, 95))
        left, right = np.array(demo._EYES[name])
        scale = np.linalg.norm(right - left) / np.linalg.norm(targets[1] - targets[0])
        x, y = (left + right) / 2 - scale * targets.mean(axis=0)
        crop = portrait.transform(
            (112, 112), Image.Transform.AFFINE, (scale, 0, x, 0, scale, y), Image.Resampling.BICUBIC
        )
        crop.save(tmp_path / "crops" / name / "1.png")
    return tmp_path


@pytest.mark.parametrize("name", ["README.md", *(pytest.param(name, marks=pytest.mark.slow) for name in LONG)])
def test_the_commands_of_a_document_run_in_their_order(name: str, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")
    if name == "output.md":  # it reads a build, and shows no command that makes it
        run_command(["faceloom", "build", "recipes/masked-pairs.yaml", "--source", "photos", "--out", "out"])
    for language, content in blocks(name, "sh", "python"):
        if language == "python":
            run_command([sys.executable, "-c", content])
            continue
        for line in content.splitlines():
            command = shlex.split(line)
            if command[0] not in ("make", "pip"):
                run_command(command)


def run_command(command: list[str]) -> None:
    """Run a command that must succeed: ours in this process, because imports take seconds."""
    if command[0] == "faceloom":
        done = CliRunner().invoke(app, command[1:], catch_exceptions=False)
        code, printed = done.exit_code, done.output
    else:
        other = subprocess.run(command, capture_output=True, text=True, check=False)
        code, printed = other.returncode, other.stdout + other.stderr
    assert code == 0, f"{shlex.join(command)}\n{printed}"


@pytest.mark.parametrize("name", NAMES)
def test_make_targets_and_extras_exist(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)$|`make (\w+)", text_of(name), re.MULTILINE):
        assert re.search(rf"^{''.join(target)}:", makefile, re.MULTILINE), target
    extras = re.findall(r"'\.\[([\w,]+)\]'", text_of(name))
    project = (ROOT / "pyproject.toml").read_text()
    assert all(f"\n{extra} = [" in project for found in extras for extra in found.split(","))


@pytest.mark.parametrize("name", NAMES)
def test_recipes_in_documents_are_valid(name: str) -> None:
    for _, content in blocks(name, "yaml"):
        document = parse_yaml(content.encode())
        parse_recipe({"name": "example", **document})


def test_the_error_in_the_document_is_the_real_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shown,) = re.findall(r"^Error: (.*)$", text_of("recipes.md"), re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    masks = "[{kind: polygon, shape: A}, {kind: polygon, shape: G}]"
    Path("my-recipe.yaml").write_text(f"name: wrong\nmasks: {masks}\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe("my-recipe.yaml")
    assert str(caught.value) == shown


def test_every_recipe_is_described_as_it_is() -> None:
    section = text_of("recipes.md").split("\n## ")[1]
    described = re.findall(r"^\| `([\w-]+)` \| [^|]* \| ([^|]*) \|", section, re.MULTILINE)
    assert {name for name, _ in described} >= {path.stem for path in (ROOT / "recipes").glob("*.yaml")}
    for name, sample in described:
        file = ROOT / "recipes" / f"{name}.yaml"
        if file.exists():
            recipe = load_recipe(file)
            width, height = recipe.align.width_height
            assert f"{width} × {height}" in sample
            per_face = re.search(r"(\d+) per face", sample)
            assert recipe.per_face == (int(per_face[1]) if per_face else 1) or name == "demo"


def reject_codes() -> set[str]:
    """All codes that our code gives a reject, read off the source."""
    places = {"PhotoError": 0, "scan_reject": 2, "Reject": 3}
    codes = set()
    for room in ("transforms", "pipelines"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and len(node.args) > (place := places.get(ast.unparse(node.func), 99)):
                    constants = [part for part in ast.walk(node.args[place]) if isinstance(part, ast.Constant)]
                    codes |= {part.value for part in constants if isinstance(part.value, str)}
    return codes


def test_every_reject_code_is_explained() -> None:
    from faceloom.schemas.reject_codes import REJECT_CODES

    codes = reject_codes()
    assert {"no_face", "truncated", "duplicate_photo", "mask_fit", "damaged_shard"} <= codes
    assert codes <= set(REJECT_CODES)
    explained = set(re.findall(r"`(\w+)`", text_of("output.md")))
    assert codes - explained == set()


def test_every_column_of_the_index_is_explained() -> None:
    from dataclasses import fields

    from faceloom.schemas.index import IndexRow

    section = text_of("output.md").split("## Columns of the index")[1].split("\n## ")[0]
    assert {field.name for field in fields(IndexRow)} <= set(re.findall(r"`(\w+)`", section))


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    folder = next(path for path in DOCUMENTS if path.name == name).parent
    for target in re.findall(r"\]\(([^)]+)\)", text_of(name)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        path = path or name
        assert (folder / path).exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", (folder / path).read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-")) for heading in headings}


def test_the_picture_is_small() -> None:
    assert (ROOT / "docs" / "images" / "demo-sheet.jpg").stat().st_size < 200_000


def test_the_readme_states_licence_privacy_and_erasure() -> None:
    readme = text_of("README.md")
    assert "excludes commercial use" in readme
    assert "Nothing is sent anywhere" in readme
    assert "erased" in readme
    assert (ROOT / "LICENSE").read_text().lstrip().startswith("Apache License")
