"""Publish a release whose shards lie in the pool: gates, cards, gallery, and the manifest last."""

from __future__ import annotations

from collections.abc import Mapping

from faceloom.pipelines.release.manifest import Published, digest_of, manifest_bytes, published, read_manifest
from faceloom.pipelines.release.resolve import listed_versions, set_names
from faceloom.pipelines.release.root import refuse_lost_manifests
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.build_record import BuildRecord
from faceloom.pipelines.store.paths import (
    CROISSANT,
    DATA_CARD,
    GALLERY,
    INDEX,
    RELEASE,
    SHARDS,
    SUMS,
    TOMBSTONE,
    UNFINISHED,
    release_file,
    release_folder,
    shard_index,
    shard_tar,
)
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import ReleaseError, StorageError
from faceloom.schemas.release import Release

BESIDE = (CROISSANT, DATA_CARD, GALLERY)
"""Files of a release that are made from its manifest and its shards."""


def publish(
    root: Storage,
    release: Release,
    *,
    record: BuildRecord | None = None,
    watcher: Watcher,
) -> Published:
    """Publish a release. Hold `locked_root`.

    Args:
        root: the folder of releases, whose pool holds the shards.
        release: the manifest without the results of gates; its parent, if any, is a release of the same folder.
        record: of the build that it comes from, if it comes from one.
        watcher: receives the progress.

    Returns:
        The release with the results of its gates.

    Raises:
        ReleaseError: the version exists already.
        GateError: a gate failed.
        StorageError: a file cannot be written.
    """
    from faceloom.pipelines.cards.croissant import croissant_json
    from faceloom.pipelines.cards.release_card import card_markdown
    from faceloom.pipelines.gallery.write_gallery import gallery_html
    from faceloom.pipelines.release.gates import refuse_failed, run_gates

    name, version = release.name, release.version
    refuse_existing(root, name, version)
    results = run_gates(root, release, record, previous_of(root, release), watcher)
    refuse_failed(release, results)
    done = published(release.model_copy(update={"gates": results}))
    files = {
        CROISSANT: croissant_json(done.release),
        DATA_CARD: card_markdown(root, done.release).encode(),
        GALLERY: gallery_html(root, f"{name} {version}", done.shards, done.release.rejects, watcher),
    }
    write_release(root, done, files)
    return done


def write_release(root: Storage, done: Published, files: Mapping[str, bytes]) -> None:
    """Write the files of a release, the manifest last. Of several writers of one version, one succeeds.

    Args:
        root: the folder of releases.
        done: the release.
        files: those beside the manifest, by name.

    Raises:
        StorageError: a file cannot be written, or the version exists already.
    """
    name, version = done.release.name, done.release.version
    mark_unfinished(root, name, version)
    manifest = manifest_bytes(done.release)
    for file, data in {**files, SUMS: sums_bytes({**files, RELEASE: manifest})}.items():
        root.write_if_changed(release_file(name, version, file), data)
    root.sync_folders(SHARDS, INDEX, release_folder(name, version))
    with root.write(release_file(name, version), new=True) as stream:
        stream.write(manifest)
    root.remove(release_file(name, version, UNFINISHED))
    root.sync_folders(release_folder(name, version))


def mark_unfinished(root: Storage, name: str, version: str) -> None:
    """Mark the folder of a release that is about to be written."""
    root.write_if_changed(release_file(name, version, UNFINISHED), b"")


def sums_bytes(files: Mapping[str, bytes]) -> bytes:
    """sha256 and name of each file, sorted, as `sha256sum` writes them."""
    return "".join(f"{digest_of(data)}  {name}\n" for name, data in sorted(files.items())).encode()


def refuse_existing(root: Storage, name: str, version: str) -> None:
    """Refuse a version that exists, or that existed.

    Raises:
        ReleaseError: it does.
    """
    for file, what in ((RELEASE, "this release exists already"), (TOMBSTONE, "a release of this version was purged")):
        if root.exists(release_file(name, version, file)):
            remedy = "A release never changes: choose a higher version"
            raise ReleaseError(what, where=f"{name}@{version}", remedy=remedy)


def free_unused(root: Storage) -> dict[str, int]:
    """Delete the files of the pool that no release uses. Hold `locked_root`.

    Returns:
        The deleted files with their sizes in bytes.

    Raises:
        StorageError: a manifest is damaged, so that it is unknown what is used; or a file cannot be deleted.
    """
    used = used_files(root)
    freed = {path: root.size(path) for path in [*root.list(INDEX), *root.list(SHARDS)] if path not in used}
    for path in freed:
        root.remove(path)
    return freed


def used_files(root: Storage, *, without: tuple[str, str] | None = None) -> set[str]:
    """Paths of the pool that releases use.

    Args:
        root: the folder of releases.
        without: name and version of a release that does not count.

    Raises:
        StorageError: a manifest is damaged or missing, so that it is unknown what is used.
    """
    refuse_lost_manifests(root, without=without)
    return {
        path(shard.name)
        for name in set_names(root)
        for version in listed_versions(root, name)
        if (name, version) != without
        for shard in read_manifest(root, name, version).release.shards
        for path in (shard_index, shard_tar)
    }


def previous_of(root: Storage, release: Release) -> tuple[Storage, Release] | None:
    """The release that another one follows, with the folder that holds it; None for the first.

    Raises:
        StorageError: its manifest is missing, damaged or changed.
    """
    if not release.parent:
        return None
    name, _, version = release.parent.partition("+")[0].partition("/")
    found = read_manifest(root, name, version)
    if found.id != release.parent:
        what = "the manifest of the parent was changed since it was published"
        raise StorageError(what, where=release_file(name, version), value=found.id)
    return root, found.release
