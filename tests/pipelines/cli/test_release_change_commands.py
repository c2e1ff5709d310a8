"""diff, erase and purge on the command line: results on stdout, messages on stderr, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from faceloom.pipelines.cli.release_change_commands import change_app
from faceloom.pipelines.release import build_erasure
from faceloom.pipelines.release.build_erasure import BuildErasure
from faceloom.pipelines.release.channel_log import read_log
from faceloom.pipelines.release.resolve import read_versions
from faceloom.pipelines.release.traces import Traces
from faceloom.pipelines.store.output_folder import locked_output
from faceloom.pipelines.store.storage import Storage
from tests.pipelines.release.searching import naming
from tests.pipelines.release.sets import One, people, release_in

ONES = [*people(3), One(701, "Ada Lovelace"), One(702, "Grace", "test")]
APP = typer.Typer()
APP.add_typer(change_app)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    release_in(tmp_path / "root", ONES)
    release_in(tmp_path / "root", [*ONES, One(900, "New", shard=9)], "1.1.0")
    monkeypatch.setenv("FACELOOM_ROOT", str(tmp_path / "root"))
    return tmp_path / "root"


def run(*words: object) -> Result:
    return CliRunner().invoke(APP, [str(word) for word in words])


def test_a_diff_is_printed_and_written(root: Path, tmp_path: Path) -> None:
    done = run("diff", "faces@1.0.0", "faces@latest", "--html", tmp_path / "diff.html")
    assert done.exit_code == 0, done.output
    assert "faces@1.1.0: 9 samples" in done.stdout and (tmp_path / "diff.html").read_bytes().count(b"<img") == 1
    plain = json.loads(run("diff", "faces@1.0.0", "faces@1.1.0", "--json", "--list").stdout)
    assert plain["counts"]["added"] == 1 and plain["changes"][0]["identity_after"] == "New"
    assert "changes" not in json.loads(run("diff", "faces@1.0.0", "faces@1.1.0", "--json").stdout)


def test_an_unknown_release_is_refused(root: Path) -> None:
    done = run("diff", "faces@1.0.0", "faces@7.0.0", "--json")
    assert done.exit_code == 2 and json.loads(done.stdout)["error"] == "ReleaseError" and "Traceback" not in done.stderr


def test_a_person_is_erased_and_the_next_step_is_named(root: Path) -> None:
    done = run("erase", "faces@1.1.0", "--identity", "Ada Lovelace", "--as", "1.1.1")
    assert done.exit_code == 0, done.output
    assert (
        f"faceloom release purge faces@1.1.0 --root {root} --reason erasure --yes" in done.stderr
        and "1 sample, 0 of them morphs" in done.stdout
    )
    for version in ("1.0.0", "1.1.0"):
        assert run("purge", f"faces@{version}", "--yes").exit_code == 0
    assert naming(root, ["Ada Lovelace"]) == {} and read_versions(Storage(str(root)), "faces").versions == ("1.1.1",)


@pytest.mark.parametrize(
    ("words", "message", "code"),
    [
        (["faces@1.0.0", "--as", "1.0.1"], "Give --identity, --photo or both", 2),
        (["faces@1.0.0", "--identity", "Ada Lovelace"], "Give --as VERSION", 2),
        (["--identity", "Ada Lovelace"], "nothing to erase them from", 2),
        (["faces@1.0.0", "--identity", "Nemo", "--as", "1.0.1"], "no sample of this release holds", 2),
        (["faces@1.0.0", "--identity", "Nemo", "--as", "1.0.1", "--build", "."], "no finished build", 2),
    ],
)
def test_a_wrong_erasure_ends_with_a_message(root: Path, words: list[str], message: str, code: int) -> None:
    done = run("erase", *words)
    assert (done.exit_code, message in done.stderr) == (code, True), done.output
    assert read_versions(Storage(str(root)), "faces").versions == ("1.0.0", "1.1.0")


def test_a_split_goes_by_an_explicit_flag(root: Path) -> None:
    photos = [word for one in ONES if one.split == "test" for word in ("--photo", one.sha256)]
    words = ("erase", "faces@1.0.0", *photos, "--as", "2.0.0", "--json")
    done = run(*words)
    assert done.exit_code == 2 and "--drop-split" in done.stderr
    done = run(*words, "--drop-split")
    assert json.loads(done.stdout)["release"]["dropped_splits"] == ["test"], done.output


def test_a_purge_without_yes_deletes_nothing(root: Path) -> None:
    done = run("purge", "faces@1.1.0")
    assert done.exit_code == 0 and "Would be deleted" in done.stdout and "add --yes" in done.stderr
    assert read_versions(Storage(str(root)), "faces").versions == ("1.0.0", "1.1.0")
    done = run("purge", "faces@1.1.0", "--yes", "--json", "--reason", "too large")
    assert json.loads(done.stdout)["deleted"] is True and read_log(Storage(str(root)), "faces")[0].why == "too large"


def test_shards_that_stay_are_mentioned(root: Path) -> None:
    for version in ("1.0.0", "1.1.0"):
        (root / "releases" / "faces" / version / "release.json").write_bytes(b"{}")
    done = run("purge", "faces@1.0.0", "--yes")
    assert done.exit_code == 0 and "stay, since releases/faces/1.1.0/release.json is damaged" in done.stderr
    done = run("purge", "faces@1.1.0", "--yes", "--json")
    assert done.exit_code == 0 and not [*(root / "shards").iterdir()]


def test_leftovers_are_swept_by_an_explicit_flag(root: Path) -> None:
    left = root / "shards" / "train-0-0123456789ab.tar"
    left.write_bytes(b"x")
    assert run("purge").exit_code == 2 and run("purge", "faces@1.0.0", "--leftovers", "--yes").exit_code == 2
    assert run("purge", "--leftovers").exit_code == 0 and left.exists()
    assert run("purge", "--leftovers", "--yes").exit_code == 0 and not left.exists()
    assert read_versions(Storage(str(root)), "faces").versions == ("1.0.0", "1.1.0")


def test_builds_that_are_not_known_to_hold_the_person_are_named(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def erased(storage: Storage, traces: Traces) -> BuildErasure:
        holds = storage.root.endswith("other")
        return BuildErasure(("build.json",), (), 1) if holds else BuildErasure((), (), 0, left_alone=True)

    monkeypatch.setattr(build_erasure, "erase_from_build", erased)
    for name in ("out", "other"):
        with locked_output(Storage(str(tmp_path / name)), keep=True):
            pass
    words = ("erase", "--identity", "Ada Lovlace", "--build", tmp_path / "out")
    done = run(*words)
    assert done.exit_code == 2 and not done.stdout
    assert "nothing in this build is known to be of the person" in done.stderr and "--photo" in done.stderr
    done = run(*words, "--build", tmp_path / "other")
    assert done.exit_code == 0 and f"Erased from {tmp_path / 'other'}" in " ".join(done.stdout.split())
    assert (
        f"Nothing in {tmp_path / 'out'} is known" in done.stderr
        and f"Erased from {tmp_path / 'out'}" not in " ".join(done.stdout.split())
    )
