"""The command `faceloom apply`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from faceloom.pipelines.cli.output import FAILED, REFUSED, Debug, Json, ending, error_console, say, write_json
from faceloom.pipelines.cli.train_command import Device
from faceloom.schemas.counted import counted

To = Annotated[
    str, typer.Option("--to", metavar="FOLDER", help="Folder of the results, which holds no results of other photos.")
]

app = typer.Typer(help="Apply what was built or trained to ordinary photos.", no_args_is_help=True)


@app.callback()
def _apply() -> None:
    pass


@app.command(
    epilog="Example:\n\nfaceloom apply swap photos --face mine.jpg --to swapped\n\n"
    "Results are PNG files under the same names. Photos without a usable face are listed. "
    "An older result of a photo that has none now is deleted."
)
def swap(
    photos: Annotated[Path, typer.Argument(exists=True, help="Folder of photos with a mask, or one photo.")],
    face: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="Photo of the same person without a mask, frontal.")
    ],
    to: To,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Put your own bare face on masked photos: warped by landmarks, pasted in the gradient domain."""
    with ending(REFUSED, as_json, debug):
        from faceloom.pipelines.apply.swap import swap_folder
        from faceloom.pipelines.cli.console import watcher_for

        with watcher_for(error_console()) as watcher:
            done = swap_folder(face, photos, to, watcher)
        if as_json:
            write_json({"to": to, **asdict(done)})
        else:
            _say_left_out(done.left_out, done.removed)
        if not done.written:
            _say_nothing_was_written(done.left_out, "usable face")
            raise typer.Exit(FAILED)
        if not as_json:
            say(f"{counted(len(done.written), 'photo')}: {to}")


@app.command(
    epilog="Example:\n\nfaceloom apply detector runs/det photos --to found\n\n"
    "Each photo gives a PNG map of its own size, white where a mask is. faces.jsonl has a line for each face, with its "
    "box and the share of the box that a mask covers. Photos without a face are listed. "
    "An older map of a photo that has none now is deleted."
)
def detector(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a trained detector.")],
    photos: Annotated[Path, typer.Argument(exists=True, help="Folder of photos, or one photo.")],
    to: To,
    device: Device = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Find the face masks on photos."""
    with ending(REFUSED, as_json, debug):
        from faceloom.pipelines.apply.detector import detect_folder
        from faceloom.pipelines.cli.console import watcher_for

        with watcher_for(error_console()) as watcher:
            done = detect_folder(run, photos, to, watcher, device=device)
        if as_json:
            write_json({"to": to, **asdict(done)})
            return
        _say_left_out(done.left_out, done.removed)
        say(f"{counted(len(done.written), 'photo')} with {counted(done.faces, 'face')}: {to}")


@app.command(
    epilog="Example:\n\nfaceloom apply editor runs/edit photos --detector runs/det --to bare\n\n"
    "Results are PNG files under the same names. Photos on which no face wears a mask are listed. "
    "An older result of a photo that has none now is deleted."
)
def editor(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a trained editor.")],
    photos: Annotated[Path, typer.Argument(exists=True, help="Folder of photos with masks, or one photo.")],
    detector: Annotated[Path, typer.Option(metavar="RUN", help="Folder of a trained detector; it finds the masks.")],
    to: To,
    above: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Paint a face if the found mask covers more than this share of its box. Default: 0.22.",
            show_default=False,
        ),
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Remove the face masks from photos: a network paints what they hide."""
    with ending(REFUSED, as_json, debug):
        from faceloom.pipelines.apply.editor import edit_folder
        from faceloom.pipelines.cli.console import watcher_for
        from faceloom.schemas.face_options import MASKED_ABOVE

        with watcher_for(error_console()) as watcher:
            done = edit_folder(
                run, detector, photos, to, watcher, above=MASKED_ABOVE if above is None else above, device=device
            )
        if as_json:
            write_json({"to": to, **asdict(done)})
        else:
            _say_left_out(done.left_out, done.removed)
        if not done.written:
            _say_nothing_was_written(done.left_out, "face with a mask")
            raise typer.Exit(FAILED)
        if not as_json:
            say(f"{counted(len(done.written), 'photo')} with {counted(done.faces, 'painted face')}: {to}")


@app.command(
    epilog="Example:\n\n"
    "faceloom apply sheet photos --detector runs/det --editor runs/edit --face mine.jpg --to report\n\n"
    "Writes sheet.png, with a row for each photo: its file name, photo, found mask, edited face, and your own face "
    "swapped in. An empty cell means that no mask was found, or that the face could not be swapped; the output names "
    "the reason."
)
def sheet(
    photos: Annotated[Path, typer.Argument(exists=True, help="Folder of photos with masks, or one photo.")],
    detector: Annotated[Path, typer.Option(metavar="RUN", help="Folder of a trained detector; it finds the masks.")],
    editor: Annotated[Path, typer.Option(metavar="RUN", help="Folder of a trained editor.")],
    face: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="Photo of a bare face, frontal.")],
    to: Annotated[str, typer.Option("--to", metavar="FOLDER", help="Folder of the sheet.")],
    count: Annotated[int, typer.Option(min=1, max=200, help="Show at most this many photos.")] = 20,
    device: Device = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Draw a sheet of masked photos: photo, found mask, edited face, swap."""
    with ending(REFUSED, as_json, debug):
        from faceloom.pipelines.apply.sheet import SHEET, draw_sheet
        from faceloom.pipelines.cli.console import watcher_for

        with watcher_for(error_console()) as watcher:
            done = draw_sheet(editor, detector, face, photos, to, watcher, count=count, device=device)
        if as_json:
            write_json({"to": to, **asdict(done)})
        else:
            _say_left_out(done.left_out)
            for name, why in done.not_swapped.items():
                say(f"No swap: {name}: {why}")
        if not done.shown:
            say(f"Nothing was drawn: {counted(len(done.left_out), 'photo was', 'photos were')} left out")
            raise typer.Exit(FAILED)
        if not as_json:
            counts = f"{done.masked} with a mask, {done.edited} edited, {done.swapped} swapped"
            say(f"{len(done.shown)} of {counted(done.photos, 'photo')}, {counts}: {to.rstrip('/')}/{SHEET}")
            if done.photos > len(done.shown) + len(done.left_out):
                say(f"The others are not on the sheet; --count shows more than {count}")


def _say_left_out(left_out: dict[str, str], removed: tuple[str, ...] = ()) -> None:
    for name, why in left_out.items():
        say(f"Left out: {name}: {why}")
    for path in removed:
        say(f"Deleted, a result of an earlier run: {path}")


def _say_nothing_was_written(left_out: dict[str, str], what: str) -> None:
    none = f"none of the {len(left_out):,} photos shows a" if len(left_out) != 1 else "the photo shows no"
    say(f"Nothing was written: {none} {what}")
