"""Names of folders from texts that anyone may have written."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterable

_PLAIN = re.compile(r"\w[\w .-]*(?<![ .])")
_LONGEST = 120  # bytes; file systems allow 255, and a digest may follow
_DIGEST = re.compile(r"-[0-9a-f]{12}")
_DEVICE = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9\xb9\xb2\xb3])(\..*)?", re.IGNORECASE | re.DOTALL)


def alike_names(texts: Iterable[str]) -> frozenset[str]:
    """The texts whose plain folder names are one on a file system that ignores case or the Unicode form of letters.

    >>> sorted(alike_names(["Ann", "ann", "Bob"]))
    ['Ann', 'ann']
    """
    first: dict[str, str] = {}
    alike: set[str] = set()
    for text in texts:
        other = first.setdefault(_folded(folder_name(text)), text)
        if other != text:
            alike.update((other, text))
    return frozenset(alike)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKD", name).casefold())


def folder_name(text: str, alike: Collection[str] = ()) -> str:
    """Return the folder name of an identity or split, unique for each text.

    Plain names stay. Other names, and those of devices of Windows, keep their plain characters and get 12 hex digits of
    their sha256, as do plain names that already end like that.

    Args:
        text: the identity or split.
        alike: texts that get digits in any case, from `alike_names`.

    >>> folder_name("Tony_Blair"), folder_name("../etc")
    ('Tony_Blair', 'etc-f7f9121fdb53')
    """
    plain = _PLAIN.fullmatch(text) and not _DEVICE.fullmatch(text)
    if plain and text not in alike and len(text.encode()) <= _LONGEST and not _DIGEST.fullmatch(text[-13:]):
        return text
    kept = re.sub(r"[^\w-]+", "_", text).strip("_-").encode()[:_LONGEST].decode(errors="ignore")
    return f"{kept or 'unnamed'}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"
