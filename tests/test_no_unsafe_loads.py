"""No shipped source runs what a file holds: no pickles, no `eval`, no loader that makes objects of any class."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ("schemas", "transforms", "models", "pipelines", "faceloom", "recipes", "benchmarks")
SOURCES = sorted(path for room in SHIPPED for path in (ROOT / room).rglob("*.py"))

PICKLES = {"pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "jsonpickle"}
"""Modules that must not be imported: reading with them runs code."""
MODULES = {
    "torch.package", "multiprocessing.reduction", "apache_beam.internal.pickler", "apache_beam.internal.dill_pickler",
    "apache_beam.internal.cloudpickle_pickler",
}  # fmt: skip
"""Parts of packages that read pickles; nothing of them must be named."""
NEVER = {
    "eval", "exec", "compile", "execfile", "__import__", "os.system", "os.popen", "subprocess.getoutput",
    "subprocess.getstatusoutput", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all", "torch.hub.load",
    "torch.serialization.load", "pandas.read_pickle", "numpy.fromregex", "runpy.run_path", "runpy.run_module",
}  # fmt: skip
"""What must not be named, called or not: `f = eval` is as bad."""
CLASSES = {"ForkingPickler", "PickleCoder", "Unpickler"}
"""The same, wherever they come from."""
NEEDS = {
    "numpy.load": ("allow_pickle", False),
    "numpy.lib.format.read_array": ("allow_pickle", False),
    "torch.load": ("weights_only", True),
}
"""What may only be called, and must state an argument."""
SHORT = {"np": "numpy", "pd": "pandas"}
NATIVE = {"jit.load", "jit._load", "_serialization.load", "shape_predictor", "cnn_face_detection_model_v1"}
"""Ends of the names of native loaders."""
LISTED = {
    ("pipelines/render/features.py", "torch.jit.load"): "the network is code of the recipe's author, who is trusted",
    ("models/editor/perceptual.py", "torch.jit.load"): "the features are code of the user who trains, who is trusted",
    ("pipelines/analyse/model_files.py", "dlib.shape_predictor"): "the model is the recipe's author's, bounded in size",
}
"""Native loaders, the one place of each, and why it may stand there."""


def unsafe(source: str, name: str = "") -> Iterator[str]:
    """What of a piece of source could run a stranger's code: a line and the name."""
    tree = ast.parse(source)
    known = dict(SHORT)
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {alias.asname: alias.name for alias in node.names if alias.asname}
            imported = {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            imported = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        else:
            continue
        yield from (f"line {node.lineno}: import {module}" for module in sorted(imported) if _is_unsafe_import(module))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            full = _full_name(node, known)
            call = called.get(id(node))
            if _is_unsafe(full, call) or (_is_native(full) and (name, full) not in LISTED):
                yield f"line {node.lineno}: {full}"
        if isinstance(node, ast.Call):
            full = _full_name(node.func, known)
            words = [word.value for word in node.args if isinstance(word, ast.Constant) and isinstance(word.value, str)]
            given = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
            if (
                given.get("allow_pickle", False) is not False
                or given.get("shell", False) is not False
                or (full == "importlib.import_module" and any(map(_reads_pickles, words)))
                or (
                    full == "getattr" and any(_is_unsafe(f"{_full_name(node.args[0], known)}.{word}") for word in words)
                )
            ):
                yield f"line {node.lineno}: {full}"


def _full_name(node: ast.expr, known: Mapping[str, str]) -> str:
    """The name of what stands there, as its module has it; `()` in place of what is no name."""
    if isinstance(node, ast.Attribute):
        return f"{_full_name(node.value, known)}.{node.attr}"
    return known.get(node.id, node.id) if isinstance(node, ast.Name) else "()"


def _reads_pickles(module: str) -> bool:
    return module.split(".")[0] in PICKLES or any(f"{module}.".startswith(f"{part}.") for part in MODULES)


def _is_unsafe_import(name: str) -> bool:
    return _reads_pickles(name) or name in NEVER or name.rpartition(".")[2] in CLASSES


def _is_unsafe(full: str, call: ast.Call | None = None) -> bool:
    full = full.removeprefix("builtins.")
    head, _, last = full.rpartition(".")
    given = {word.arg: getattr(word.value, "value", None) for word in call.keywords} if call else {}
    wanted = NEEDS.get(full)
    return (
        full in NEVER
        or last in CLASSES
        or (_reads_pickles(full) and "." in full)
        or (last == "loads" and head not in ("json", ""))
        or (wanted is not None and given.get(wanted[0]) is not wanted[1])
        or (last == "YAML" and call is not None and given.get("typ") != "safe")
    )


def _is_native(full: str) -> bool:
    return any(f".{full}".endswith(f".{end}") for end in NATIVE)


def test_no_source_runs_what_it_reads() -> None:
    names = {path.relative_to(ROOT).as_posix(): path for path in SOURCES}
    found = {name: [*unsafe(path.read_text(encoding="utf-8"), name)] for name, path in names.items()}
    assert {name: faults for name, faults in found.items() if faults} == {}


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
        "np.lib.format.read_array(f)", "import numpy\nnumpy.lib.format.read_array(f, allow_pickle=True)",
        "from numpy.lib import format\nformat.read_array(f)", "from numpy.lib.format import read_array as r\nr(f)",
        "f = eval\nf(text)", "map(np.load, files)", "import os\nrun = os.system", "loaders = {'x': torch.load}",
        "import builtins\nbuiltins.eval(text)", "from builtins import exec as e\ne(text)", "getattr(torch, 'load')(f)",
        "import builtins\ngetattr(builtins, 'eval')(text)",
        "from apache_beam.internal import pickler", "import apache_beam.internal.pickler as p",
        "import apache_beam\napache_beam.internal.pickler.loads(text)", "from apache_beam.coders import PickleCoder",
        "from apache_beam import coders\ncoders.PickleCoder()", "import apache_beam as beam\nbeam.coders.PickleCoder()",
        "from multiprocessing import reduction", "from multiprocessing.reduction import ForkingPickler",
        "import multiprocessing as m\nm.reduction.ForkingPickler.loads(text)", "connection.ForkingPickler",
        "from torch import package", "import torch\ntorch.package.PackageImporter(f)",
        "from torch.package import PackageImporter", "torch.serialization.load(f)", "torch.jit._load(f)",
        "from torch.serialization import load\nload(f)", "torch.jit._serialization.load(f)",
        "import importlib\nimportlib.import_module('pickle')", "from importlib import import_module as i\ni('dill')",
        "import subprocess\nsubprocess.getoutput(text)", "from subprocess import getstatusoutput as g\ng(text)",
        "x.loads(text)", "import ujson\nujson.loads(text)", "from plistlib import loads\nloads(text)",
    ],
)  # fmt: skip
def test_each_kind_is_caught(source: str) -> None:
    assert list(unsafe(source, "pipelines/x.py"))


@pytest.mark.parametrize(
    "source",
    [
        "import json\njson.loads(text)", "np.load(f, allow_pickle=False)", "torch.load(f, weights_only=True)",
        "re.compile(text)", "model.eval()", "import subprocess\nsubprocess.run([a, b])", "YAML(typ='safe', pure=True)",
        "yaml.safe_load(f)", "from json import loads\nloads(text)", "np.lib.format.read_array(f, allow_pickle=False)",
        "import importlib\nimportlib.import_module('json')", "getattr(model, 'eval')()",
    ],
)  # fmt: skip
def test_what_is_safe_passes(source: str) -> None:
    assert list(unsafe(source)) == []


def test_all_rooms_are_looked_at() -> None:
    assert len(SOURCES) > 150
    assert {path.relative_to(ROOT).parts[0] for path in SOURCES} == set(SHIPPED)
