"""No shipped source runs what a file holds: no pickles, no `eval`, no loader that makes objects of any class."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ("schemas", "transforms", "models", "pipelines", "faceloom", "recipes", "benchmarks")
SOURCES = sorted(path for room in SHIPPED for path in (ROOT / room).rglob("*.py"))

PICKLES = {"pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "jsonpickle"}
"""Modules that must not be imported: reading with them runs code."""
CALLS = {"eval", "exec", "compile", "execfile", "__import__"}
NEVER = {
    "os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all", "torch.hub.load",
    "pandas.read_pickle", "pd.read_pickle", "numpy.fromregex", "runpy.run_path", "runpy.run_module",
}  # fmt: skip
NEEDS = {
    "np.load": ("allow_pickle", False),
    "numpy.load": ("allow_pickle", False),
    "np.lib.format.read_array": ("allow_pickle", False),
    "torch.load": ("weights_only", True),
}
"""Calls that must state an argument."""
LISTED = {
    ("pipelines/render/features.py", "torch.jit.load"): "the network is code of the recipe's author, who is trusted",
    ("pipelines/analyse/model_files.py", "dlib.shape_predictor"): "the model is the recipe's author's, bounded in size",
}
"""Native loaders, the one place of each, and why it may stand there."""


def unsafe(source: str, name: str = "") -> Iterator[str]:
    """What of a piece of source could run a stranger's code: a line and the call."""
    tree = ast.parse(source)
    full: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            full |= {
                alias.asname or alias.name.split(".")[0]: (alias.asname and alias.name) or "" for alias in node.names
            }
            found = {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            full |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            found = {node.module.split(".")[0]}
        else:
            continue
        yield from (f"line {node.lineno}: import {module}" for module in sorted(found & PICKLES))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        head, dot, rest = called.partition(".")
        called = (full.get(head) or head) + dot + rest
        last = called.rpartition(".")[2]
        given = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
        wanted = NEEDS.get(called)
        if (
            (called in CALLS or called in NEVER)
            or (wanted and given.get(wanted[0]) is not wanted[1])
            or given.get("allow_pickle", False) is not False
            or given.get("shell", False) is not False
            or ((called.endswith("jit.load") or last in ("shape_predictor", "cnn_face_detection_model_v1"))
                and (name, called) not in LISTED)
            or (last == "YAML" and given.get("typ") != "safe")
        ):  # fmt: skip
            yield f"line {node.lineno}: {called}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_source_runs_what_it_reads(path: Path) -> None:
    assert list(unsafe(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix())) == []


def test_what_is_listed_is_there() -> None:
    for name, call in LISTED:
        assert f"{call}(" in (ROOT / name).read_text(encoding="utf-8"), "delete the line that lists it"


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "import pickle as p", "from pickle import loads", "import marshal", "import shelve",
        "import dill", "import joblib", "from joblib import load", "import cloudpickle", "def f():\n    import _pickle",
        "import a, pickle",
        "eval('1')", "exec(text)", "compile(text, 'f', 'exec')", "__import__(name)", "import os\nos.system(text)",
        "from os import system\nsystem(text)", "import os as o\no.system(text)", "from os import popen as p\np(text)",
        "import subprocess\nsubprocess.run(text, shell=True)", "subprocess.Popen(text, shell=flag)",
        "import numpy as np\nnp.load(f)", "np.load(f, allow_pickle=True)", "np.load(f, allow_pickle=flag)",
        "import numpy\nnumpy.load(f)", "from numpy import load\nload(f)", "np.savez(f, a, allow_pickle=True)",
        "import torch\ntorch.load(f)", "torch.load(f, weights_only=False)", "from torch import load as l\nl(f)",
        "torch.jit.load(f)", "from torch import jit\njit.load(f)", "from torch.jit import load\nload(f)",
        "torch.hub.load(a, b)", "import yaml\nyaml.load(f)", "yaml.load(f, Loader=yaml.Loader)", "yaml.unsafe_load(f)",
        "from yaml import unsafe_load\nunsafe_load(f)", "from yaml import load\nload(f)", "YAML()",
        "YAML(typ='unsafe')",
        "import dlib\ndlib.shape_predictor(f)", "from dlib import shape_predictor\nshape_predictor(f)",
        "import pandas as pd\npd.read_pickle(f)", "import runpy\nrunpy.run_path(f)",
    ],
)  # fmt: skip
def test_each_kind_is_caught(source: str) -> None:
    assert list(unsafe(source, "pipelines/x.py"))


@pytest.mark.parametrize(
    "source",
    [
        "import json\njson.loads(text)", "np.load(f, allow_pickle=False)", "torch.load(f, weights_only=True)",
        "re.compile(text)", "model.eval()", "import subprocess\nsubprocess.run([a, b])", "YAML(typ='safe', pure=True)",
        "yaml.safe_load(f)",
    ],
)  # fmt: skip
def test_what_is_safe_passes(source: str) -> None:
    assert list(unsafe(source)) == []


def test_all_rooms_are_looked_at() -> None:
    assert len(SOURCES) > 150
    assert {path.relative_to(ROOT).parts[0] for path in SOURCES} == set(SHIPPED)
