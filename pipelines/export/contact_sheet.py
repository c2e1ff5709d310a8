"""A contact sheet of a finished build: for each sample all its pictures side by side, for a critical look."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from faceloom.pipelines.export.export_samples import read_sample
from faceloom.pipelines.export.target_folder import refuse_among_photos
from faceloom.pipelines.read.sample_members import decode_member
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.checked_shards import check_shards, read_rows, reading
from faceloom.pipelines.store.output_folder import refuse_inside
from faceloom.pipelines.store.paths import BUILD_RECORD, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, StorageError, UrlError
from faceloom.schemas.index import IndexRow
from faceloom.schemas.regular_files import UnfitFileError, open_regular_file
from faceloom.schemas.urls import url_of
from faceloom.transforms.text import draw_text
from faceloom.transforms.types import Image

SHOWN = (
    "face", "masked", "mask", "guide", "upper", "lower",
    "lr", "lr_masked", "lr_mask", "lr_upsampled", "lr_masked_upsampled",
)  # fmt: skip
"""Members in the order in which a sheet shows them."""
GUIDE = (255, 0, 128)
"""Colour, RGB, of a guide mask over the face."""
GAP, CAPTION, TEXT = 6, 22, 14
"""Pixels between samples, height of a caption, and size of its letters."""
_ENDINGS = (".png", ".jpg", ".jpeg")
_JPEG_QUALITY = 85
_TEXT = b"Comment\0faceloom sheet"
_PNG_MARK = len(_TEXT).to_bytes(4) + b"tEXt" + _TEXT + zlib.crc32(b"tEXt" + _TEXT).to_bytes(4)
_JPEG_MARK = b"\xff\xfe" + (len(_TEXT) + 2).to_bytes(2) + _TEXT
_MARKS = {_PNG_MARK: 33, _JPEG_MARK: 20}
"""The comment by which a sheet is recognised, with its offset: after the first block, as both formats require."""


def pick_samples(storage: Storage, count: int) -> list[tuple[str, IndexRow]]:
    """Choose a varied set of samples: masks take turns, and so do the people of each mask.

    Returns:
        At most `count` pairs of shard name and index row; the same for the same build.
    """
    by_mask: dict[str, list[tuple[str, IndexRow]]] = {}
    with reading(BUILD_RECORD):
        record = read_record(storage)
    for shard in check_shards(storage, record):
        for row in read_rows(storage, shard):
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
    """Read and decode a sample's members from their byte ranges in the shard, by name without file ending.

    Raises:
        StorageError: the shard is damaged.
    """
    files, where = read_sample(storage, shard, row), f"{shard_tar(shard)}::{row.key}"
    members = {name.partition(".")[0]: decode_member(name, data, where) for name, data in files.items()}
    if not _fit_together(members):
        sizes = ", ".join(f"{name} {members[name].shape}" for name in SHOWN if name in members)
        remedy = "Build the dataset again with this version of faceloom"
        raise StorageError(
            "the pictures of a sample have other sizes than its face", where=where, value=sizes, remedy=remedy
        )
    return members


def _fit_together(members: dict[str, Any]) -> bool:
    """Whether a sample has a face, and pictures of its size; `upper` and `lower` together have it."""
    if "face" not in members:
        return False
    height, width = members["face"].shape[:2]
    parts = [members[name].shape[:2] for name in ("upper", "lower") if name in members]
    whole = [name for name in SHOWN if name in members and name not in ("lr", "lr_masked", "lr_mask", "upper", "lower")]
    return (
        all(members[name].shape[:2] == (height, width) for name in whole)
        and len(parts) in (0, 2)
        and (not parts or (sum(part[0] for part in parts) == height and all(part[1] == width for part in parts)))
    )


def draw_sheet(samples: list[tuple[str, dict[str, Any]]], columns: int, width: int | None = None) -> Image:
    """Draw samples with their captions as one picture.

    Args:
        samples: caption and members of each; `face` is uint8 (H, W, 3), RGB, and any of `SHOWN` may be there. Smaller
            pictures are enlarged to the size of the face without interpolation, so that their pixels stay visible.
        columns: samples side by side.
        width: shrink the picture to this width in pixels; None keeps its size.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    import cv2

    strips = [(caption, _strip(members)) for caption, members in samples]
    widest = max(strip.shape[1] for _, strip in strips)
    cells = []
    for caption, strip in strips:
        height = strip.shape[0]
        cell = np.full((height + CAPTION + GAP, widest + GAP, 3), 255, np.uint8)
        cell[CAPTION : CAPTION + height, : strip.shape[1]] = strip
        draw_text(cell, caption, (2, 2), size=TEXT, width=widest - 2)
        cells.append(cell)
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % columns)
    sheet = np.vstack([np.hstack(cells[at : at + columns]) for at in range(0, len(cells), columns)])
    if width is None or width >= sheet.shape[1]:
        return sheet
    height = max(1, round(sheet.shape[0] * width / sheet.shape[1]))
    return np.asarray(cv2.resize(sheet, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _strip(members: dict[str, Any]) -> Image:
    """The pictures of a sample side by side; the upper part is above the lower part, as in the face."""
    face = members["face"]
    shown = {name: _like(members[name], face, name) for name in SHOWN if name in members}
    if "upper" in shown and "lower" in shown:
        shown["upper"] = np.vstack([members["upper"], members["lower"]])
        shown["upper"][len(members["upper"]) - 1 :][:2] = 255
        del shown["lower"]
    return np.hstack(list(shown.values()))


def _like(picture: Image, face: Image, name: str) -> Image:
    """A picture in colour, at the height of the face beside it."""
    import cv2

    if name == "guide":
        weight = picture[..., None].astype(np.float32) / 510
        return np.asarray(np.rint(face * (1 - weight) + np.array(GUIDE, np.float32) * weight), np.uint8)
    colour = np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture
    if not name.startswith("lr") or colour.shape == face.shape:
        return colour
    return np.asarray(cv2.resize(colour, face.shape[1::-1], interpolation=cv2.INTER_NEAREST), np.uint8)


def _caption(row: IndexRow) -> str:
    """The mask and the person; of a morph both people."""
    people = " + ".join(parent.identity for parent in row.parents)
    return f"{row.mask or 'no mask'}, {f'morph of {people}' if people else row.identity}"


def write_contact_sheet(
    out: str | Path, picture: str | Path, *, width: int | None = None, count: int = 14, columns: int = 2
) -> int:
    """Write the contact sheet of a finished build.

    Args:
        out: folder of the build.
        picture: file to write; its ending chooses the format, `.png` or `.jpg`.
        width: shrink the sheet to this width in pixels; None keeps its size.
        count: most samples to show.
        columns: samples side by side.

    Returns:
        The number of samples that the sheet shows.

    Raises:
        StorageError: there is no finished build, a shard is damaged, or the picture cannot be written: a file that is
            no contact sheet has its name, or it would lie in the output folder.
        FaceloomError: the build has no samples, or the picture would lie among its photos.
    """
    file = Path(picture)
    if url := url_of(picture):
        raise UrlError("a contact sheet is a file of this machine", where=url, remedy="Give a path")
    if file.suffix.lower() not in _ENDINGS:
        raise StorageError("unknown picture format", where=str(file), remedy="Use a name that ends in .png or .jpg")
    written = Path(os.path.realpath(file))  # the user's own path may be a link
    if not written.parent.is_dir():
        raise StorageError("the folder of the picture does not exist", where=str(file), remedy="Create it first")
    storage = Storage(str(out))
    _check_target(written, storage)
    picked = pick_samples(storage, count)
    refuse_among_photos(Storage(str(written.parent)), storage, read_record(storage))
    if not picked:
        raise FaceloomError("the build has no samples to show", where=storage.root)
    samples = [(_caption(row), load_members(storage, shard, row)) for shard, row in picked]
    sheet = draw_sheet(samples, min(columns, len(samples)), width)
    data = _encode(sheet, file.suffix.lower())
    if data is None:
        remedy = "Use a smaller `width` or `count`, or a name that ends in .png"
        raise StorageError("the sheet is too large for this format", where=str(file), value=sheet.shape, remedy=remedy)
    with Storage(str(written.parent)).write(written.name) as stream:
        stream.write(data)
    return len(picked)


def _check_target(file: Path, storage: Storage) -> None:
    """Refuse a file that is no sheet of ours, and one in the output folder."""
    refuse_inside(file.parent, storage)
    if os.path.lexists(file) and not _is_sheet(file):
        remedy = "Choose a new name"
        raise StorageError("a file that is no contact sheet has this name", where=str(file), remedy=remedy)


def _is_sheet(file: Path) -> bool:
    """Whether a file has the mark of a contact sheet. One that cannot be read has not."""
    try:
        with open_regular_file(file, follow_links=False) as stream:
            head = stream.read(128)
    except (OSError, UnfitFileError):
        return False
    return any(head.startswith(mark, offset) for mark, offset in _MARKS.items())


def _encode(picture: Image, ending: str) -> bytes | None:
    """The content of a picture file with its mark; None if the picture is too large for the format."""
    import cv2

    options = [] if ending == ".png" else [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    try:
        done, data = cv2.imencode(ending, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    except cv2.error:
        return None
    if not done:
        return None
    plain, mark = data.tobytes(), _PNG_MARK if ending == ".png" else _JPEG_MARK
    return plain[: _MARKS[mark]] + mark + plain[_MARKS[mark] :]
