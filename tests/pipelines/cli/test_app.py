"""All commands: their help, their examples and their exit codes; what they do on real photos is tested end to end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from faceloom.pipelines.cli import app as cli
from tests.pipelines.cli.running import run

COMMANDS = ("build", "plan", "show", "export", "clean", "sheet", "verify", "view", "recipes")


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
    expected = {"out": str(out), "to": str(tmp_path / "files"), "written": 3, "skipped": 0, "pictures": {}}
    assert json.loads(exported.stdout) == {**expected, "morphs": 0, "no_picture": 0, "members": []}
    assert json.loads(run("clean", out, "--json").stdout)["files"] == {}
    for command in ("show", "clean"):
        assert run(command, out).exit_code == 0


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
    monkeypatch.setattr(cli, "guard_streams", lambda: None)
    monkeypatch.setattr(cli, "app", lambda: seen.append(os.environ["OPENBLAS_NUM_THREADS"]))
    cli.main()
    assert seen == [then]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_can_be_shown(shell: str) -> None:
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    command = [str(Path(sys.executable).with_name("faceloom")), "--show-completion", shell]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0 and "_FACELOOM_COMPLETE=" in done.stdout, done.stderr


def test_completion_completes_recipes() -> None:
    environment = {
        **os.environ,
        "_FACELOOM_COMPLETE": "complete_bash",
        "COMP_WORDS": "faceloom build mask",
        "COMP_CWORD": "2",
    }
    command = Path(sys.executable).with_name("faceloom")
    done = subprocess.run([command], capture_output=True, text=True, check=False, env=environment)
    assert done.stdout.split() == ["mask2face", "masked-pairs"]


def shell(line: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in which `faceloom` is the command line."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = ["bash", "-c", f"set -o pipefail; {line}"]
    environment = {**os.environ, "PATH": path}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, env=environment)


QUICK = ("schema",)
ALIKE = ("--help", "--version", "recipes", "recipes --json", "recipes show masked-pairs", "build --help")


@pytest.mark.parametrize("command", [*QUICK, *(pytest.param(command, marks=pytest.mark.slow) for command in ALIKE)])
def test_the_code_is_that_of_the_work_with_a_reader_that_went_away(command: str, tmp_path: Path) -> None:
    streams = (">&-", "2>&-", "<&- >&- 2>&-", "| true", "| head -c 1 >/dev/null", "2>/dev/full")
    done = shell("; ".join(f"faceloom {command} {stream}; echo $? >>codes" for stream in streams), tmp_path)
    assert (tmp_path / "codes").read_text().split() == ["0"] * len(streams), done.stderr
    assert not done.stderr


@pytest.mark.parametrize(
    "command",
    [
        *QUICK,
        *(pytest.param(command, marks=pytest.mark.slow) for command in ("--help", "recipes --json", "build --help")),
    ],
)
def test_where_the_result_cannot_be_written_the_command_fails(command: str, tmp_path: Path) -> None:
    done = shell(f"faceloom {command} >/dev/full", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: stdout: the output cannot be written (got No space left on device)")


def test_a_report_that_cannot_be_written_is_no_failure_of_the_work(tmp_path: Path) -> None:
    done = shell("faceloom demo photos >/dev/full", tmp_path)
    assert done.returncode == 0 and any((tmp_path / "photos").iterdir())
    assert done.stderr.startswith("Warning: stdout: the output cannot be written")


@pytest.mark.parametrize(
    ("words", "writes"),
    [
        ("build r --out o", True), ("--version", False), ("plan r --out o", False), ("clean o", False),
        ("clean o --yes", True), ("build --help", False), ("show build", False), ("", False),
        ("release create n 1.0.0 --from o", True), ("release list", False), ("release", False),
        ("release purge n@1.0.0", False), ("release purge n@1.0.0 --yes", True),
    ],
)  # fmt: skip
def test_commands_whose_work_is_files(words: str, writes: bool) -> None:
    assert cli._writes_files(words.split()) == writes
