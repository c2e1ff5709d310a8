"""The options that choose who does the work: each belongs to one runner."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.cli.runner_options import Runner, RunnerOptions, split_words
from faceloom.pipelines.run.runners import Dask, Dataflow
from tests.pipelines.cli.running import run

IMAGE = "europe-docker.pkg.dev/some-project/faceloom/worker:0.2.0"
ON_DATAFLOW = ("--runner", "dataflow", "--project", "some-project", "--region", "europe-west4", "--image", IMAGE)


def test_the_options_of_a_runner_make_it() -> None:
    assert RunnerOptions().chosen() is None
    assert RunnerOptions(3).chosen() == 3
    assert RunnerOptions(runner=Runner.dask, scheduler="tcp://a:1").chosen() == Dask("tcp://a:1")
    given = RunnerOptions(
        runner=Runner.dataflow, project="p", region="r", image="i", dry_run=True, beam=["--max_num_workers=5"]
    )
    assert given.chosen() == Dataflow("p", "r", "i", ("--max_num_workers=5",), dry_run=True)


def test_the_help_states_what_a_cluster_needs() -> None:
    shown = " ".join(re.sub(r"[│\s]+", " ", run("build", "--help").output).split())
    assert "--dask-scheduler is required" in shown and "required with --runner dask" in shown


@pytest.mark.parametrize(
    ("words", "extra", "beam"),
    [
        ([], [], []),
        (["more"], ["more"], []),
        (["--a=1", "--b", "2"], [], ["--a=1", "--b", "2"]),
        (["more", "--a"], ["more"], ["--a"]),
    ],
)
def test_words_that_are_left_are_arguments_or_options_of_beam(
    words: list[str], extra: list[str], beam: list[str]
) -> None:
    assert split_words(words) == (extra, beam)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--dask-scheduler", "tcp://a:1"),
            r"--dask-scheduler without --runner dask .got tcp://a:1.*Add --runner",
        ),
        (("--runner", "dask"), r"--runner dask without --dask-scheduler.*tcp://host:8786"),
        (("--runner", "dask", "--dask-scheduler", "tcp://a:1", "--workers", 2), r"--workers with --runner dask .got 2"),
        (("--runner", "spark"), r"'spark' is not one of 'local', 'dask', 'dataflow'"),
        (("--project", "p"), r"--project without --runner dataflow .got p.*Add --runner dataflow"),
        (("--dry-run",), r"--dry-run without --runner dataflow\. Add --runner dataflow$"),
        (("--", "--max_num_workers=5"), r"an option of Beam without --runner dataflow .got --max_num_workers=5"),
        ((*ON_DATAFLOW, "--workers", 2), r"--workers with --runner dataflow .got 2.*-- --max_num_workers=N"),
        ((*ON_DATAFLOW[:4],), r"Dataflow needs --region, --image\. --region is "),
        (ON_DATAFLOW, r"workers cannot reach a folder of this machine.*gs://bucket/folder"),
        ((*ON_DATAFLOW, "--", "--max_num_wrokers=5"), r"Beam has no such option .got --max_num_wrokers"),
    ],
)
@pytest.mark.parametrize("command", ["build", "plan"])
def test_options_of_another_runner_are_refused(
    command: str, words: tuple[object, ...], message: str, recipe: Path, table: Path, tmp_path: Path
) -> None:
    refused = run(command, recipe, "--source", table, "--out", tmp_path / "out", *words)
    assert refused.exit_code == 2
    assert re.search(message, " ".join(refused.stderr.replace("│", " ").split())), refused.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every connection and every look-up of a name is an error."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("the network is used")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)


@pytest.mark.usefixtures("no_network")
def test_a_dry_run_shows_the_job_of_each_stage_without_the_network(
    recipe: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("google.cloud.dataflow_v1beta3")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    out = tmp_path / "out"
    words = (recipe, "--source", table, "--out", out, *ON_DATAFLOW, "--dry-run")
    shown = run("build", *words, "--", "--max_num_workers=5")
    assert shown.exit_code == 0, shown.stderr
    rows = dict(re.findall(r"^(\w+) {2,}(.+?) *$", shown.stdout, re.MULTILINE))
    assert re.fullmatch(r"faceloom-[a-z0-9-]+-[0-9a-f]{12}-analyse", rows["name"])
    assert (rows["stage"], rows["project"], rows["image"]) == ("analyse", "some-project", IMAGE)
    assert rows["machine"] == "chosen by Dataflow to fit the hints" and rows["options"] == "--max_num_workers=5"
    assert rows["files"] == "no folder yet: it needs a bucket"
    assert rows["hints"] == "min_ram 4GB, cpu_count 2" and rows["steps"] == "Tasks → Spread → Do"
    assert "faceloom-stage=analyse" in rows["labels"]
    first, *refused = shown.stderr[shown.stderr.index("This is a dry run") :].splitlines()
    assert first.endswith("nothing is started. The next job is `analyse`; the plan and the job `render` follow.")
    assert all(line.startswith("A real run would refuse: ") for line in refused) and len(refused) == 2
    assert f"cannot reach a folder of this machine (got {table}, {out})" in refused[0]
    assert not out.exists(), "a dry run leaves nothing"
    run("plan", recipe, "--source", table, "--out", out, "--workers", 1)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    second = run("build", *words, "--json")
    assert "One job is missing, `render`: all photos are analysed." in second.stderr
    job = json.loads(second.stdout)["job"]
    assert job["stage"] == "render" and job["tasks"] >= 1
    assert job["steps"] == ["Tasks", "Spread", "Do", "Gather", "Then"]
    assert {path for path in out.rglob("*") if path.is_file()} <= {*before}, "it writes nothing"
    assert run("build", recipe, "--source", table, "--out", out, "--workers", 1).exit_code == 0
    done = run("build", *words, "--json")
    found = json.loads(done.stdout)
    assert done.exit_code == 0 and found["job"] is None and len(found["refused"]) == 2 and found["warnings"] == []
    assert "No job is missing: all shards are written" in done.stderr
    again = run("build", *words)
    assert re.search(r"region +europe-west4", again.stdout) and IMAGE in again.stdout
    refused = run("build", *words, "--no-resume")
    assert refused.exit_code == 1 and "--no-resume with a dry run" in refused.stderr
