"""`faceloom release …` from end to end."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.pipelines.cli.running import run

COMMANDS = ("create", "list", "show", "verify", "promote", "yank", "pack", "unpack", "urls")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, synthetic: SimpleNamespace) -> Path:
    folder = tmp_path_factory.mktemp("set")
    table = synthetic.lay_photos(folder / "photos", range(12))
    recipe = {
        "name": "faces", "description": "made-up faces", "faces": {"min_size": 0}, "align": {"size": 32},
        "sources": [{"path": str(table), "name": "s", "licence": "CC0-1.0", "consent": "made up"}],
        "masks": [{"kind": "polygon", "shape": "A"}], "split": {"shares": {"train": 0.5, "test": 0.5}},
    }  # fmt: skip
    (folder / "faces.yaml").write_text(json.dumps(recipe))
    done = run("build", folder / "faces.yaml", "--out", folder / "out", "--workers", 1)
    assert done.exit_code == 0, done.output
    return folder / "out"


@pytest.fixture
def root(out: Path, tmp_path: Path) -> Path:
    done = run("release", "create", "faces", "1.0.0", "--from", out, "--to", tmp_path / "root")
    assert done.exit_code == 0, done.output
    assert "shards copied" in done.stdout and "gates" in done.stdout.lower()
    return tmp_path / "root"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_gives_examples_that_can_be_copied(command: str) -> None:
    shown = run("release", command, "--help")
    assert shown.exit_code == 0 and "--json" in shown.output and "--debug" in shown.output
    assert "FACELOOM_ROOT" in shown.output
    lines = [line.strip() for line in shown.output.splitlines()]
    examples = [line for line in lines if f"faceloom release {command} " in line]
    assert examples and all(len(line) < 97 for line in examples)
    head, tail = shown.output.split("Example", 1)
    assert set(re.findall(r"--[a-z-]+", tail)) <= set(re.findall(r"--[a-z-]+", head))


def test_the_life_of_a_release(root: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACELOOM_ROOT", str(root))
    again = json.loads(run("release", "create", "faces", "1.0.1", "--from", out, "--json").stdout)
    assert again["copied"] == 0 and again["shared"] > 0 and again["parent"].startswith("faces/1.0.0+")
    assert (
        run("release", "promote", "faces@1.0.0", "stable", "--by", "Ada").stdout == "faces@stable is now faces@1.0.0\n"
    )
    yanked = run("release", "yank", "faces@1.0.0", "--reason", "bad masks", "--replacement", "faces@1.0.1")
    assert yanked.exit_code == 0 and "channel stable points to it" in yanked.stderr
    listed = run("release", "list")
    assert "yanked: bad masks; use faces@1.0.1" in listed.stdout and "stable" not in listed.stdout
    rows = json.loads(run("release", "list", "faces", "--json").stdout)["releases"]
    assert [row["version"] for row in rows] == ["1.0.0", "1.0.1"] and rows[0]["channels"] == ["stable"]
    shown = run("release", "show", "faces@1.0.0")
    assert shown.exit_code == 0 and "YANKED: bad masks. Use faces@1.0.1" in shown.stdout and "CC0-1.0" in shown.stdout
    assert json.loads(run("release", "show", "faces", "--json").stdout)["id"] == again["id"]
    urls = run("release", "urls", "faces", "--split", "train")
    assert all(Path(line).is_file() for line in urls.stdout.splitlines()) and urls.stdout
    refused = run("release", "urls", "faces@stable", "--split", "train")
    assert refused.exit_code == 2 and "bad masks. Use faces@1.0.1" in refused.stderr and refused.stdout == ""


def test_pack_and_unpack(root: Path, tmp_path: Path) -> None:
    packed = run("release", "pack", "faces@1.0.0", tmp_path / "faces.tar", "--root", root)
    assert packed.exit_code == 0 and "faces/1.0.0+" in packed.stdout
    unpacked = run("release", "unpack", tmp_path / "faces.tar", "--to", tmp_path / "there")
    assert unpacked.exit_code == 0, unpacked.output
    verified = run("release", "verify", "faces@1.0.0", "--deep", "--root", tmp_path / "there")
    assert verified.exit_code == 0 and "is whole" in verified.stdout and "every byte" in verified.stdout
    assert run("release", "pack", "faces@1.0.0", tmp_path / "faces.tar", "--root", root).exit_code == 2
    (tmp_path / "cut.tar").write_bytes((tmp_path / "faces.tar").read_bytes()[:5000])
    cut = run("release", "unpack", tmp_path / "cut.tar", "--to", tmp_path / "other")
    assert cut.exit_code == 1 and "Ask for the file again" in cut.stderr and not (tmp_path / "other").exists()


def test_every_fault_is_named_and_the_code_is_1(root: Path) -> None:
    shard, index = min((root / "shards").iterdir()), max((root / "index").iterdir())
    data = bytearray(shard.read_bytes())
    data[600] ^= 1
    shard.write_bytes(data)
    assert run("release", "verify", "faces@1.0.0", "--root", root).exit_code == 0
    assert run("release", "show", "faces@1.0.0", "--root", root).exit_code == 0
    index.unlink()
    deep = run("release", "verify", "faces@1.0.0", "--deep", "--root", root)
    assert deep.exit_code == 1 and shard.name in deep.stderr and index.name in deep.stderr
    assert "2 files differ from what is listed" in deep.stderr and "faceloom release unpack" in deep.stderr
    faults = json.loads(run("release", "verify", "faces@1.0.0", "--json", "--root", root).stdout)["faults"]
    assert [fault["file"] for fault in faults] == [f"index/{index.name}"]
    shown = run("release", "show", "faces@1.0.0", "--root", root)
    assert shown.exit_code == 1 and index.name in shown.stderr


def test_wrong_arguments_exit_with_2(root: Path, out: Path, tmp_path: Path) -> None:
    wrong = [
        ("create", "faces", "1.0.0", "--from", out),
        ("create", "../faces", "1.0.1", "--from", out),
        ("show", "faces@2.0.0"),
        ("show", "others"),
        ("list", "others"),
        ("verify", "../faces"),
        ("promote", "faces@1.0.0", "latest"),
        ("yank", "faces@1.0.0"),
        ("urls", "faces@1.0.0", "--split", "val"),
        ("pack", "faces@1.0.0", root / "faces.tar"),
    ]
    for words in wrong:
        done = run("release", *words, "--root", root)
        assert done.exit_code == 2, (words, done.output)
        assert done.stdout == "" and "Traceback" not in done.stderr
    assert run("release", "show", "faces@1.0.0", "--root", out).exit_code == 2
    assert run("release", "list", "--root", tmp_path / "nothing").exit_code == 2
    assert run("release", "create", "faces", "1.0.0", "--from", out).exit_code == 2  # no folder of releases
    assert not (tmp_path / "nothing").exists()


def test_a_folder_without_a_build_is_a_failure(tmp_path: Path) -> None:
    done = run("release", "create", "faces", "1.0.0", "--from", tmp_path, "--to", tmp_path / "root")
    assert done.exit_code == 1 and "no finished build" in done.stderr


def test_an_empty_folder_of_releases_is_listed(root: Path) -> None:
    for path in (root / "releases" / "faces" / "1.0.0").iterdir():
        path.unlink()
    done = run("release", "list", "--root", root)
    assert done.exit_code == 0 and "holds no releases" in done.stdout


def test_a_damaged_log_is_listed_as_such_and_hides_no_other_set(root: Path, out: Path) -> None:
    assert run("release", "create", "eyes", "1.0.0", "--from", out, "--to", root).exit_code == 0
    assert run("release", "yank", "faces@1.0.0", "--reason", "bad masks", "--root", root).exit_code == 0
    assert run("release", "promote", "eyes@1.0.0", "stable", "--root", root).exit_code == 0
    (root / "channels" / "faces.jsonl").write_bytes(b"")
    listed = run("release", "list", "--root", root, "--json")
    assert listed.exit_code == 0
    eyes, faces = json.loads(listed.stdout)["releases"]
    assert eyes["channels"] == ["stable"] and eyes["fault"] == "" and faces["samples"] == eyes["samples"]
    assert "channels/faces.jsonl: the log is lost" in faces["fault"]
    assert "the log is lost" in run("release", "list", "--root", root).stdout
    mark = json.loads((root / "faceloom.json").read_text())
    (root / "faceloom.json").write_text(json.dumps({**mark, "logs": {}}))
    listed = run("release", "list", "--root", root)
    assert listed.exit_code == 1 and "damaged marker" in listed.stderr


def test_a_damaged_manifest_is_listed_as_such(root: Path) -> None:
    (root / "releases" / "faces" / "1.0.0" / "release.json").write_text("{}")
    listed = run("release", "list", "--root", root)
    assert listed.exit_code == 0 and "damaged manifest" in listed.stdout
    assert run("release", "show", "faces", "--root", root).exit_code == 1
