"""The command that verifies a build."""

from __future__ import annotations

import typer

from faceloom.pipelines.cli.output import FAILED, Debug, Json, ending, error_console
from faceloom.pipelines.cli.output_commands import Out
from faceloom.schemas.urls import place_text

app = typer.Typer()


@app.command(epilog="Examples:\n\nfaceloom verify out\n\nfaceloom verify out --json")
def verify(out: Out, as_json: Json = False, debug: Debug = False) -> None:
    """Compare every byte of a build with its record. Every file that differs is named; then the exit code is 1."""
    with ending(FAILED, as_json, debug):
        from faceloom.pipelines.cli.console import watcher_for
        from faceloom.pipelines.cli.release_summary import show_verified
        from faceloom.pipelines.release.verify import verify_build
        from faceloom.pipelines.store.storage import Storage

        with watcher_for(error_console()) as watcher:
            done = verify_build(Storage(str(out)), watcher)
        show_verified(done, place_text(out), as_json=as_json, deep=True)
