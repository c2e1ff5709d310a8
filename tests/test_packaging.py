"""What pip installs: pyproject.toml names the folders and files that there are."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
ROOMS = ("models", "pipelines", "recipes", "schemas", "transforms")


def package_folders() -> dict[str, str]:
    """Folder of every package of the repository, by the name that it is imported by."""
    folders = {
        path.parent.relative_to(ROOT).as_posix() for room in ROOMS for path in (ROOT / room).rglob("__init__.py")
    }
    return {"faceloom": "faceloom"} | {"faceloom." + folder.replace("/", "."): folder for folder in folders}


def test_every_folder_of_modules_is_a_package() -> None:
    with_modules = {path.parent for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert {path.relative_to(ROOT).as_posix() for path in with_modules} <= set(package_folders().values())


def test_every_package_is_installed() -> None:
    setuptools = PROJECT["tool"]["setuptools"]
    assert sorted(setuptools["packages"]) == sorted(package_folders())
    assert setuptools["package-dir"] == package_folders()


def test_recipes_templates_and_the_type_marker_are_installed() -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["*"]
    templates = [path for path in (ROOT / "pipelines").rglob("*.*") if path.suffix not in (".py", ".pyc")]
    assert {path.suffix for path in templates} == {".j2", ".css", ".js"}
    files = [*(ROOT / "recipes").glob("*.yaml"), *templates, ROOT / "faceloom" / "py.typed"]
    assert len(files) > 5 and all(file.exists() for file in files)
    assert [file.name for file in files if not any(fnmatch(file.name, pattern) for pattern in patterns)] == []


def test_every_dependency_has_a_pinned_version_and_a_comment() -> None:
    project = PROJECT["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    bare = [name for name in wanted if not any(re.match(rf' +"{re.escape(name)}", +# \w', line) for line in lines)]
    assert bare == [] and len(wanted) > 20
    pinned = {plain(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    assert {plain(name) for name in wanted} - pinned == set()


def plain(requirement: str) -> str:
    """The name alone of a requirement, spelled as PyPI compares names."""
    return re.split(r"[^\w.-]", requirement)[0].lower().replace("_", "-")
