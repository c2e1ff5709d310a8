"""Names of folders from texts that anyone may have written."""

from __future__ import annotations

import hashlib
import re

_PLAIN = re.compile(r"\w[\w .-]*(?<![ .])")
_LONGEST = 120  # bytes; file systems allow 255, and a digest may follow
_DIGEST = re.compile(r"-[0-9a-f]{12}")
_DEVICE = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9\xb9\xb2\xb3])(\..*)?", re.IGNORECASE | re.DOTALL)


def folder_name(text: str) -> str:
    """Return the folder name of an identity or split, unique for each text.

    Plain names stay. Other names, and those of devices of Windows, keep their plain characters and get 12 hex digits of
    their sha256, as do plain names that already end like that.

    >>> folder_name("Tony_Blair"), folder_name("../etc")
    ('Tony_Blair', 'etc-f7f9121fdb53')
    """
    plain = _PLAIN.fullmatch(text) and not _DEVICE.fullmatch(text)
    if plain and len(text.encode()) <= _LONGEST and not _DIGEST.fullmatch(text[-13:]):
        return text
    kept = re.sub(r"[^\w-]+", "_", text).strip("_-").encode()[:_LONGEST].decode(errors="ignore")
    return f"{kept or 'unnamed'}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"
