"""The rules of the house that can be read off the source: who imports whom, how long modules are, what is tested."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("schemas", "transforms", "models", "pipelines", "faceloom")
"""From the bottom up: a room may import itself and the rooms before it."""

FLOW = (
    *("store", "recipe", "recordio", "run", "sources", "context", "analyse", "plan", "render"),
    *(
        "cards",
        "build",
        "preview",
        "estimate",
        "read",
        "export",
        "gallery",
        "release",
        "training",
        "evaluation",
        "apply",
        "preload",
    ),
    *("demo", "api", "beam", "cli"),
)
"""The rooms of `pipelines/` in the order of the data flow: a room may import itself and the rooms before it."""

SLOW = (
    "cv2",
    "dlib",
    "torch",
    "apache_beam",
    "webdataset",
    "scipy",
    "skimage",
    "matplotlib",
    "pyarrow",
    "albumentations",
    "faiss",
    "distributed",
    "google",
)
"""Packages that take long to import, and so are imported where they are used."""

SLOW_AT_TOP = {
    **{
        name: {"torch"}
        for name in (
            "job.py",
            "variation.py",
            "attribute_job.py",
            "mask_cutouts.py",
            "losses.py",
            "networks.py",
            "pairs.py",
            "training.py",
            "patch_critic.py",
            "structural.py",
        )
    },
    "beam.py": {"apache_beam"},
    "sized_pipeline.py": {"webdataset"},
}
"""Files that are only ever imported once work begins, and what they may import at their top."""

MODULES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
SOURCES = [path for path in MODULES if path.name != "__init__.py"]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    """The parsed source of a file, which no test changes."""
    return ast.parse(path.read_text())


def imported(tree: ast.AST) -> set[str]:
    """All modules that a piece of source imports, inside functions too."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_at_once(module: ast.Module) -> set[str]:
    """What importing a module imports: not what stands in functions, nor what only type checkers read."""
    names: set[str] = set()
    waiting: list[ast.AST] = list(module.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= imported(node)
        else:
            waiting += ast.iter_child_nodes(node)
    return names


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_never_point_up(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    above = ROOMS[ROOMS.index(room) + 1 :]
    ours = {name.split(".")[1] for name in imported(tree_of(path)) if name.startswith("faceloom.")}
    assert not ours & set(above)


def stage_of(path: Path) -> str:
    """The room of `pipelines/` that a module lies in, or the module itself where it lies at the top."""
    return path.relative_to(ROOT / "pipelines").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", [p for p in MODULES if p.is_relative_to(ROOT / "pipelines")], ids=name_of)
def test_imports_follow_the_data_flow(path: Path) -> None:
    stage = stage_of(path)
    if stage == "__init__":
        return
    later = FLOW[FLOW.index(stage) + 1 :]
    ours = {name.split(".")[2] for name in imported(tree_of(path)) if name.startswith("faceloom.pipelines.")}
    assert not ours & set(later)


def test_no_two_modules_of_a_room_import_each_other() -> None:
    module = {path: "faceloom." + ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in SOURCES}
    edges = {
        name: {other for other in module.values() if any(x == other or x.startswith(f"{other}.") for x in used)}
        for path, name in module.items()
        for used in [imported(tree_of(path))]
    }
    done: set[str] = set()

    def walk(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"a circle of imports: {' -> '.join([*above[above.index(name) :], name])}"
        if name not in done:
            for other in edges[name] - {name}:
                walk(other, (*above, name))
            done.add(name)

    for name in edges:
        walk(name, ())


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_our_modules_are_named_in_full(path: Path) -> None:
    tops = {name.split(".")[0] for name in imported(tree_of(path))}
    assert not tops & (set(ROOMS) - {"faceloom"}), (
        "imports a room without `faceloom.`, which works only in the repository"
    )


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_slow_packages_are_imported_where_they_are_used(path: Path) -> None:
    tops = {name.split(".")[0] for name in imported_at_once(tree_of(path))}
    jobs = {"torch"} if path.parent == ROOT / "models" / "jobs" else set()
    assert not tops & set(SLOW) - SLOW_AT_TOP.get(path.name, jobs)


def test_the_command_line_starts_without_slow_packages() -> None:
    # A file of Google's packages puts the empty `google` and `google.cloud` there whenever Python starts.
    slow = {*SLOW, "google.auth", "google.api_core"} - {"google"}
    code = f"import sys, faceloom.pipelines.cli.app; print(*(name for name in {slow!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_modules_are_small() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: length for name, length in lengths.items() if length > 400} == {}
    assert median(lengths.values()) < 150


def test_every_source_file_has_its_test_file() -> None:
    expected = {path: ROOT / "tests" / path.relative_to(ROOT).with_name(f"test_{path.name}") for path in SOURCES}
    missing = [name_of(path) for path, test in expected.items() if not test.exists()]
    assert missing == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_public_things_say_what_they_are(path: Path) -> None:
    tree = tree_of(path)
    assert ast.get_docstring(tree), "the module has no docstring"
    nodes = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    silent = [node.name for node in nodes if not node.name.startswith("_") and not ast.get_docstring(node)]
    assert silent == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_is_printed_and_no_global_randomness_is_used(path: Path) -> None:
    calls = {ast.unparse(node.func) for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)}
    assert "print" not in calls
    drawn = {name for name in calls if name.startswith(("np.random.", "numpy.random."))}
    assert {name for name in drawn if not name.startswith("np.random.default_rng")} == set()


def test_the_checks_themselves_see_what_they_should() -> None:
    lazy = "def f():\n    from faceloom.models import x"
    tree = ast.parse(f"import os\nif TYPE_CHECKING:\n    import cv2\n{lazy}\nclass A:\n    import dlib")
    assert imported(tree) == {"os", "cv2", "dlib", "faceloom.models.x"}
    assert imported_at_once(tree) == {"os", "dlib"}
