"""The manifest of a release as a file: canonical JSON, whose sha256 is the release's digest."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from faceloom.pipelines.store.build_record import ShardRecord
from faceloom.pipelines.store.paths import release_file
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.column_types import parse_model
from faceloom.schemas.errors import ReleaseError, StorageError
from faceloom.schemas.json_text import parse_json
from faceloom.schemas.release import Release

MOST_MANIFEST = 2**26
"""Bytes of a manifest. A shard takes 400 of them."""
AGAIN = "Get an undamaged copy: `faceloom release unpack` puts the files of a release back in their places"
"""What to do about a damaged release."""


class Published(NamedTuple):
    """A release and the sha256 of its manifest."""

    release: Release
    digest: str

    @property
    def id(self) -> str:
        """`NAME/VERSION+DIGEST`."""
        return f"{self.release.name}/{self.release.version}+{self.digest}"

    @property
    def shards(self) -> tuple[ShardRecord, ...]:
        """Its shards, as the functions take them that read builds."""
        return tuple(ShardRecord(**shard.model_dump()) for shard in self.release.shards)


def manifest_bytes(release: Release) -> bytes:
    """The manifest as canonical JSON (RFC 8785).

    Raises:
        ReleaseError: the release holds a number that JSON cannot, such as one beyond 2**53.
    """
    import rfc8785

    try:
        data = rfc8785.dumps(release.model_dump(mode="json"))
        rfc8785.dumps(parse_json(data, MOST_MANIFEST))  # 1e16 is written as a whole number, which cannot be read again
        return data
    except ValueError as error:
        what = f"the manifest cannot be written: {error}"
        where = f"{release.name}@{release.version}"
        remedy = "Set keys of the recipe to numbers below 2**53, and build again"
        raise ReleaseError(what, where=where, remedy=remedy) from None


def digest_of(data: bytes) -> str:
    """sha256 of some bytes, as hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def published(release: Release) -> Published:
    """A release with its digest."""
    return Published(release, digest_of(manifest_bytes(release)))


def pool_name(shard: str, sha256: str, index_sha256: str) -> str:
    """Name of a shard in the pool: split and prefix bits of the build's shard, then the digest of its two files.

    >>> pool_name("train-010-abcdefabcdef", "1" * 64, "2" * 64)
    'train-010-95c59a8c29a3'
    """
    return f"{shard.rpartition('-')[0]}-{digest_of((sha256 + index_sha256).encode())[:12]}"


def parse_manifest(data: bytes, where: str) -> Published:
    """Parse the manifest of a stranger.

    Args:
        data: the file.
        where: its place, for messages.

    Raises:
        StorageError: it is no manifest, is not in canonical form, or a shard has another name than its content gives.
    """
    import rfc8785

    try:
        release = parse_model(Release, data, MOST_MANIFEST)
        if rfc8785.dumps(parse_json(data, MOST_MANIFEST)) != data:
            raise ValueError("it is not in canonical form, so it was changed since it was written")
        for shard in release.shards:
            if not shard.name.startswith(f"{shard.split}-") or shard.name != pool_name(
                shard.name, shard.sha256, shard.index_sha256
            ):
                raise ValueError(f"the shard {ascii(shard.name)[:80]} has another name than its content gives")
    except ValueError as error:
        raise StorageError(f"damaged manifest: {error}", where=where, remedy=AGAIN) from None
    return Published(release, digest_of(data))


def read_manifest(storage: Storage, name: str, version: str) -> Published:
    """Read the manifest of a release.

    Args:
        storage: the folder of releases.
        name, version: of the release.

    Raises:
        StorageError: the file is missing or damaged, or is of another release.
    """
    path = release_file(name, version)
    found = parse_manifest(storage.read_bytes(path, MOST_MANIFEST), path)
    if (found.release.name, found.release.version) != (name, version):
        what = "the manifest is of another release"
        value = f"{found.release.name}@{found.release.version}"
        raise StorageError(what, where=path, value=value, remedy=AGAIN)
    return found
