"""The command line. Commands call the functions of other modules, which are imported when a command runs."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from faceloom.pipelines.cli.apply_command import app as apply_app
from faceloom.pipelines.cli.build_command import app as build_app
from faceloom.pipelines.cli.evaluate_command import app as evaluate_app
from faceloom.pipelines.cli.log_lines import show_log
from faceloom.pipelines.cli.output import DONE, FAILED, leave, say
from faceloom.pipelines.cli.output_commands import app as output_app
from faceloom.pipelines.cli.recipe_commands import app as recipe_app
from faceloom.pipelines.cli.release_change_commands import change_app
from faceloom.pipelines.cli.release_commands import release_app
from faceloom.pipelines.cli.streams import guard_streams, output_fault
from faceloom.pipelines.cli.train_command import app as train_app
from faceloom.pipelines.cli.verify_command import app as verify_app
from faceloom.pipelines.cli.view_command import app as view_app

app = typer.Typer(
    help="Turn folders of face photos into versioned training sets for masked-face research.",
    epilog="Example:\n\nfaceloom build masked-pairs --source photos --out out",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

for commands in (build_app, output_app, verify_app, view_app, recipe_app):
    app.add_typer(commands)
release_app.add_typer(change_app)
app.add_typer(release_app, name="release")
app.add_typer(train_app, name="train")
app.add_typer(evaluate_app, name="evaluate")
app.add_typer(apply_app, name="apply")


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
    guard_streams()
    show_log()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        app()
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else int(done.code is not None)
        if code == DONE and (fault := output_fault()):
            code = DONE if _writes_files(sys.argv[1:]) else FAILED
            kind = "Error" if code else "Warning"
            say(f"{kind}: stdout: the output cannot be written (got {fault.strerror}). Print to another place")
        leave(code)


def _writes_files(words: list[str]) -> bool:
    """Whether the work of a command is to write files, so that what it prints is only a report."""
    named = [word for word in words if not word.startswith("-")]
    command = " ".join(named[: 2 if named[:1] == ["release"] else 1])
    helps = bool({"-h", "--help"} & set(words))
    return not helps and command in _WRITERS and (command not in _ASKING or "--yes" in words)


_ASKING = frozenset({"clean", "release purge"})
_WRITERS = frozenset(
    {"apply", "build", "clean", "demo", "evaluate", "export", "sheet", "train"}
    | {f"release {word}" for word in ("create", "erase", "pack", "promote", "purge", "unpack", "yank")}
)
