"""What to do with files that look like a source of photos and are none."""

from __future__ import annotations

_CONVERT = "convert it to PNG or JPEG"
_DECOMPRESS = "decompress it; faceloom reads uncompressed .tar files"

_ADVICE = (
    *[(kind, f"JPEG XL is not supported; {_CONVERT}") for kind in (".jxl",)],
    *[
        (kind, f"a raw picture of a camera is not supported; {_CONVERT}")
        for kind in (".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".rw2")
    ],
    *[(kind, f"this picture format is not supported; {_CONVERT}") for kind in (".eps", ".exr", ".pdf", ".psd", ".svg")],
    *[
        (kind, "a film is not supported; save its frames as pictures")
        for kind in (".avi", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
    ],
    *[
        (kind, f"a compressed tar file is not supported; {_DECOMPRESS}")
        for kind in (".tar.bz2", ".tar.gz", ".tar.xz", ".tar.zst", ".tbz2", ".tgz", ".txz", ".tzst")
    ],
    *[(kind, "an archive is not supported; unpack it and give the folder") for kind in (".7z", ".rar", ".zip")],
)
_TABLES = (".arrow", ".feather", ".json", ".jsonl", ".ods", ".xls", ".xlsx")


def advice_on(name: str) -> str:
    """What to do with a file of this name; empty if its ending is not known."""
    lower = name.lower()
    return next((advice for kind, advice in _ADVICE if lower.endswith(kind)), "")


def advice_on_source(name: str) -> str:
    """What to do with a file of this name that is given as a source; empty if its ending is not known."""
    if name.lower().endswith(_TABLES):
        return "this table format is not supported; convert it to CSV or Parquet"
    return advice_on(name)
