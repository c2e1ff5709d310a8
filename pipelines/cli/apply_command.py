"""The command `faceloom apply`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from faceloom.pipelines.cli.output import FAILED, Debug, Json, ending, error_console, say, write_json

app = typer.Typer(help="Apply what was built or trained to ordinary photos.", no_args_is_help=True)


@app.callback()
def _apply() -> None:
    pass


@app.command(
    epilog="Example:\n\nfaceloom apply swap photos --face mine.jpg --to swapped\n\n"
    "Results are PNG files under the same names. Photos without a usable face are listed."
)
def swap(
    photos: Annotated[Path, typer.Argument(exists=True, help="Folder of photos with a mask, or one photo.")],
    face: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="Photo of the same person without a mask, frontal.")
    ],
    to: Annotated[str, typer.Option("--to", metavar="FOLDER", help="Folder of the results.")],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Put your own bare face on masked photos: warped by landmarks, pasted in the gradient domain."""
    with ending(FAILED, as_json, debug):
        from faceloom.pipelines.apply.swap import swap_folder
        from faceloom.pipelines.cli.console import watcher_for

        with watcher_for(error_console()) as watcher:
            done = swap_folder(face, photos, to, watcher)
        if as_json:
            write_json({"to": to, "written": list(done.written), "left_out": done.left_out})
            return
        for name, why in done.left_out.items():
            say(f"Left out: {name}: {why}")
        say(f"{len(done.written)} photos: {to}")
