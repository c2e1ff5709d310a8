"""Names and seeds. All are functions of content and recipe, never of a clock, a process or a counter."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

SAMPLE_KEY = re.compile(r"[a-z0-9_-]+")
UNNAMED_PERSON = re.compile(r"photo-[0-9a-f]{16}(-f[0-9]{2,})?")
"""What `unnamed_person` returns."""
IDENTITY_BITS = 32  # two people with the same 32 bits only share a leaf
PHOTO_BITS = 64
to_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def digest(*parts: object) -> str:
    """Return the sha256 (hex) of some JSON-able values; the same on every machine.

    Raises:
        TypeError: a value has no JSON form.
    """
    return hashlib.sha256(to_json(parts).encode("utf-8", "surrogatepass")).hexdigest()


def digest_rows(rows: Iterable[object], *parts: object) -> str:
    """The digest of `digest(*parts, list(rows))`. The rows are not all in memory. Errors as `digest`."""
    state = hashlib.sha256(to_json([*parts, []])[:-2].encode("utf-8", "surrogatepass"))
    for number, row in enumerate(rows):
        state.update(("," * (number > 0) + to_json(row)).encode("utf-8", "surrogatepass"))
    state.update(b"]]")
    return state.hexdigest()


def sample_key(photo_sha256: str, face: int, variant: int) -> str:
    """Key of one sample: photo, face in the photo, variant of the face. Matches `[a-z0-9_-]+`, as WebDataset needs.

    >>> sample_key("ab" * 32, 0, 2)
    'abababababababab-f00-m002'
    """
    return variant_key(face_key(photo_sha256, face), variant)


def face_key(photo_sha256: str, face: int) -> str:
    """Key of one face of one photo.

    >>> face_key("ab" * 32, 1)
    'abababababababab-f01'
    """
    return f"{photo_sha256[:16]}-f{face:02d}"


def unnamed_person(photo_sha256: str, face: int | None = None) -> str:
    """Identity of a person that no source names: of the person of a photo, or of one face among several.

    >>> unnamed_person("ab" * 32), unnamed_person("ab" * 32, 1)
    ('photo-abababababababab', 'photo-abababababababab-f01')
    """
    return f"photo-{photo_sha256[:16]}" if face is None else f"photo-{face_key(photo_sha256, face)}"


def morph_key(face: str, neighbour: str) -> str:
    """Key of a morph, from the keys of its two faces. It sorts after the samples of the face itself.

    >>> morph_key("aaaa-f00", "bbbb-f01")
    'aaaa-f00-x-bbbb-f01'
    """
    return f"{face}-x-{neighbour}"


def variant_key(face: str, variant: int) -> str:
    """Key of one sample of a face or morph.

    >>> variant_key("aaaa-f00", 2)
    'aaaa-f00-m002'
    """
    return f"{face}-m{variant:03d}"


def generator(recipe_seed: int, key: str, operation: str) -> np.random.Generator:
    """Return the random generator of one operation on one sample."""
    import numpy as np

    return np.random.default_rng(seed_of(recipe_seed, key, operation))


def seed_of(recipe_seed: int, key: str, operation: str) -> int:
    """Return the 64-bit seed of one operation on one sample."""
    return int(digest(recipe_seed, key, operation)[:16], 16)


def hex_seed(seed: int) -> str:
    """A 64-bit seed as text: JSON readers that use float64 would change the number.

    >>> hex_seed(255)
    '0x00000000000000ff'
    """
    return f"0x{seed:016x}"


def unit_interval(*parts: object) -> float:
    """Hash some values to a number in [0, 1), uniformly distributed."""
    return int(digest(*parts)[:13], 16) / 16**13


def position(group: str, photo_sha256: str) -> int:
    """Place of a photo in the prefix tree: bits of its group (a person), then bits of the photo.

    Photos of one group get neighbouring places; apart from that, places are uniformly distributed.
    """
    group_bits = int(digest(group)[:16], 16) >> (64 - IDENTITY_BITS)
    return group_bits << PHOTO_BITS | int(photo_sha256[:16], 16)


POSITION_BITS = IDENTITY_BITS + PHOTO_BITS


def prefix_name(prefix: int, length: int) -> str:
    """Name of a leaf of the prefix tree: its bits, or `all` for the root.

    >>> prefix_name(2, 3), prefix_name(0, 0)
    ('010', 'all')
    """
    return f"{prefix:0{length}b}" if length else "all"


def prefix_bits(shard: str) -> str:
    """The bits of a leaf from the name of its shard: split, `prefix_name` and digest.

    >>> prefix_bits("train-010-ab12ab12ab12"), prefix_bits("test-all-ab12ab12ab12")
    ('010', '')
    """
    bits = shard.rsplit("-", 2)[-2]
    return "" if bits == prefix_name(0, 0) else bits
