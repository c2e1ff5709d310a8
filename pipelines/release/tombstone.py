"""What is left of a purged release: its digest, the reason, and when."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from faceloom.pipelines.store.paths import TOMBSTONE, release_file
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.column_types import parse_model
from faceloom.schemas.errors import ReleaseError, StorageError
from faceloom.schemas.release import Name, Sha256, Version

_MOST_BYTES = 2**16


class Tombstone(BaseModel):
    """A purged release.

    Attributes:
        digest: sha256 of its manifest.
        why: the reason; may be empty.
        when: UTC, such as `2026-01-31T12:00:00Z`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Name
    version: Version
    digest: Sha256
    why: Annotated[str, StringConstraints(max_length=2000)] = ""
    when: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]


def read_tombstone(root: Storage, name: str, version: str) -> Tombstone | None:
    """Read the tombstone of a release; None if it was not purged.

    Raises:
        StorageError: the tombstone is damaged.
    """
    path = release_file(name, version, TOMBSTONE)
    if not root.exists(path):
        return None
    try:
        return parse_model(Tombstone, root.read_bytes(path, _MOST_BYTES), _MOST_BYTES)
    except ValueError as error:
        remedy = "Get an undamaged copy of it. The release was purged in any case"
        raise StorageError(f"damaged tombstone: {error}", where=path, remedy=remedy) from None


def refuse_purged(root: Storage, name: str, version: str) -> None:
    """Refuse a release that was purged.

    Raises:
        ReleaseError: it was; names the reason, the time and the digest.
    """
    if stone := read_tombstone(root, name, version):
        what = f"the release was purged at {stone.when}: {stone.why or 'no reason is given'}"
        remedy = "Its files are gone, and its version is not used again. Choose another release"
        raise ReleaseError(what, where=f"{name}@{version}", value=f"digest {stone.digest}", remedy=remedy)
