"""The public names: all there, imported when they are used, and nothing heavy before."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest

import faceloom

HEAVY = {"cv2", "apache_beam", "numpy", "pydantic", "pyarrow", "torch", "dlib", "typer", "rich", "ruamel"}
PUBLIC = {"load_recipe", "plan", "build", "open_split", "open_release", "export", "train", "evaluate", "__version__"}


def test_the_public_names() -> None:
    assert set(faceloom.__all__) >= PUBLIC | {"AnalysePhotos", "RenderParts"}
    assert set(faceloom.__all__) <= set(dir(faceloom))
    assert set(faceloom.__all__) == {*faceloom._PLACES, "__version__"}
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", faceloom.__version__)


@pytest.mark.parametrize("name", sorted(faceloom._PLACES))
def test_every_name_is_where_the_table_has_it(name: str) -> None:
    place = faceloom._PLACES[name]
    assert getattr(faceloom, name) is getattr(import_module(place), name)
    assert getattr(faceloom, name).__doc__


def test_a_checkout_works_without_its_installation() -> None:
    """The folder `faceloom/` of a checkout hides the installed package from programs that run there."""
    root = Path(faceloom.__file__).parents[1]
    code = (
        "import sys; sys.meta_path = [each for each in sys.meta_path if 'editable' not in str(each).lower()]; "
        f"sys.path.insert(0, {str(root)!r}); import faceloom.schemas.errors as found; print(found.__file__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == root / "schemas" / "errors.py"


def test_type_checkers_see_every_name() -> None:
    source = Path(faceloom.__file__).read_text(encoding="utf-8")
    for name, place in faceloom._PLACES.items():
        assert f"from {place} import {name} as {name}\n" in source


def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(AttributeError, match="no attribute 'biuld'"):
        faceloom.biuld  # noqa: B018


def test_importing_costs_next_to_nothing() -> None:
    code = (
        "import sys, time; begin = time.perf_counter(); import faceloom; spent = time.perf_counter() - begin;"
        "print(spent, *sys.modules)"
    )
    spent, modules = [], set()
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        seconds, *names = done.stdout.split()
        spent.append(float(seconds))
        modules = {name.split(".")[0] for name in names}
        if spent[-1] < 0.05:
            break
        time.sleep(1)  # the machine is busy
    assert not modules & HEAVY
    assert min(spent) < 0.05
