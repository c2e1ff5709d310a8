"""The command line. Commands call the functions of other modules, which are imported when a command runs."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from faceloom.pipelines.cli.build_command import app as build_app
from faceloom.pipelines.cli.evaluate_command import app as evaluate_app
from faceloom.pipelines.cli.output import DONE, leave
from faceloom.pipelines.cli.output_commands import app as output_app
from faceloom.pipelines.cli.recipe_commands import app as recipe_app
from faceloom.pipelines.cli.train_command import app as train_app

app = typer.Typer(
    help="Turn folders of face photos into versioned training sets for masked-face research.",
    epilog="Example:\n\nfaceloom build masked-pairs --source photos --out out",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

for commands in (build_app, output_app, recipe_app):
    app.add_typer(commands)
app.add_typer(train_app, name="train")
app.add_typer(evaluate_app, name="evaluate")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"faceloom {version('faceloom')}")
        raise typer.Exit(DONE)


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line, and exit at once when it is done.

    An orderly exit unloads native libraries while their idle threads run, which sometimes aborts the process.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        app()
    except SystemExit as done:
        leave(done.code if isinstance(done.code, int) else int(done.code is not None))
