"""The script that makes results pages: recipes are valid, commands have options that exist, pages have its marks."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")

from faceloom.pipelines.cli.app import app
from faceloom.pipelines.recipe.load import load_recipe

RESULTS = Path(__file__).parents[2] / "docs" / "results"
JOBS = sorted(path.stem for path in RESULTS.glob("*.md"))
METRICS = "- build: x\n\n| a |\n| --- |\n| #1 |\n\n## Training\n\n#hash\n### Deeper\n"


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_results", RESULTS / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def photos_of(make: ModuleType, job: str, root: Path) -> Path:
    for source in make.SOURCES[job].values():
        for key in {"path", "labels"} & source.keys():
            (root / source[key]).mkdir(parents=True, exist_ok=True)
    return root


@pytest.mark.parametrize("job", JOBS)
def test_the_recipe_of_a_page_is_valid_with_all_its_sources(make: ModuleType, job: str, tmp_path: Path) -> None:
    photos = photos_of(make, job, tmp_path / "ph: otos")
    text, missing = make.recipe_of(job, photos)
    (tmp_path / "recipe.yaml").write_text(text)
    recipe = load_recipe(tmp_path / "recipe.yaml")
    assert [source.name for source in recipe.sources] == list(make.SOURCES[job]) and missing == []
    assert all(str(source.path).startswith(str(photos)) for source in recipe.sources)


def test_folders_that_are_missing_are_left_out_and_named(make: ModuleType, tmp_path: Path) -> None:
    photos = photos_of(make, "msagan", tmp_path / "photos")
    (photos / "people" / "orl").rmdir()
    (photos / "celebamask" / "labelmaps" / "masks").rmdir()
    text, missing = make.recipe_of("msagan", photos)
    assert missing == ["people/orl", "celebamask/labelmaps/masks"]
    assert make.left_out_of("msagan", text) == ["people/orl", "celebamask/labelmaps/images"]
    left = [json.loads(line[4:])["name"] for line in text.split("sources:\n")[1].splitlines()]
    assert left == ["lfw", "frl", "vgg", "3dsk", "canada", "chq"]


def test_nothing_is_written_where_no_source_is_left(
    make: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["make.py", "editor", "--photos", str(tmp_path / "photos"), "--scratch", str(tmp_path / "scratch")]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit, match=r"none of the folders of editor exists below .*photos"):
        make.main()
    assert not (tmp_path / "scratch").exists()


@pytest.mark.parametrize("left_out", [False, True])
def test_a_page_states_the_sources_that_were_left_out(
    make: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left_out: bool
) -> None:
    photos, folder = photos_of(make, "editor", tmp_path / "photos"), tmp_path / "scratch" / "editor"
    if left_out:
        (photos / "frontal/canada").rmdir()
        (photos / "landmarks/afw").rmdir()
    (folder / "report").mkdir(parents=True)
    (folder / "recipe.yaml").write_text(make.recipe_of("editor", photos)[0])
    (folder / "report" / "metrics.md").write_text(METRICS)
    (folder / "report" / "loss.png").write_bytes(b"picture")
    shown: list[tuple[object, ...]] = []
    monkeypatch.setattr(make, "update_page", lambda *words: shown.append(words))
    monkeypatch.setattr("sys.argv", ["make.py", "editor", "--scratch", str(tmp_path / "scratch"), "--only-page"])
    make.main()
    absent = ["frontal/canada", "landmarks/afw"] if left_out else []
    assert shown == [("editor", folder / "report", make.HERE, absent)]
    block = make.block_of("editor", METRICS, absent)
    assert ("Left out, since these folders did not exist: frontal/canada, landmarks/afw." in block) == left_out
    assert str(photos) not in block


@pytest.mark.parametrize("smoke", [False, True])
@pytest.mark.parametrize("job", JOBS)
def test_every_command_has_arguments_that_exist(make: ModuleType, job: str, smoke: bool, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()  # empty: a command that gets so far has read all of its words
    build, *trainings, evaluation = make.commands_of(job, tmp_path, smoke=smoke)
    assert build == ["build", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "data")]
    runs, used = [words[-1] for words in trainings], {*evaluation}
    for words in trainings:  # a run that a later one starts from exists by then
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 2 and "no finished build" in done.output, done.output
        used |= {*words[:-1]}
        Path(words[-1]).mkdir(parents=True)
    assert len({*runs}) == len(runs) and set(runs) <= used
    done = CliRunner().invoke(app, evaluation)
    assert done.exit_code == 2 and "no finished build" in done.output, done.output


def test_a_smoke_run_trains_one_epoch_of_each_phase_into_folders_of_its_own(make: ModuleType, tmp_path: Path) -> None:
    for job in JOBS:
        quick, full = (make.commands_of(job, tmp_path, smoke=smoke) for smoke in (True, False))
        assert not {words[-1] for words in quick[1:]} & {words[-1] for words in full[1:]}
        counts = [int(words[words.index("--epochs") + 1]) for words in quick[1:-1]]
        assert set(counts) <= {1, 2} and quick[0] == full[0]


def test_every_network_in_phases_has_epochs_in_each(make: ModuleType, tmp_path: Path) -> None:
    for job, option in {"askd": "--teacher-epochs", "antimask": "--decoder-epochs"}.items():
        for smoke in (True, False):
            _, *trainings, _ = make.commands_of(job, tmp_path, smoke=smoke)
            assert trainings
            for words in trainings:
                assert 1 <= int(words[words.index(option) + 1]) < int(words[words.index("--epochs") + 1])


def test_a_report_gets_between_the_marks_and_replaces_the_one_before(make: ModuleType, tmp_path: Path) -> None:
    page = f"# Page\n\n## Figures\n\n{make.BEGIN}\n{make.END}\n\n## More\n"
    (tmp_path / "editor.md").write_text(page)
    report = tmp_path / "report"
    report.mkdir()
    (report / "loss.png").write_bytes(b"picture")
    for metrics in ("first\n", METRICS):
        (report / "metrics.md").write_text(metrics)
        make.update_page("editor", report, tmp_path)
    text = (tmp_path / "editor.md").read_text()
    block = "\n- build: x\n\n| a |\n| --- |\n| #1 |\n\n### Training\n\n#hash\n#### Deeper\n\n![Losses"
    assert text.startswith(f"# Page\n\n## Figures\n\n{make.BEGIN}\n{block}") and "first" not in text
    assert text.endswith(f"(editor-loss.png)\n\n{make.END}\n\n## More\n")
    assert (tmp_path / "editor-loss.png").read_bytes() == b"picture"


@pytest.mark.parametrize("marks", ["", "{0}", "{1}\n{0}", "{0}\n{0}\n{1}", "x {0}\n{1}"])
def test_a_page_without_its_marks_stays_as_it_is(make: ModuleType, tmp_path: Path, marks: str) -> None:
    page = "# Page\n" + marks.format(make.BEGIN, make.END)
    with pytest.raises(ValueError, match="the page needs the lines"):
        make.with_block(page, make.block_of("editor", METRICS))


@pytest.mark.parametrize("job", JOBS)
def test_every_page_has_the_marks_and_names_its_command(make: ModuleType, job: str) -> None:
    text = (RESULTS / f"{job}.md").read_text(encoding="utf-8")
    assert make.with_block(text, "\nblock\n").count("\nblock\n") == 1
    reproduce = text.split("\n## Reproduce\n")[1].split("\n## ")[0]
    assert f"python docs/results/make.py {job} --photos" in reproduce
    inside = text.split(make.BEGIN)[1].split(make.END)[0]
    assert not re.search("^#{1,2} ", inside, re.MULTILINE), "its headings are below that of the section"
