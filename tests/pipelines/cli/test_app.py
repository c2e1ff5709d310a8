"""Commands, their help and their exit codes, in this process; what they do on real photos is tested end to end."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from faceloom.pipelines import build as building
from faceloom.pipelines.cli import app as cli
from faceloom.pipelines.cli.app import app
from faceloom.schemas.errors import SourceError, StorageError

COMMANDS = ("build", "plan", "show", "export", "clean")


def run(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "100", "TERM": "dumb"})


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, synthetic: SimpleNamespace) -> Path:
    path: Path = synthetic.lay_photos(tmp_path_factory.mktemp("photos"), range(4), people=2)
    return path


@pytest.fixture
def recipe(tmp_path: Path, table: Path) -> Path:
    path = tmp_path / "try.yaml"
    masks = [{"kind": "polygon", "shape": "A"}]
    path.write_text(json.dumps({"name": "try", "faces": {"min_size": 10}, "masks": masks}))  # JSON is YAML
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_help_gives_examples_that_can_be_copied(command: str) -> None:
    shown = run(command, "--help")
    assert shown.exit_code == 0
    assert "--json" in shown.output and "--debug" in shown.output
    examples = [line.strip() for line in shown.output.splitlines() if line.strip().startswith(f"faceloom {command} ")]
    assert examples and all(len(line) < 79 for line in examples)


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_have_options_that_exist(command: str) -> None:
    shown = run(command, "--help").output
    head, examples = shown.split("Example", 1)
    assert set(re.findall(r"--[a-z-]+", examples)) <= set(re.findall(r"--[a-z-]+", head))


def test_all_commands_are_listed() -> None:
    shown = run("--help")
    assert shown.exit_code == 0
    assert all(f" {command} " in shown.output for command in COMMANDS)


def test_no_command_is_a_mistake() -> None:
    assert run().exit_code == 2
    assert run("biuld").exit_code == 2


def test_version() -> None:
    assert re.fullmatch(r"faceloom \d+\.\d+\.\d+\S*\n", run("--version").output)


def test_build_show_export_clean(recipe: Path, table: Path, tmp_path: Path) -> None:
    out, words = tmp_path / "out", ("--workers", 1, "--json")
    planned = run("plan", recipe, "--source", table, "--out", out, *words)
    built = run("build", recipe, "--source", table, "--out", out, *words)
    assert planned.exit_code == built.exit_code == 0, built.output
    assert json.loads(planned.stdout)["samples"] == json.loads(built.stdout)["written"] == 4
    assert json.loads(run("show", out, "--json").stdout)["written"] == 4
    exported = run("export", out, "--to", tmp_path / "files", "--limit", 3, "--json")
    told = {"out": str(out), "to": str(tmp_path / "files"), "written": 3, "skipped": 0}
    assert json.loads(exported.stdout) == {**told, "morphs": 0, "no_picture": 0, "members": []}
    assert json.loads(run("clean", out, "--json").stdout)["files"] == {}
    for command in ("show", "clean"):
        assert run(command, out).exit_code == 0


def test_records_say_what_they_do_not_hold(recipe: Path, table: Path, tmp_path: Path) -> None:
    out, records = tmp_path / "out", ("--to", tmp_path / "records", "--format", "recordio")
    run("build", recipe, "--source", table, "--out", out, "--workers", 1)
    said = run("export", out, *records)
    assert said.exit_code == 0
    assert "Left out of each sample: face.jpg, json, landmarks.npy, mask.png;" in said.stdout
    assert run("export", out, *records, "--picture", "face").exit_code == 0
    for wrong in ((*records, "--picture", "lr"), ("--to", tmp_path / "files", "--picture", "face")):
        assert run("export", out, *wrong).exit_code == 2
    assert not (tmp_path / "files").exists()


def test_the_table_of_rejects_is_named_only_if_there_are_any(recipe: Path, table: Path, tmp_path: Path) -> None:
    out, more = tmp_path / "out", table.parent / "none.csv"
    run("build", recipe, "--source", table, "--out", out, "--workers", 1)
    assert run("show", out).stderr == run("show", out, "--rejects").stderr == ""
    more.write_text("uri\nnot-there.png\n")
    run("build", recipe, "--source", table, "--source", more, "--out", out, "--workers", 1)
    assert run("show", out).stderr == ""
    assert "Every reject" in run("show", out, "--rejects").stderr


def test_sources_of_the_command_line_replace_those_of_the_recipe(
    recipe: Path, table: Path, tmp_path: Path, synthetic: SimpleNamespace
) -> None:
    plain = json.loads(recipe.read_text())
    recipe.write_text(json.dumps({**plain, "sources": [{"path": "not/there"}]}))
    (tmp_path / "more").mkdir()
    other = synthetic.lay_photos(tmp_path / "more", range(10, 13)).rename(tmp_path / "more" / "other.csv")
    words = ("--source", table, "--source", other, "--out", tmp_path / "out", "--workers", 1, "--json")
    said = run("build", recipe, *words)
    assert said.exit_code == 0, said.output
    assert json.loads(said.stdout)["by_source"] == {"other.csv": 3, "photos.csv": 4}


def test_a_relative_source_is_found_from_here(
    recipe: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(table.parent)
    assert run("plan", recipe, "--source", table.name, "--out", tmp_path / "out", "--workers", 1).exit_code == 0


def test_the_terms_of_the_packaged_model_are_told_once_and_only_then(
    recipe: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from faceloom.pipelines.analyse.model_files import (
        LANDMARK_MODEL_TERMS,
        LANDMARK_MODEL_VARIABLE,
        find_landmark_model,
    )

    monkeypatch.delenv(LANDMARK_MODEL_VARIABLE, raising=False)

    def words(command: str, out: str) -> tuple[object, ...]:
        return (command, recipe, "--source", table, "--out", tmp_path / out, "--workers", 1)

    for command in ("plan", "build"):
        first = run(*words(command, command))
        assert first.stderr.count(LANDMARK_MODEL_TERMS) == 1 and LANDMARK_MODEL_TERMS not in first.stdout
    for command in ("plan", "build"):
        assert LANDMARK_MODEL_TERMS not in run(*words(command, "build")).output  # nothing is left to analyse
    monkeypatch.setenv(LANDMARK_MODEL_VARIABLE, str(find_landmark_model()))
    assert LANDMARK_MODEL_TERMS not in run(*words("build", "own model")).output


@pytest.mark.parametrize("command", ["build", "plan"])
@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("", "the source has no path"),
        ("set=", "the source has no path"),
        ("=photos", "at least one character"),
        ("a\x01=photos", "all printable"),
        ("ph\udce4", "not UTF-8"),
        ("set=ph\udce4", "not UTF-8"),
        ("s\udce4t=photos", "all printable"),
    ],
)
def test_a_source_that_cannot_be_named_is_refused(
    command: str, source: str, text: str, recipe: Path, tmp_path: Path
) -> None:
    words = (command, recipe, "--source", source, "--out", tmp_path / "out")
    said = run(*words)
    assert said.exit_code == 2 and "--source: " in said.stderr and text in said.stderr
    fault = json.loads(run(*words, "--json").stdout)
    assert (fault["error"], fault["where"]) == ("RecipeError", "--source") and fault["value"] == repr(source)
    assert fault["remedy"] and not (tmp_path / "out").exists()


def test_a_folder_with_an_equals_sign_in_its_name_is_a_path(recipe: Path, table: Path, tmp_path: Path) -> None:
    shutil.copytree(table.parent, tmp_path / "=a=b")
    said = run("plan", recipe, "--source", tmp_path / "=a=b" / table.name, "--out", tmp_path / "out", "--workers", 1)
    assert said.exit_code == 0, said.output


def failing(error: BaseException) -> Any:
    def run_build(*args: object, **kwargs: object) -> None:
        raise error

    return run_build


def test_errors_during_work_end_with_1_and_say_what_to_do(
    recipe: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("build", recipe, "--source", table, "--out", tmp_path / "out")
    for error in (
        StorageError("disk full", where="shards/x.tar", remedy="Free some space"),
        SourceError("the source is gone", where="/photos", remedy="Bring it back"),
    ):
        monkeypatch.setattr(building, "run_build", failing(error))
        said = run(*words)
        assert said.exit_code == 1
        assert str(error) in said.stderr and "Traceback" not in said.output
        fault = json.loads(run(*words, "--json").stdout)
        assert fault["error"] == type(error).__name__ and fault["remedy"] == error.remedy


def test_an_unexpected_error_is_short_unless_asked(
    recipe: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "run_build", failing(ZeroDivisionError("a bug")))
    words = ("build", recipe, "--source", table, "--out", tmp_path / "out")
    said = run(*words)
    assert said.exit_code == 1
    assert "ZeroDivisionError: a bug" in said.stderr and "--debug" in said.stderr and "Traceback" not in said.stderr
    assert isinstance(run(*words, "--debug").exception, ZeroDivisionError)


@pytest.mark.parametrize("command", ["show", "export", "clean"])
def test_no_build_there(command: str, tmp_path: Path) -> None:
    more = ("--to", tmp_path / "files") if command == "export" else ()
    assert run(command, tmp_path / "nowhere", *more).exit_code == 2
    said = run(command, tmp_path, *more)
    assert said.exit_code == 1 and "no finished build" in said.stderr


def test_names_that_are_not_text_do_not_break_json(recipe: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "ou\udce4t"
    said = run("build", recipe, "--source", table, "--out", out, "--workers", 1, "--json")
    assert said.exit_code == 0 and json.loads(said.stdout)["out"] == str(out)


def test_importing_the_command_line_is_light() -> None:
    code = "import sys, faceloom.pipelines.cli.app; print(*sys.modules)"
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    tops = {name.split(".")[0] for name in names}
    assert not tops & {"apache_beam", "torch", "cv2", "dlib", "pyarrow", "numpy", "pydantic", "rich", "yaml"}


@pytest.mark.parametrize(("given", "then"), [(None, "1"), ("3", "3")])
def test_products_of_matrices_take_one_thread_unless_the_user_says_so(
    monkeypatch: pytest.MonkeyPatch, given: str | None, then: str
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", given or "")
    if given is None:
        monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    seen = []
    monkeypatch.setattr(cli, "app", lambda: seen.append(os.environ["OPENBLAS_NUM_THREADS"]))
    cli.main()
    assert seen == [then]
