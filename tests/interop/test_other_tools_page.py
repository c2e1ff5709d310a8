"""Every line of docs/other-tools.md runs, in order, on a build."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "other-tools.md").read_text(encoding="utf-8")
TOOLS = ("datasets", "webdataset", "duckdb", "pandas")
HEADINGS = [text.partition("\n")[0] for text in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not all(map(importlib.util.find_spec, TOOLS)), reason="needs the extra `interop`"),
]


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def run(desk: Path, command: list[str]) -> str:
    bin_folder = str(Path(sys.executable).parent)
    environment = {
        **os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "HF_HUB_OFFLINE": "1", "HF_HOME": str(desk / "hf"),
    }  # fmt: skip
    done = subprocess.run(command, cwd=desk, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{shlex.join(command)[:500]}\n{done.stdout}\n{done.stderr[-3000:]}"
    assert "not writable" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def desk(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the build `out`."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "out").symlink_to(built)
    return folder


def python_of(heading: str) -> str:
    """The Python of a section, after the lines that all sections may use."""
    code = "".join(blocks(PAGE.split("\n## ")[0], "python") + blocks(section(heading), "python"))
    return code.replace(
        "from torchvision.datasets import ImageFolder\n", f"{REPAIR}from torchvision.datasets import ImageFolder\n"
    )


REPAIR = """
import sys, types
try:
    import torchvision
except RuntimeError:  # it is for CUDA, and torch for the CPU
    sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")
"""


@pytest.mark.parametrize("heading", HEADINGS)
def test_the_lines_of_each_section_run(desk: Path, heading: str) -> None:
    if heading == "torchvision" and importlib.util.find_spec("torchvision") is None:
        pytest.skip("needs the extra `interop`")
    text = section(heading)
    for line in "".join(blocks(text, "sh")).splitlines():
        run(desk, shlex.split(line))
    if blocks(text, "python"):
        printed = run(desk, [sys.executable, "-W", "ignore::DeprecationWarning", "-c", python_of(heading)])
        assert printed.count("\n") >= 2


def test_five_queries_of_duckdb_are_shown() -> None:
    assert section("DuckDB").count("duckdb.sql(") == 5
