"""The command `faceloom evaluate`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from faceloom.pipelines.cli.output import (
    FAILED,
    REFUSED,
    Debug,
    Json,
    ending,
    error_console,
    say,
    show_blocks,
    write_json,
)
from faceloom.pipelines.cli.train_command import Device
from faceloom.pipelines.evaluation.job_names import EVALUATIONS

Runs = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of trained networks.")]
Split = Annotated[str, typer.Option(help="Split of the build to evaluate on, such as test or val.")]
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
    "Writes metrics.json, metrics.md and sheet.png, which shows input, target and output side by side. "
    "An existing report is replaced; a folder with other files is refused."
)
def autoencoder(
    runs: Runs,
    data: Annotated[str, typer.Option("--data", metavar="OUT", help="Output folder of a build with masked faces.")],
    split: Split = "test",
    to: To = None,
    device: Device = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure masking networks on a split of a build, beside a black polygon and another template mask."""
    folder = to or str(runs[0] / "evaluation")
    with ending(REFUSED, as_json, debug):
        from faceloom.pipelines.evaluation.report import check_report
        from faceloom.pipelines.evaluation.task import prepare_evaluation

        task = prepare_evaluation(runs, data, split, device=device)
        check_report(folder, task)
    with ending(FAILED, as_json, debug):
        from faceloom.pipelines.cli.console import watcher_for
        from faceloom.pipelines.cli.summary import evaluation_summary
        from faceloom.pipelines.evaluation.evaluate import open_methods, run_evaluation
        from faceloom.pipelines.evaluation.report import as_json as plain
        from faceloom.pipelines.evaluation.report import write_report

        with watcher_for(error_console()) as watcher:
            evaluation = run_evaluation(task, open_methods(task), watcher)
        write_report(evaluation, folder)
        if as_json:
            write_json({"to": folder, **plain(evaluation)})
        else:
            show_blocks(evaluation_summary(evaluation))
            say(f"Report and sheet: {folder}")


def _command(job: str) -> Callable[..., None]:
    """The command that evaluates runs of a training job."""

    def evaluate(
        runs: Runs,
        data: Annotated[str, typer.Option("--data", metavar="OUT", help="Output folder of a build.")],
        split: Split = "test",
        to: To = None,
        device: Device = "auto",
        as_json: Json = False,
        debug: Debug = False,
    ) -> None:
        folder = to or str(runs[0] / "evaluation")
        with ending(REFUSED, as_json, debug):
            from faceloom.pipelines.evaluation.job_task import prepare_job
            from faceloom.pipelines.evaluation.report import check_report

            task = prepare_job(job, runs, data, split, device=device)
            check_report(folder, task)
        with ending(FAILED, as_json, debug):
            from faceloom.pipelines.cli.console import watcher_for
            from faceloom.pipelines.cli.summary import job_summary
            from faceloom.pipelines.evaluation.job_evaluations import run_job_evaluation
            from faceloom.pipelines.evaluation.job_report import job_json, write_job_report

            with watcher_for(error_console()) as watcher:
                evaluation = run_job_evaluation(task, watcher)
            write_job_report(evaluation, folder)
            if as_json:
                write_json({"to": folder, **job_json(evaluation)})
            else:
                show_blocks(job_summary(evaluation))
                say(f"Report: {folder}")

    evaluate.__doc__ = EVALUATIONS[job].help
    return evaluate


for _job in EVALUATIONS:
    app.command(_job, epilog=f"Example:\n\nfaceloom evaluate {_job} runs/{_job} --data out --to report")(_command(_job))
