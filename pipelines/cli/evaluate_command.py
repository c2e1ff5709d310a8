"""The command `faceloom evaluate`: one command for each training job."""

# Annotations are objects here, not texts: those of a command refer to its job.
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from faceloom.pipelines.cli.evaluate_runs import evaluate_runs
from faceloom.pipelines.cli.msagan_grid import train_and_evaluate
from faceloom.pipelines.cli.output import Debug, Json
from faceloom.pipelines.cli.train_command import Device
from faceloom.pipelines.evaluation.job_names import EVALUATIONS

Runs = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of trained networks.")]
Data = Annotated[str, typer.Option("--data", metavar="OUT", help="Output folder of a build.")]
Split = Annotated[
    str,
    typer.Option(
        help="Split of the build to evaluate on: one of those that `faceloom show` lists, such as test or val."
    ),
]
To = Annotated[
    str | None, typer.Option("--to", metavar="FOLDER", help="Folder of the report. Default: RUN/evaluation.")
]

app = typer.Typer(help="Measure the quality of a trained network.", no_args_is_help=True)


@app.callback()
def _evaluate() -> None:
    pass


@app.command(
    epilog="Examples:\n\n"
    "faceloom evaluate autoencoder runs/ae --data out --split test\n\n"
    "faceloom evaluate autoencoder runs/compact runs/paper --data out --to report\n\n"
    "Writes metrics.json, metrics.md, sheet.png, which shows input, target and output side by side, and loss.png, the "
    "losses of the training. "
    "An existing report is replaced; a folder with other files is refused."
)
def autoencoder(
    runs: Runs,
    data: Data,
    split: Split = "test",
    to: To = None,
    device: Device = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure masking networks on a split of a build, beside a black polygon and another template mask."""
    evaluate_runs("autoencoder", runs, data, split, to or str(runs[0] / "evaluation"), device, as_json, debug)


@app.command(
    epilog="Examples:\n\n"
    "faceloom evaluate msagan runs/sde runs/mae --classifier runs/cls --data cel --to report\n\n"
    "faceloom evaluate msagan --grid runs/grid --preset small --classifier runs/cls --data cel --to report\n\n"
    "--grid trains the paper's 16 models, each in a folder of its own, and puts them into one table. "
    "The same command resumes: finished models are not trained again."
)
def msagan(
    data: Data,
    classifier: Annotated[
        Path, typer.Option(metavar="RUN", exists=True, help=EVALUATIONS["msagan"].files["classifier"])
    ],
    runs: Annotated[list[Path] | None, typer.Argument(metavar="RUN...", help="Folders of trained networks.")] = None,
    grid: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Folder of the 16 models, which are trained if necessary.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Of the models of --grid: paper or small. Default: small.")] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Of the models of --grid. Default: from the preset.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the models of --grid. Default: 0.")] = None,
    split: Split = "test",
    to: To = None,
    device: Device = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure editors of one attribute by a separate classifier, beside the unchanged face."""
    files, runs = {"classifier": classifier}, runs or []
    if grid is None and not runs:
        raise typer.BadParameter("name at least one run, or --grid FOLDER", param_hint="RUN...")
    for name, value in {"preset": preset, "epochs": epochs, "seed": seed}.items():
        if grid is None and value is not None:
            raise typer.BadParameter("runs are not trained again; it needs --grid", param_hint=f"--{name}")
    if grid is None:
        evaluate_runs("msagan", runs, data, split, to or str(runs[0] / "evaluation"), device, as_json, debug, files)
        return
    folder = to or str(Path(grid) / "evaluation")
    options = {"preset": preset or "small", "epochs": epochs, "seed": seed or 0}
    train_and_evaluate(grid, options, runs, data, split, folder, device, as_json, debug, files)


def _command(job: str) -> Callable[..., None]:
    """The command that evaluates runs of a training job: the options of all, then those that name files of its own."""
    spec = EVALUATIONS[job]

    def evaluate(
        runs: Runs,
        data: Data,
        split: Split = "test",
        to: To = None,
        device: Device = "auto",
        as_json: Json = False,
        debug: Debug = False,
        **files: Any,
    ) -> None:
        given = {name: path for name, path in files.items() if path is not None}
        evaluate_runs(job, runs, data, split, to or str(runs[0] / "evaluation"), device, as_json, debug, given)

    shared = list(inspect.signature(evaluate).parameters.values())[:-1]
    own = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[Path | None, typer.Option(metavar="PATH", exists=True, help=text)],
        )
        for name, text in spec.files.items()
    ]
    evaluate.__signature__ = inspect.Signature([*shared, *own])  # type: ignore[attr-defined]
    evaluate.__annotations__ = {parameter.name: parameter.annotation for parameter in [*shared, *own]}
    evaluate.__doc__ = spec.help
    return evaluate


for _job in [name for name in EVALUATIONS if name != "msagan"]:
    app.command(_job, epilog=f"Example:\n\nfaceloom evaluate {_job} runs/{_job} --data out --to report")(_command(_job))
