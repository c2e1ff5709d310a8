"""Makes the figures of a results page: python docs/results/make.py JOB --photos FOLDER --scratch DIR.

Builds a dataset, trains the networks, evaluates them, and puts report and losses into docs/results/JOB.md. The same
command resumes. See `--help`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
BEGIN, END = "<!-- figures of make.py -->", "<!-- end of figures -->"
ATTRIBUTE = "mouth_open"
RUNS = "RUNS/"
"""In the options of a training: the folder of its runs."""
SMALL = ("--preset", "small")
COMPACT = ("--preset", "compact")
TEACHER = ("--teacher-epochs", 20)

PEOPLE = {"people": {"kind": "people", "path": "people", "exclude": ["*.tem"]}}
FLAT = {
    "3dsk": "frontal/3dsk",
    "canada": "frontal/canada",
    "chq": "celebamask/CelebA-HQ-img",
    "extrahq": "celebamask/extra_hq_img",
    "lm": "celebamask/labelmaps/images",
    "lfpw": "landmarks/lfpw",
    "afw": "landmarks/afw",
    "aflw": "landmarks/aflw2000",
    "menpo": "landmarks/menpo",
    "without": "masked/prajnasb/without",
    "crowd": "multi/crowd",
    "wider": "multi/wider",
    "mdlib": "multi/dlib",
}
FACES = PEOPLE | {name: {"kind": "flat", "path": path} for name, path in FLAT.items()}
PARTS = {
    "lfw": {"kind": "people", "path": "people/lfw"},
    "orl": {"kind": "people", "path": "people/orl"},
    "frl": {"kind": "people", "path": "people/frl_london"},
    "vgg": {"kind": "people", "path": "people/vggface2"},
    "3dsk": FACES["3dsk"],
    "canada": FACES["canada"],
    "chq": {"kind": "celebamask_hq", "path": "celebamask"},
    "lm": {"kind": "label_maps", "path": "celebamask/labelmaps/images", "labels": "celebamask/labelmaps/masks"},
}
SOURCES: dict[str, dict[str, dict[str, Any]]] = {
    "autoencoder": FACES,
    "detector": FACES,
    "editor": FACES,
    "msagan": PARTS,
    "askd": PEOPLE,
    "antimask": FACES,
}
"""Sources of each job; their paths are below the folder of photos."""


class Training(NamedTuple):
    """A network to train.

    Attributes:
        name: of the run's folder, and of its row in the report.
        epochs: all of them.
        words: further options.
        first: option with the number of epochs of the first of two phases, and that number.
        job: if it is another one than that of the page.
        row: whether the run is a row of the report; otherwise the evaluation takes it by an option of its name.
    """

    name: str
    epochs: int
    words: tuple[str, ...] = SMALL
    first: tuple[str, int] | None = None
    job: str = ""
    row: bool = True


TRAININGS = {
    "autoencoder": [
        Training("outline", 18, COMPACT),
        Training("straps", 4, (*COMPACT, "--from", f"{RUNS}outline", "--learning-rate", "0.0005")),
        Training("compact", 1, (*COMPACT, "--from", f"{RUNS}straps", "--learning-rate", "0.0001")),
    ],
    "detector": [Training("small", 30)],
    "editor": [Training("small", 12)],
    "msagan": [
        Training("classifier", 10, (*SMALL, "--attribute", ATTRIBUTE), job="classifier", row=False),
        *(
            Training(loss, 12, (*SMALL, "--attribute", ATTRIBUTE, "--mask-loss", loss))
            for loss in ("none", "mae", "mse", "sde")
        ),
    ],
    "askd": [
        Training("distilled", 40, first=TEACHER),
        *(
            Training(f"distilled-{seed}", 40, (*SMALL, "--teacher", f"{RUNS}distilled", "--seed", seed), TEACHER)
            for seed in ("1", "2")
        ),
        Training("alone", 40, (*SMALL, "--no-distill"), TEACHER),
        *(Training(f"alone-{seed}", 40, (*SMALL, "--no-distill", "--seed", seed), TEACHER) for seed in ("1", "2")),
    ],
    "antimask": [
        Training("completed", 35, first=("--decoder-epochs", 17)),
        Training("full-face", 35, (*SMALL, "--paint", "full"), ("--decoder-epochs", 17)),
    ],
}


def layout() -> str:
    """The folders below --photos, for people."""
    paths = sorted({source["path"] for sources in SOURCES.values() for source in sources.values()})
    return (
        f"Folders below --photos that exist are used: {', '.join(paths)}. Those of `people` hold a folder for each "
        "person; askd needs at least four people with several photos in the split `test`, so some twenty in all."
    )


def recipe_of(job: str, photos: Path) -> tuple[str, list[str]]:
    """The recipe of a job with the sources that exist, and the paths, below `photos`, of those that do not."""
    lines, missing = [], []
    for name, source in SOURCES[job].items():
        paths = {key: photos / source[key] for key in ("path", "labels") if key in source}
        absent = [source[key] for key, path in paths.items() if not path.is_dir()]
        missing += absent
        if not absent:
            # JSON is YAML too, and quotes any path.
            values = {"name": name, **source, **{key: str(path) for key, path in paths.items()}}
            lines.append(f"  - {json.dumps(values, ensure_ascii=False)}\n")
    text = (HERE / "recipes" / f"{job}.yaml").read_text(encoding="utf-8")
    return text + "sources:\n" + "".join(lines), missing


def left_out_of(job: str, recipe: str) -> list[str]:
    """The paths, below the folder of photos, of the sources that a recipe of `recipe_of` lacks."""
    lines = recipe.partition("\nsources:\n")[2].splitlines()
    there = {json.loads(line.removeprefix("  - "))["name"] for line in lines}
    return [source["path"] for name, source in SOURCES[job].items() if name not in there]


def commands_of(job: str, folder: Path, *, smoke: bool) -> list[list[str]]:
    """The words of all commands after `faceloom`: build, trainings, evaluation.

    Args:
        job: of the page.
        folder: of the recipe and of all results.
        smoke: train one epoch of each phase, into other folders.
    """
    data, runs, report = str(folder / "data"), folder / ("smoke-runs" if smoke else "runs"), report_of(folder, smoke)
    commands = [["build", str(folder / "recipe.yaml"), "--out", data]]
    evaluation = ["evaluate", job]
    for one in TRAININGS[job]:
        epochs = one.epochs if not smoke else 2 if one.first else 1
        phase = [one.first[0], str(1 if smoke else one.first[1])] if one.first else []
        run = str(runs / one.name)
        words = [word.replace(RUNS, f"{runs}/") for word in one.words]
        options = [*words, "--epochs", str(epochs), *phase, "--to", run]
        commands.append(["train", one.job or job, "--data", data, *options])
        evaluation += [run] if one.row else [f"--{one.name}", run]
    return [*commands, [*evaluation, "--data", data, "--to", str(report)]]


def report_of(folder: Path, smoke: bool) -> Path:
    """The folder of the report."""
    return folder / ("smoke-report" if smoke else "report")


def block_of(job: str, metrics: str, left_out: Sequence[str] = ()) -> str:
    """What stands between the marks of a page: the sources left out, the report with lower headings, the losses."""
    text = re.sub(r"^(#+ )", r"#\1", metrics.strip(), flags=re.MULTILINE)
    lacks = f"Left out, since these folders did not exist: {', '.join(left_out)}.\n\n" if left_out else ""
    return f"\n{lacks}{text}\n\n![Losses of these trainings over the epochs]({job}-loss.png)\n\n"


def with_block(page: str, block: str) -> str:
    """A page with a block between its marks.

    Raises:
        ValueError: the page does not have each mark once, on a line of its own, the first one first.
    """
    lines = page.split("\n")
    if [line for line in lines if line in (BEGIN, END)] != [BEGIN, END]:
        raise ValueError(f"the page needs the lines {BEGIN} and {END}, once and in this order")
    head, tail = lines[: lines.index(BEGIN) + 1], lines[lines.index(END) :]
    return "\n".join([*head, *block.split("\n")[:-1], *tail])


def update_page(job: str, report: Path, docs: Path = HERE, left_out: Sequence[str] = ()) -> None:
    """Put a report into the page of its job, and its losses beside it."""
    page = docs / f"{job}.md"
    block = block_of(job, (report / "metrics.md").read_text(encoding="utf-8"), left_out)
    text = with_block(page.read_text(encoding="utf-8"), block)
    (docs / f"{job}-loss.png").write_bytes((report / "loss.png").read_bytes())
    page.write_text(text, encoding="utf-8")
    print(f"updated: {page}")


def main() -> None:
    """Run all commands, then update the page."""
    parser = argparse.ArgumentParser(
        description="Make the figures of a results page. The same command resumes.", epilog=layout()
    )
    parser.add_argument("job", choices=sorted(TRAININGS))
    parser.add_argument("--photos", type=Path, help="folder of photos; see below")
    parser.add_argument("--scratch", type=Path, required=True, help="folder for data, runs and reports, for each job")
    parser.add_argument("--smoke", action="store_true", help="train one epoch, and leave the page as it is")
    parser.add_argument("--only-page", action="store_true", help="only update the page, from a finished report")
    given = parser.parse_args()
    folder = given.scratch.resolve() / given.job
    if not given.only_page:
        if given.photos is None:
            parser.error("--photos is needed, except with --only-page")
        text, missing = recipe_of(given.job, given.photos.resolve())
        if text.endswith("\nsources:\n"):
            sys.exit(f"none of the folders of {given.job} exists below {given.photos}: {', '.join(missing)}")
        for path in missing:
            print(f"left out, does not exist: {path}")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "recipe.yaml").write_text(text, encoding="utf-8")
        faceloom = str(Path(sys.executable).with_name("faceloom"))
        for words in commands_of(given.job, folder, smoke=given.smoke):
            print(f"OMP_NUM_THREADS=1 faceloom {shlex.join(words)}", flush=True)
            done = subprocess.run([faceloom, *words], env={**os.environ, "OMP_NUM_THREADS": "1"})
            if done.returncode:
                sys.exit(done.returncode)
    if not given.smoke:
        left_out = left_out_of(given.job, (folder / "recipe.yaml").read_text(encoding="utf-8"))
        update_page(given.job, report_of(folder, smoke=False), HERE, left_out)


if __name__ == "__main__":
    main()
