"""The files beside one photo as stored: which pixel belongs to which part of the face, or the photo with a mask."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from faceloom.schemas.keys import digest

PAIR = "pair"
"""Order of the files of a pair."""
MASKED, DRAWN = "masked", "map"
"""Names of the files of a pair: the photo with a mask, and the drawn map of this mask."""


@dataclass(frozen=True, slots=True)
class LabelFiles:
    """The label files of one photo, or the other files of its pair.

    Attributes:
        order: `parts` if each file shows one part, else the name of the order of a flattened map's values: one of
            `LABEL_ORDERS`, or `given`. `PAIR` for the files of a pair.
        names: meaning of the values 1, 2, … of a flattened map; empty if each file shows one part.
        files: name of the part (empty for a flattened map) and the bytes of its picture, sorted. Of a pair `DRAWN`, if
            there is a map, and `MASKED`.
    """

    order: str
    names: tuple[str, ...]
    files: tuple[tuple[str, bytes], ...]

    @property
    def sha256(self) -> str:
        """Digest of the files' content, and of the order and names that are recorded with it."""
        return digest(self.order, self.names, [(part, hashlib.sha256(data).hexdigest()) for part, data in self.files])
