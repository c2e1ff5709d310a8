"""The label files of one photo as stored: which pixel belongs to which part of the face."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from faceloom.schemas.keys import digest


@dataclass(frozen=True, slots=True)
class LabelFiles:
    """The label files of one photo.

    Attributes:
        order: `parts` if each file shows one part, else the name of the order of a flattened map's values: one of
            `LABEL_ORDERS`, or `given`.
        names: meaning of the values 1, 2, … of a flattened map; empty if each file shows one part.
        files: name of the part (empty for a flattened map) and the bytes of its picture, sorted.
    """

    order: str
    names: tuple[str, ...]
    files: tuple[tuple[str, bytes], ...]

    @property
    def sha256(self) -> str:
        """Digest of the files' content, and of the order and names that are recorded with it."""
        return digest(self.order, self.names, [(part, hashlib.sha256(data).hexdigest()) for part, data in self.files])
