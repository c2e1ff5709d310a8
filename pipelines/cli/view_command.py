"""The command that shows a build or a release in a browser: view."""

from __future__ import annotations

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
from faceloom.pipelines.cli.release_commands import RootIfNeeded

app = typer.Typer()


@app.command(
    epilog="Examples:\n\nfaceloom view out\n\nfaceloom view out --to gallery.html --no-open --source photos\n\n"
    "faceloom view ROOT/masked-faces@1.0.0\n\nfaceloom view masked-faces@latest --root ROOT"
)
def view(
    what: Annotated[str, typer.Argument(metavar="OUT|NAME@VERSION", help="Output folder of a build, or a release.")],
    root: RootIfNeeded = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="FILE",
            help="Page to write, or its URL. Default: OUT/gallery.html, or the page that lies beside the release.",
            show_default=False,
        ),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            metavar="[NAME=]PATH",
            help="Source of a build, to show pictures of rejected photos; may be repeated.",
            show_default=False,
        ),
    ] = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Write the page only, and print its path.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show the samples, rejects and distributions of a build or a release in the browser, from disk."""
    with ending(REFUSED, as_json, debug):
        from faceloom.pipelines.cli.view_page import open_sources, parse_target

        target = parse_target(what, root)
        sources = open_sources(source or ())
    with ending(FAILED, as_json, debug):
        import webbrowser

        from faceloom.pipelines.cli.console import watcher_for
        from faceloom.pipelines.cli.view_page import write_page

        with watcher_for(error_console()) as watcher:
            page = write_page(target, to, sources, watcher)
        opened = isinstance(page, Path) and not no_open and webbrowser.open(page.as_uri())
        if as_json:
            write_json({"page": str(page), "opened": opened})
        else:
            show_blocks([str(page)])
            if isinstance(page, Path) and not opened and not no_open:
                say("No browser was found; open this page in one.")
