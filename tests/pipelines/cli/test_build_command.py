"""`faceloom build` and `faceloom plan`: sources, errors and exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from faceloom.pipelines import build as building
from faceloom.pipelines.cli.build_command import complete_recipe
from faceloom.schemas.errors import SourceError, StorageError
from tests.pipelines.cli.running import run


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


def test_terms_of_the_command_line_are_those_of_its_sources(recipe: Path, table: Path, tmp_path: Path) -> None:
    more = ("--out", tmp_path / "out", "--workers", 1, "--json")
    said = run("build", recipe, "--source", table, "--licence", "CC0", "--consent", "written", *more)
    assert said.exit_code == 0, said.output
    [source] = json.loads(said.stdout)["recipe"]["sources"]
    assert (source["licence"], source["consent"]) == ("CC0", "written")
    for path in (tmp_path / "out" / "index").iterdir():
        assert set(pq.read_table(path)["licence"].to_pylist()) == {"CC0"}
    refused = run("build", recipe, "--licence", "CC0", *more)
    assert refused.exit_code == 2 and "--licence without --source" in refused.stderr


@pytest.mark.slow
def test_a_plan_for_machines_estimates_and_writes_nothing(recipe: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("plan", recipe, "--source", table, "--out", out, "--workers", 3, "--price", 0.5)
    said = run(*words, "--machine", "8x32", "--json")
    assert said.exit_code == 0, said.output
    found = json.loads(said.stdout)
    assert (found["photos"], found["cluster"]["machines"], found["cluster"]["machine"]["cores"]) == (4, 3, 8)
    assert found["money"] == pytest.approx(0.5 * found["machine_hours"]) and not out.exists()
    assert "24 processes on 3 8x32" in run(*words, "--machine", "8x32").stdout
    for wrong, about in ((("--machine", "big"), "unknown type of machine"), ((), "Name its type with --machine")):
        refused = run(*words, *wrong)
        assert refused.exit_code == 2 and about in refused.stderr


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
        ("s\udce4t=photos", "its name is not UTF-8"),
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


def test_names_that_are_not_text_do_not_break_json(recipe: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "ou\udce4t"
    said = run("build", recipe, "--source", table, "--out", out, "--workers", 1, "--json")
    assert said.exit_code == 0 and json.loads(said.stdout)["out"] == str(out)


def test_a_shipped_recipe_is_found_by_its_name_and_a_wrong_name_gets_a_suggestion(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("--source", table, "--out", "out", "--workers", 1, "--json")
    planned = json.loads(run("plan", "lee2022", *words).stdout)
    assert planned["photos"] == 4
    refused = run("build", "lee2020", *words)
    assert refused.exit_code == 2 and "did you mean 'lee2022'" in refused.stderr and "masked-pairs" in refused.stderr


def test_recipes_are_completed_by_name_and_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").touch()
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "other.yml").touch()
    (tmp_path / "photo.jpg").touch()
    assert complete_recipe("m") == ["mask2face", "masked-pairs", "msagan", "mine.yaml", "more/"]
    assert complete_recipe("more/") == ["more/other.yml"]
    assert complete_recipe("nowhere/x") == []


@pytest.mark.parametrize("command", ["build", "plan"])
def test_photos_without_their_option_are_refused_with_a_hint(command: str, recipe: Path, tmp_path: Path) -> None:
    refused = run(command, recipe, "photos", "more", "--out", tmp_path / "out", "--json")
    assert refused.exit_code == 2 and "--source photos --source more" in refused.stderr
    assert json.loads(refused.stdout)["value"] == "photos more"
    assert not (tmp_path / "out").exists()
    assert run(command, recipe, "--suorce", "photos", "--out", tmp_path / "out").exit_code == 2


def test_a_cluster_that_does_not_answer_is_refused_before_any_work(
    recipe: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("faceloom.pipelines.run.dask_run.CONNECT_SECONDS", 0.5)
    words = ("--source", table, "--out", tmp_path / "out", "--runner", "dask", "--dask-scheduler", "tcp://127.0.0.1:9")
    refused = run("build", recipe, *words)
    assert refused.exit_code == 2
    assert refused.stderr.startswith("Error: tcp://127.0.0.1:9: no Dask scheduler answers (got ")
    assert not (tmp_path / "out").exists()
