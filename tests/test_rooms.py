"""The rules of the house that can be read off the source: allowed imports, how long modules are, what is tested."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable
from functools import cache
from pathlib import Path
from statistics import median

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
            "layers.py",
            "mask_cutouts.py",
            "mask_outline.py",
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


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    """All nodes of the parsed source of a file."""
    return list(ast.walk(tree_of(path)))


@cache
def imports_of(path: Path) -> set[str]:
    """All modules that a file imports, inside functions too."""
    return imported(nodes_of(path))


def rooms_of(path: Path, level: int) -> set[str]:
    """Of the modules that a file imports, the names at a level: 0 the packages, 1 the rooms of ours."""
    names = [name.split(".") for name in imports_of(path)]
    return {name[level] for name in names if level < len(name) and (level == 0 or name[0] == "faceloom")}


def dotted(node: ast.AST) -> str:
    """`a.b.c` as text; empty for what is no dotted name."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def faults(find: Callable[[Path], Collection[str]], paths: Iterable[Path] = MODULES) -> dict[str, Collection[str]]:
    """What a check finds, of each file in which it finds something."""
    return {name_of(path): found for path in paths if (found := find(path))}


def imported(nodes: Iterable[ast.AST]) -> set[str]:
    """All modules that pieces of source import."""
    names = set()
    for node in nodes:
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
            names |= imported([node])
        else:
            waiting += ast.iter_child_nodes(node)
    return names


def test_imports_never_point_up() -> None:
    above = {room: set(ROOMS[number + 1 :]) for number, room in enumerate(ROOMS)}
    assert faults(lambda path: rooms_of(path, 1) & above[path.relative_to(ROOT).parts[0]]) == {}


def stage_of(path: Path) -> str:
    """The room of `pipelines/` that a module lies in, or the module itself where it lies at the top."""
    return path.relative_to(ROOT / "pipelines").parts[0].removesuffix(".py")


def test_imports_follow_the_data_flow() -> None:
    later = {room: set(FLOW[number + 1 :]) for number, room in enumerate(FLOW)}
    flow = [path for path in MODULES if path.is_relative_to(ROOT / "pipelines") and stage_of(path) != "__init__"]

    def wrong(path: Path) -> set[str]:
        stages = {name.split(".")[2] for name in imports_of(path) if name.startswith("faceloom.pipelines.")}
        return stages & later[stage_of(path)]

    assert faults(wrong, flow) == {}


def test_no_two_modules_of_a_room_import_each_other() -> None:
    module = {path: "faceloom." + ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in SOURCES}
    names = {*module.values()}
    edges = {
        name: {other for used in imports_of(path) for other in (used, used.rpartition(".")[0]) if other in names}
        for path, name in module.items()
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


def test_our_modules_are_named_in_full() -> None:
    ours = {*ROOMS} - {"faceloom"}
    assert faults(lambda path: rooms_of(path, 0) & ours) == {}, "works only in the repository without `faceloom.`"


def test_slow_packages_are_imported_where_they_are_used() -> None:
    def slow(path: Path) -> set[str]:
        tops = {name.split(".")[0] for name in imported_at_once(tree_of(path))}
        jobs = {"torch"} if path.parent == ROOT / "models" / "jobs" else set()
        return tops & {*SLOW} - SLOW_AT_TOP.get(path.name, jobs)

    assert faults(slow) == {}


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


def test_public_things_say_what_they_are() -> None:
    def silent(path: Path) -> list[str]:
        tree = tree_of(path)
        nodes = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        names = [node.name for node in nodes if not node.name.startswith("_") and not ast.get_docstring(node)]
        return names if ast.get_docstring(tree) else ["the module", *names]

    assert faults(silent) == {}


def test_nothing_is_printed_and_no_global_randomness_is_used() -> None:
    def odd(path: Path) -> set[str]:
        calls = {dotted(node.func) for node in nodes_of(path) if isinstance(node, ast.Call)}
        drawn = {name for name in calls if name.startswith(("np.random.", "numpy.random."))}
        return (calls & {"print"}) | {name for name in drawn if not name.startswith("np.random.default_rng")}

    assert faults(odd) == {}


def test_the_checks_themselves_see_what_they_should() -> None:
    lazy = "def f():\n    from faceloom.models import x"
    tree = ast.parse(f"import os\nif TYPE_CHECKING:\n    import cv2\n{lazy}\nclass A:\n    import dlib")
    assert imported(ast.walk(tree)) == {"os", "cv2", "dlib", "faceloom.models.x"}
    assert imported_at_once(tree) == {"os", "dlib"}
