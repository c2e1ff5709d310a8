"""`faceloom verify`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.pipelines.cli.running import run


@pytest.fixture
def out(recipe: Path, table: Path, tmp_path: Path) -> Path:
    assert run("build", recipe, "--source", table, "--out", tmp_path / "out", "--workers", 1).exit_code == 0
    return tmp_path / "out"


def test_help_gives_an_example() -> None:
    shown = run("verify", "--help")
    assert shown.exit_code == 0 and "faceloom verify out" in shown.output and "--json" in shown.output


def test_a_flipped_byte_of_a_picture_is_named(out: Path) -> None:
    whole = run("verify", out)
    assert whole.exit_code == 0 and "is whole" in whole.stdout
    assert json.loads(run("verify", out, "--json").stdout)["faults"] == []
    shard = next(path for path in (out / "shards").iterdir() if b".masked.jpg" in path.read_bytes())
    data = bytearray(shard.read_bytes())
    data[data.index(b".masked.jpg") + 900] ^= 1
    shard.write_bytes(data)
    damaged = run("verify", out)
    assert damaged.exit_code == 1 and damaged.stdout == ""
    assert shard.name in damaged.stderr and "masked.jpg" in damaged.stderr and "faceloom build" in damaged.stderr
    (fault,) = json.loads(run("verify", out, "--json").stdout)["faults"]
    assert fault["file"] == f"shards/{shard.name}" and fault["remedy"]


def test_a_folder_without_a_build_is_named(tmp_path: Path) -> None:
    done = run("verify", tmp_path)
    assert done.exit_code == 1 and "no finished build" in done.stderr
