"""The commands that compare and change releases: diff, erase and purge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from faceloom.pipelines.cli.existing_folder import existing_folders
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
from faceloom.pipelines.cli.release_commands import Root, RootIfNeeded
from faceloom.schemas.urls import place_text

_Side = "A release, such as NAME@VERSION, or the output folder of a build."

change_app = typer.Typer()


@change_app.command(
    epilog="Examples:\n\nfaceloom release diff faces@1.0.0 faces@1.1.0 --root releases\n\n"
    "faceloom release diff faces@1.0.0 faces@1.1.0 --html diff.html\n\nfaceloom release diff faces@latest out --json"
)
def diff(
    before: Annotated[str, typer.Argument(metavar="A", help=_Side)],
    after: Annotated[str, typer.Argument(metavar="B", help=_Side)],
    root: RootIfNeeded = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write a page with pictures of some changes.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="Also list each changed sample.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare two releases or builds, sample by sample, from their indexes.

    Samples are added, removed, moved to another split, re-rendered, relabelled, or differ in their lineage only.
    """
    with ending(FAILED, as_json, debug):
        from faceloom.pipelines.cli.change_summary import diff_summary
        from faceloom.pipelines.cli.console import watcher_for
        from faceloom.pipelines.release.diff import diff as compare
        from faceloom.pipelines.release.diff_page import diff_page, write_diff_page
        from faceloom.pipelines.release.diff_sides import open_side

        sides = open_side(before, root), open_side(after, root)
        with watcher_for(error_console()) as watcher:
            found = compare(*sides, watcher)
        if html is not None:
            write_diff_page(html, diff_page(*sides, found))
        if as_json:
            write_json(found.plain(listed=listed))
        else:
            show_blocks([*diff_summary(found, listed=listed), *([f"Page: {html}"] if html else [])])


@change_app.command(
    epilog='Examples:\n\nfaceloom release erase faces@1.0.0 --identity "Ada Lovelace" --as 1.0.1 --root releases\n\n'
    "faceloom release erase faces@1.0.0 --photo $(sha256sum photo.jpg | cut -c -64) --as 1.0.1\n\n"
    'faceloom release erase --identity "Ada Lovelace" --build out'
)
def erase(
    reference: Annotated[
        str | None,
        typer.Argument(metavar="[NAME@VERSION]", help="The release; without it only a build is cleaned."),
    ] = None,
    root: RootIfNeeded = None,
    identity: Annotated[str, typer.Option(metavar="ID", help="The person, as the indexes name them.")] = "",
    photo: Annotated[
        list[str] | None, typer.Option(metavar="SHA256", help="A photo of anyone; may be given again.")
    ] = None,
    drop_split: Annotated[
        bool, typer.Option("--drop-split", help="Let a split go if it loses all samples; takes a major version.")
    ] = False,
    version: Annotated[str, typer.Option("--as", metavar="VERSION", help="Version of the new release.")] = "",
    build: Annotated[
        list[Path] | None,
        typer.Option(
            "--build",
            metavar="OUT",
            callback=existing_folders,
            file_okay=False,
            help="Also erase them from this build and its caches.",
        ),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a release without a person or a photo, their morphs included. It needs neither photos nor build.

    The older release stays until it is purged. With --build, everything in the output folder of a build that holds
    them is deleted too: shards, rows of the face table and of rejects, neighbours, unfinished work.
    """
    with ending(REFUSED, as_json, debug):
        from faceloom.pipelines.cli import change_summary as summary
        from faceloom.pipelines.cli.console import watcher_for
        from faceloom.pipelines.release import erase as erasing
        from faceloom.pipelines.release.after_erasure import look_around
        from faceloom.pipelines.release.build_erasure import erase_from_build
        from faceloom.pipelines.release.root import open_root
        from faceloom.pipelines.release.traces import traces_of
        from faceloom.pipelines.store.output_folder import require_marker
        from faceloom.pipelines.store.storage import Storage
        from faceloom.schemas.errors import ReleaseError

        builds = [Storage(str(out)) for out in build or ()]
        traces, done = traces_of(identity, photo or ()), None
        for storage in builds:
            require_marker(storage)
        if reference is None and not builds:
            raise ReleaseError("nothing to erase them from", remedy="Give NAME@VERSION, --build OUT or both")
        if reference is not None and not (root and version):
            remedy = "Give --as VERSION, such as --as 1.0.1, and --root or FACELOOM_ROOT"
            raise ReleaseError(
                "the version or the folder of the new release is missing", where=reference, remedy=remedy
            )
    with ending(FAILED, as_json, debug, resumes=True):
        if reference is not None:
            with watcher_for(error_console()) as watcher:
                done = erasing.erase(
                    open_root(root or ""), reference, version, identity=identity, photos=photo or (),
                    drop_split=drop_split, watcher=watcher,
                )  # fmt: skip
            traces = done.traces
        cleaned = [erase_from_build(storage, traces) for storage in builds]
        notices = []
        if done:
            after = look_around(open_root(root or ""), done)
            notices = summary.erasure_notices(done, after, place_text(root or ""), builds=bool(builds))
        untouched = [storage.root for storage, one in zip(builds, cleaned) if one.left_alone]
        if done is None and len(untouched) == len(builds):
            raise ReleaseError(
                "nothing in this build is known to be of the person or the photo", where=", ".join(untouched),
                remedy=f"{summary.SPELLING}. {summary.WITHOUT_SAMPLES}",
            )  # fmt: skip
        if as_json:
            facts = [
                {"out": storage.root, "deleted": list(one.deleted), "rewritten": list(one.rewritten), "rows": one.rows}
                for storage, one in zip(builds, cleaned)
            ]
            write_json({"release": summary.erasure_facts(done) if done else None, "builds": facts})
        else:
            blocks = summary.erasure_summary(done) if done else []
            for storage, one in zip(builds, cleaned):
                blocks += [] if one.left_alone else summary.build_erasure_summary(one, storage.root)
            show_blocks(blocks)
        for out in untouched:
            say(f"Nothing in {place_text(out)} is known to be of them, so it stays as it is. {summary.WITHOUT_SAMPLES}")
        for line in notices:
            say(line)


@change_app.command(
    epilog="Examples:\n\nfaceloom release purge faces@1.0.0 --root releases\n\n"
    'faceloom release purge faces@1.0.0 --reason "consent withdrawn" --yes\n\nfaceloom release purge --leftovers --yes'
)
def purge(
    root: Root,
    reference: Annotated[str | None, typer.Argument(metavar="[NAME@VERSION]", help="The release.")] = None,
    leftovers: Annotated[
        bool, typer.Option("--leftovers", help="Delete the shards that no release uses, and nothing else.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why, in one line. It stays in the folder, so name no person.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Delete the files; without it they are only listed.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Delete a release for good: its files, and the shards that no other release uses.

    A tombstone stays with the digest, the reason and the time. The version can neither be opened nor used again.
    """
    with ending(REFUSED, as_json, debug):
        from faceloom.pipelines.cli.change_summary import purge_summary
        from faceloom.pipelines.release import purge as purging
        from faceloom.pipelines.release.root import open_root
        from faceloom.schemas.errors import ReleaseError

        if (reference is None) != leftovers:
            raise ReleaseError("what to delete is not clear", remedy="Give either NAME@VERSION or --leftovers")
    with ending(FAILED, as_json, debug, resumes=True):
        storage = open_root(root)
        if reference is None:
            found = purging.sweep(storage) if yes else purging.find_leftovers(storage)
        else:
            found = purging.purge(storage, reference, why=reason) if yes else purging.find_purge(storage, reference)
        if as_json:
            size = sum(found.files.values())
            write_json({"root": place_text(root), "release": found.release, "deleted": yes, "bytes": size,
                        "files": found.files, "shared_shards": found.kept})  # fmt: skip
        else:
            show_blocks(purge_summary(found, deleted=yes))
            if found.unknown:
                say(f"Shards that no whole release uses stay, since {found.unknown} is damaged or missing.")
            if not yes:
                say("Nothing is deleted yet; add --yes.")
