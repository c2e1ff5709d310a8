"""`faceloom show`, `export`, `sheet` and `clean`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.pipelines.cli.running import run


def test_records_say_what_they_do_not_hold(recipe: Path, table: Path, tmp_path: Path) -> None:
    out, records = tmp_path / "out", ("--to", tmp_path / "records", "--format", "recordio")
    run("build", recipe, "--source", table, "--out", out, "--workers", 1)
    said = run("export", out, *records)
    assert said.exit_code == 0
    assert "Members that were left out: face.jpg, json, landmarks.npy, mask.png;" in said.stdout
    assert run("export", out, *records, "--picture", "face").exit_code == 0
    for wrong in ((*records, "--picture", "lr"), ("--to", tmp_path / "files", "--picture", "face")):
        assert run("export", out, *wrong).exit_code == 2
    assert not (tmp_path / "files").exists()


def test_options_of_layouts_reach_the_export(recipe: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("build", recipe, "--source", table, "--out", out, "--workers", 1)
    done = run("export", out, "--to", tmp_path / "images", "--layout", "imagefolder", "--names", "source")
    assert done.exit_code == 0, done.output
    stems = {path.stem for path in (tmp_path / "images").rglob("*.jpg")}
    assert stems and all("-" not in stem or "-f0" in stem for stem in stems)
    records = ("export", out, "--to", tmp_path / "records", "--layout", "recordio", "--pictures", "face,masked")
    mixed = json.loads(run(*records, "--mix", 0.5, "--labels", "renumber", "--json").stdout)
    assert sum(mixed["pictures"].values()) == mixed["written"]
    both = run(*records)
    assert both.exit_code == 0 and "Records by picture: face.jpg" in both.stdout
    for wrong in (("--mix", 2), ("--labels", "source"), ("--labels", tmp_path / "none.csv"), ("--names", "source")):
        said = run(*records, *wrong)
        assert said.exit_code == 2 and said.stderr.startswith("Error: "), wrong
    again = run("export", out, "--to", tmp_path / "images")
    assert again.exit_code == 2 and "another layout" in again.stderr


def test_the_table_of_rejects_is_named_only_if_there_are_any(recipe: Path, table: Path, tmp_path: Path) -> None:
    out, more = tmp_path / "out", table.parent / "none.csv"
    run("build", recipe, "--source", table, "--out", out, "--workers", 1)
    assert run("show", out).stderr == run("show", out, "--rejects").stderr == ""
    more.write_text("uri\nnot-there.png\n")
    run("build", recipe, "--source", table, "--source", more, "--out", out, "--workers", 1, "--replace")
    assert run("show", out).stderr == ""
    assert "Every reject" in run("show", out, "--rejects").stderr


def test_photos_of_several_people_are_listed_with_their_names(recipe: Path, table: Path, tmp_path: Path) -> None:
    shutil.copytree(table.parent, tmp_path / "photos")
    table = tmp_path / "photos" / table.name
    out, rows = tmp_path / "out", table.read_text().splitlines()
    photo, _, rest = rows[1].split(",", 2)
    (table.parent / "copy.png").write_bytes((table.parent / photo).read_bytes())
    table.write_text("\n".join([*rows, f"copy.png,Someone Else,{rest}"]))
    run("build", recipe, "--source", table, "--out", out, "--workers", 1)
    shown = run("show", out).stdout
    assert "identity_conflict (2)" in shown and "Someone Else" in shown and "copy.png" in shown
    assert json.loads(run("show", out, "--json").stdout)["rejects"]["plan"] == {"identity_conflict": 2}


@pytest.mark.parametrize("command", ["show", "export", "clean"])
def test_no_build_there(command: str, tmp_path: Path) -> None:
    more = ("--to", tmp_path / "files") if command == "export" else ()
    assert run(command, tmp_path / "nowhere", *more).exit_code == 2
    said = run(command, tmp_path, *more)
    assert said.exit_code == 1 and "no finished build" in said.stderr
    assert "no output folder of faceloom" in said.stderr and not (tmp_path / ".lock").exists()


def test_an_interrupted_first_build_is_shown_and_can_be_deleted(recipe: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("build", recipe, "--source", table, "--out", out, "--workers", 1)
    (out / "build.json").unlink()
    shown = run("show", out)
    assert shown.exit_code == 1 and "finished shards" in shown.stderr and "faceloom clean" in shown.stderr
    listed = run("clean", out)
    assert listed.exit_code == 0 and "Left by a build that did not finish" in listed.stdout
    assert "the same `faceloom build` would go on from its files" in listed.stderr
    assert [*(out / "shards").iterdir()]
    cleaned = run("clean", out, "--yes")
    assert cleaned.exit_code == 0 and "go on" not in cleaned.stderr
    assert not [*(out / "shards").iterdir()] and [*(out / "faces").iterdir()]
    again = run("show", out)
    assert again.exit_code == 1 and "files of analysed photos" in again.stderr and "faceloom clean" not in again.stderr


@pytest.mark.parametrize("damage", ["garbage", "{}", "[" * 9999, '{"workers": "x"}'])
def test_damaged_timings_do_not_end_show(damage: str, recipe: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("build", recipe, "--source", table, "--out", out, "--workers", 1)
    (out / "logs" / "last_run.json").write_text(damage)
    shown = run("show", out)
    assert shown.exit_code == 0 and "shards in use" in shown.stdout
    assert "Notice:" in shown.stdout and "damaged timings" in shown.stdout
    asked = run("show", out, "--json")
    assert json.loads(asked.stdout)["last_run"] is None and "damaged timings" in asked.stderr


def test_missing_shards_do_not_pass_silently(recipe: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("build", recipe, "--source", table, "--out", out, "--workers", 1)
    shard = min((out / "shards").iterdir())
    shard.unlink()
    shown = run("show", out)
    assert shown.exit_code == 1 and f"shards/{shard.name}: the file is missing" in shown.stderr
    assert "1 file differs from what is listed, or cannot be read" in shown.stderr and "faceloom build" in shown.stderr
    asked = run("show", out, "--json")
    assert asked.exit_code == 1
    assert [fault["file"] for fault in json.loads(asked.stdout)["faults"]] == [f"shards/{shard.name}"]


def test_a_sheet_is_drawn(recipe: Path, table: Path, tmp_path: Path) -> None:
    import cv2

    out = tmp_path / "out"
    run("build", recipe, "--source", table, "--out", out, "--workers", 1)
    shown = run("sheet", out, tmp_path / "sheet.png", "--width", 64, "--count", 3)
    assert shown.exit_code == 0 and shown.stdout == f"3 samples in {tmp_path / 'sheet.png'}\n"
    picture = cv2.imread(str(tmp_path / "sheet.png"))
    assert picture is not None and picture.shape[1] == 64
    assert json.loads(run("sheet", out, tmp_path / "all.jpg", "--json").stdout)["samples"] == 4
    assert run("sheet", out, tmp_path / "sheet.txt").exit_code == 1


def test_plan_and_show_have_the_spread_of_each_figure(recipe: Path, table: Path, tmp_path: Path) -> None:
    words = (recipe, "--source", table, "--out", tmp_path / "out", "--workers", 1)
    planned = json.loads(run("plan", *words, "--json").stdout)["figures"]
    assert planned.keys() == {"yaw", "pitch", "sharpness", "brightness", "contrast", "size"}
    assert planned["yaw"].keys() == {"faces", "min", "p5", "median", "p95", "max"} and planned["yaw"]["faces"] == 4
    assert "Figures of the faces" in run("plan", *words).stdout
    run("build", *words)
    assert json.loads(run("show", tmp_path / "out", "--json").stdout)["figures"] == planned
    shown = run("show", tmp_path / "out").stdout
    assert "Figures of the faces" in shown and shown.index("yaw ") < shown.index("brightness ") < shown.index("size ")
