"""The commands of releases: create, list, show, verify, promote, yank, pack, unpack and urls."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from faceloom.pipelines.cli.existing_folder import existing_folder, named_folder, named_folder_if_given
from faceloom.pipelines.cli.output import (
    FAILED,
    Debug,
    Json,
    ending,
    error_console,
    say,
    show_blocks,
    write_json,
)
from faceloom.schemas.counted import counted
from faceloom.schemas.urls import place_text

_ENV = "FACELOOM_ROOT"
Root = Annotated[
    Path, typer.Option("--root", envvar=_ENV, file_okay=False, callback=named_folder, help="Folder of releases.")
]
RootIfNeeded = Annotated[
    Path | None,
    typer.Option(
        "--root",
        envvar=_ENV,
        file_okay=False,
        callback=named_folder_if_given,
        show_default=False,
        help="Folder of releases.",
    ),
]
NewRoot = Annotated[
    Path,
    typer.Option(
        "--to",
        "--root",
        envvar=_ENV,
        file_okay=False,
        callback=named_folder,
        help="Folder of releases; created if missing.",
    ),
]
Reference = Annotated[
    str, typer.Argument(metavar="NAME@VERSION", help="A release: NAME@VERSION, NAME@latest or NAME@CHANNEL.")
]
By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who decides this. Default: the user name.")]

release_app = typer.Typer(
    help="Publish builds as releases, verify them, hand them over, and withdraw them.", no_args_is_help=True
)


@release_app.command(
    epilog="Examples:\n\nfaceloom release create masked-faces 1.0.0 --from out --to releases\n\n"
    "FACELOOM_ROOT=releases faceloom release create masked-faces 1.1.0 --from out"
)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the set, such as masked-faces.")],
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Three whole numbers, such as 1.0.0.")],
    out: Annotated[
        Path,
        typer.Option(
            "--from", metavar="OUT", callback=existing_folder, file_okay=False, help="Output folder of a build."
        ),
    ],
    root: NewRoot,
    description: Annotated[str, typer.Option(help="One line for readers. Default: that of the recipe.")] = "",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Publish a finished build as a release, if it passes the gates.

    Shards that the folder holds already are shared, not copied. A version is published once and never changes.
    """
    with ending(FAILED, as_json, debug, resumes=True):
        from faceloom.pipelines.cli.console import watcher_for
        from faceloom.pipelines.cli.release_summary import created_facts, created_summary
        from faceloom.pipelines.release.create import create_release

        with watcher_for(error_console()) as watcher:
            done = create_release(root, name, version, out=out, description=description, watcher=watcher)
        if as_json:
            write_json({"root": place_text(root), **created_facts(done)})
        else:
            show_blocks(created_summary(done, place_text(root)))


@release_app.command(
    "list", epilog="Examples:\n\nfaceloom release list --root releases\n\nfaceloom release list masked-faces --json"
)
def list_releases(
    root: Root,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="List this set only.")] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """List releases with their channels, and those that are yanked."""
    with ending(FAILED, as_json, debug):
        from faceloom.pipelines.cli.release_summary import listed_releases, releases_summary
        from faceloom.pipelines.release.root import open_root

        rows = listed_releases(open_root(root), name)
        if as_json:
            write_json({"root": place_text(root), "releases": rows})
        else:
            show_blocks(releases_summary(rows, place_text(root)))


@release_app.command(
    epilog="Examples:\n\nfaceloom release show masked-faces@1.0.0\n\nfaceloom release show masked-faces@stable --json"
)
def show(reference: Reference, root: Root, as_json: Json = False, debug: Debug = False) -> None:
    """Show what a release holds, where it comes from, and whether its files are there."""
    with ending(FAILED, as_json, debug):
        from faceloom.pipelines.cli.release_summary import fault_lines, release_facts, release_summary
        from faceloom.pipelines.release.manifest import AGAIN
        from faceloom.pipelines.release.resolve import read_versions, resolve
        from faceloom.pipelines.release.root import open_root
        from faceloom.pipelines.store.file_faults import find_shard_faults

        storage = open_root(root)
        found = resolve(storage, reference)
        known = read_versions(storage, found.release.name)
        faults = find_shard_faults(storage, found.shards, AGAIN, digests=False)
        if as_json:
            listed = [fault._asdict() for fault in faults]
            write_json({"root": place_text(root), **release_facts(found, known), "faults": listed})
        else:
            show_blocks(release_summary(found, known))
        for line in fault_lines(faults):
            say(line)
        if faults:
            raise typer.Exit(FAILED)


@release_app.command(
    epilog="Examples:\n\nfaceloom release verify masked-faces@1.0.0\n\n"
    "faceloom release verify masked-faces@1.0.0 --deep"
)
def verify(
    reference: Reference,
    root: Root,
    deep: Annotated[bool, typer.Option("--deep", help="Also read every byte of the shards.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare the files of a release with its manifest. Every file that differs is named; then the exit code is 1."""
    with ending(FAILED, as_json, debug):
        from faceloom.pipelines.cli.console import watcher_for
        from faceloom.pipelines.cli.release_summary import show_verified
        from faceloom.pipelines.release.root import open_root
        from faceloom.pipelines.release.verify import verify_release

        storage = open_root(root)
        with watcher_for(error_console()) as watcher:
            done = verify_release(storage, reference, deep=deep, watcher=watcher)
        show_verified(done, reference, as_json=as_json, deep=deep)


@release_app.command(
    epilog="Examples:\n\nfaceloom release promote masked-faces@1.0.0 stable\n\n"
    'faceloom release promote masked-faces@1.0.0 stable --reason "looked at 200 samples"'
)
def promote(
    reference: Reference,
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="Name of the channel, such as stable.")],
    root: Root,
    reason: Annotated[str, typer.Option(help="Why, in one line.")] = "",
    by: By = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Let a channel point to a release, so that NAME@CHANNEL opens it."""
    with ending(FAILED, as_json, debug):
        from faceloom.pipelines.release.resolve import short_name
        from faceloom.pipelines.release.root import open_root
        from faceloom.pipelines.release.withdraw import promote as work

        entry = work(open_root(root), reference, channel, why=reason, who=by)
        if as_json:
            write_json(entry.model_dump())
        else:
            name = entry.release.split("/")[0]
            show_blocks([f"{name}@{channel} is now {short_name(entry.release)}"])


@release_app.command(
    epilog='Example:\n\nfaceloom release yank faces@1.0.0 --reason "bad masks" --replacement faces@1.0.1'
)
def yank(
    reference: Reference,
    root: Root,
    reason: Annotated[str, typer.Option(help="Why, in one line; readers see it.")],
    replacement: Annotated[str, typer.Option(metavar="[NAME@]VERSION", help="What to use in its place.")] = "",
    by: By = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Withdraw a release: it is refused from now on, with the reason. Its files stay."""
    with ending(FAILED, as_json, debug):
        from faceloom.pipelines.release.resolve import short_name
        from faceloom.pipelines.release.root import open_root
        from faceloom.pipelines.release.withdraw import yank as work

        entry, pointing = work(open_root(root), reference, why=reason, replacement=replacement, who=by)
        if as_json:
            write_json({**entry.model_dump(), "channels": list(pointing)})
        else:
            show_blocks([f"{short_name(entry.release)} is yanked"])
        for channel in pointing:
            say(f"Warning: the channel {channel} points to it; promote another release to {channel}")


@release_app.command(epilog="Example:\n\nfaceloom release pack masked-faces@1.0.0 masked-faces.tar")
def pack(
    reference: Reference,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Tar file to write.")],
    root: Root,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Pack a release into one tar file for a colleague."""
    with ending(FAILED, as_json, debug):
        from faceloom.pipelines.cli.console import size_text, watcher_for
        from faceloom.pipelines.release.pack import pack_release
        from faceloom.pipelines.release.root import open_root

        storage = open_root(root)
        with watcher_for(error_console()) as watcher:
            done = pack_release(storage, reference, file, watcher=watcher)
        if as_json:
            write_json({"file": str(file), "id": done.published.id, "files": done.files, "bytes": done.bytes})
        else:
            show_blocks([f"{counted(done.files, 'file')} ({size_text(done.bytes)}) of {done.published.id} in {file}"])


@release_app.command(epilog="Example:\n\nfaceloom release unpack masked-faces.tar --to releases")
def unpack(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="Tar file that `release pack` wrote.")
    ],
    root: NewRoot,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Unpack a release. Every byte is verified before any file gets its name."""
    with ending(FAILED, as_json, debug):
        from faceloom.pipelines.cli.console import watcher_for
        from faceloom.pipelines.release.unpack import unpack_release

        with watcher_for(error_console()) as watcher:
            done = unpack_release(file, root, watcher=watcher)
        if as_json:
            write_json(
                {"root": place_text(root), "id": done.published.id, "copied": done.copied, "shared": done.shared}
            )
        else:
            text = f"{counted(done.copied, 'file')} of shards copied, {done.shared:,} there already"
            show_blocks([f"{done.published.id} is in {place_text(root)}: {text}"])


@release_app.command(
    epilog="Example:\n\nfaceloom release urls masked-faces@1.0.0 --split train > train.txt\n\n"
    "One path per line, without braces. In Python: webdataset.WebDataset(open('train.txt').read().split())"
)
def urls(
    reference: Reference,
    root: Root,
    split: Annotated[str, typer.Option(help="The split, such as train.")],
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Print the paths of a split's tar files, for plain webdataset."""
    with ending(FAILED, as_json, debug):
        from faceloom.pipelines.release.root import open_root
        from faceloom.pipelines.release.urls import release_urls

        paths = release_urls(open_root(root), reference, split)
        if as_json:
            write_json({"split": split, "urls": paths})
        else:
            for path in paths:
                typer.echo(path)
