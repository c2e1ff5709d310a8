"""A contact sheet of a finished build: all pictures of a sample side by side, to be looked at critically.

Run as `python -m faceloom.pipelines.export.contact_sheet OUT PICTURE [WIDTH [COUNT]]`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.export.export_samples import read_sample
from faceloom.pipelines.read.sample_members import decode_member
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.parquet_tables import read_index
from faceloom.pipelines.store.paths import shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, StorageError
from faceloom.schemas.index import IndexRow

Image = npt.NDArray[np.uint8]

SHOWN = (
    "face", "masked", "mask", "guide", "upper", "lower",
    "lr", "lr_masked", "lr_mask", "lr_upsampled", "lr_masked_upsampled",
)  # fmt: skip
"""Members in the order in which a sheet shows them."""
GUIDE = (255, 0, 128)
"""Colour, RGB, in which a guide mask is laid over the face."""
GAP, CAPTION = 6, 22


def pick_samples(storage: Storage, count: int) -> list[tuple[str, IndexRow]]:
    """Choose samples that show much: masks in turn, and of each mask another person where there is one.

    Returns:
        At most `count` pairs of shard name and index row; the same for the same build.
    """
    by_mask: dict[str, list[tuple[str, IndexRow]]] = {}
    for shard in read_record(storage).shards:
        for row in read_index(storage, shard_index(shard.name)):
            by_mask.setdefault(row.mask, []).append((shard.name, row))
    picked: list[tuple[str, IndexRow]] = []
    shown: dict[str, int] = {}
    while len(picked) < count and any(by_mask.values()):
        for mask in sorted(by_mask):
            if by_mask[mask] and len(picked) < count:
                best = min(by_mask[mask], key=lambda item: (shown.get(item[1].identity, 0), item[1].key))
                by_mask[mask].remove(best)
                picked.append(best)
                shown[best[1].identity] = shown.get(best[1].identity, 0) + 1
    return picked


def load_members(storage: Storage, shard: str, row: IndexRow) -> dict[str, Any]:
    """Decode a sample's members by name without ending, straight from their byte ranges in the shard.

    Raises:
        StorageError: the shard is damaged.
    """
    files = read_sample(storage, shard, row)
    return {name.partition(".")[0]: decode_member(name, data) for name, data in files.items()}


def draw_sheet(samples: list[tuple[str, dict[str, Any]]], columns: int) -> Image:
    """Samples with captions as one picture.

    Args:
        samples: caption and members; `face` uint8 (H, W, 3) RGB, and those of `SHOWN` that there are. The others are
            laid out by its size: small pictures are enlarged by nearest, so that their pixels can be seen.
        columns: samples side by side.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    import cv2

    strips = [(caption, _strip(members)) for caption, members in samples]
    width = max(strip.shape[1] for _, strip in strips)
    cells = []
    for caption, strip in strips:
        height = strip.shape[0]
        cell = np.full((height + CAPTION + GAP, width + GAP, 3), 255, np.uint8)
        cell[CAPTION : CAPTION + height, : strip.shape[1]] = strip
        cv2.putText(cell, caption, (2, CAPTION - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
        cells.append(cell)
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % columns)
    return np.vstack([np.hstack(cells[at : at + columns]) for at in range(0, len(cells), columns)])


def _strip(members: dict[str, Any]) -> Image:
    """The pictures of a sample side by side; the upper part stands over the lower one, as they were cut."""
    face = members["face"]
    shown = {name: _like(members[name], face, name) for name in SHOWN if name in members}
    if "upper" in shown and "lower" in shown:
        shown["upper"] = np.vstack([members["upper"], members["lower"]])
        shown["upper"][len(members["upper"]) - 1 :][:2] = 255
        del shown["lower"]
    return np.hstack(list(shown.values()))


def _like(picture: Image, face: Image, name: str) -> Image:
    """A picture as the sheet shows it beside a face: of its height, in colour."""
    import cv2

    if name == "guide":
        weight = picture[..., None].astype(np.float32) / 510
        return np.asarray(np.rint(face * (1 - weight) + np.array(GUIDE, np.float32) * weight), np.uint8)
    colour = np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture
    if not name.startswith("lr") or colour.shape == face.shape:
        return colour
    return np.asarray(cv2.resize(colour, face.shape[1::-1], interpolation=cv2.INTER_NEAREST), np.uint8)


def _caption(row: IndexRow) -> str:
    return f"{'morph, ' if row.parents else ''}{row.mask or 'no mask'}"


def make_sheet(
    out: str | Path, picture: str | Path, *, count: int = 14, columns: int = 2, width: int | None = None
) -> int:
    """Write the contact sheet of a build, PNG or JPEG by the name's ending; returns how many samples it shows.

    Args:
        out: folder of the build.
        picture: the file to write.
        count: samples to show at most.
        columns: samples side by side.
        width: shrink the sheet to this width in pixels.

    Raises:
        StorageError: there is no finished build, or the picture cannot be written.
        FaceloomError: the build is empty.
    """
    import cv2

    storage = Storage(str(out))
    picked = pick_samples(storage, count)
    if not picked:
        raise FaceloomError("there is nothing to show: the build has no samples", where=storage.root)
    samples = [(_caption(row), load_members(storage, shard, row)) for shard, row in picked]
    sheet = cv2.cvtColor(draw_sheet(samples, min(columns, len(samples))), cv2.COLOR_RGB2BGR)
    if width is not None and width < sheet.shape[1]:
        height = round(sheet.shape[0] * width / sheet.shape[1])
        sheet = cv2.resize(sheet, (width, height), interpolation=cv2.INTER_AREA)
    options = [cv2.IMWRITE_JPEG_QUALITY, 85] if str(picture).endswith((".jpg", ".jpeg")) else []
    try:
        written = cv2.imwrite(str(picture), sheet, options)
    except cv2.error as error:
        raise StorageError("the name of a picture ends in .png or .jpg", where=str(picture), value=error) from None
    if not written:
        raise StorageError("the picture cannot be written", where=str(picture))
    return len(picked)


def main(arguments: list[str]) -> int:
    """Make the sheet of the build that is the first argument as the file that is the second; returns the exit code."""
    if len(arguments) not in range(2, 5) or not all(text.isdecimal() and int(text) for text in arguments[2:]):
        sys.stderr.write("usage: python -m faceloom.pipelines.export.contact_sheet OUT PICTURE [WIDTH [COUNT]]\n")
        return 2
    out, picture = arguments[:2]
    limits = dict(zip(("width", "count"), map(int, arguments[2:]), strict=False))
    try:
        count = make_sheet(out, picture, **limits)
    except FaceloomError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{count} samples in {arguments[1]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
