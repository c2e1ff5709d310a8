"""The codes of rejects: what each means, and the stages in which it occurs.

Run as `python -m faceloom.schemas.reject_codes` to print the table of `docs/output.md`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal

Stage = Literal["scan", "analyse", "plan", "render"]

_SCAN: tuple[Stage, ...] = ("scan",)
_READ: tuple[Stage, ...] = ("scan", "analyse")
_ANALYSE: tuple[Stage, ...] = ("analyse",)
_DECODE: tuple[Stage, ...] = ("analyse", "plan", "render")
_PLAN: tuple[Stage, ...] = ("plan",)
_MORPH: tuple[Stage, ...] = ("plan", "render")
_RENDER: tuple[Stage, ...] = ("render",)


@dataclass(frozen=True, slots=True)
class RejectCode:
    """A fault of a photo, face or sample.

    Attributes:
        meaning: for the documents.
        stages: in which it occurs; none for a fault that fails a part and is no row of the reject table.
        message: of a reject that has no message of its own, if it is not the meaning.
    """

    meaning: str
    stages: tuple[Stage, ...]
    message: str = ""


REJECT_CODES: dict[str, RejectCode] = {
    "empty": RejectCode(
        "the file has zero bytes, or a tar or `.rec` file holds no samples", _READ, "the file has zero bytes"
    ),
    "unreadable": RejectCode(
        "no permission, no plain file any more, or a damaged container; the next run tries again",
        _READ,
        "the file cannot be accessed",
    ),
    "vanished": RejectCode(
        "listed, but deleted before it was read; the next run tries again",
        _READ,
        "the file was deleted during the scan",
    ),
    "not_a_picture": RejectCode("the name does not end like a picture", _SCAN),
    "not_a_shard": RejectCode("the name does not end in .tar, in a folder of shards", _SCAN),
    "not_a_record_file": RejectCode(
        "the name does not end in .rec, nor like a file that comes with one, in a folder of records", _SCAN
    ),
    "no_partner": RejectCode("a bare photo without a masked one, a masked one or a map without a bare one", _SCAN),
    "no_map": RejectCode("a pair without a map, in a source with a folder of maps", _SCAN),
    "ambiguous_partner": RejectCode("several bare or masked photos, or maps, have the name of this pair", _SCAN),
    "no_match": RejectCode("a picture whose path does not match the source's pattern or layout", _SCAN),
    "known_bad": RejectCode("a picture of CelebAMask-HQ with wrong part files, or a known duplicate", _SCAN),
    "not_a_file": RejectCode("a pipe, socket or device, or a folder where a file is named; not opened", _SCAN),
    "bad_name": RejectCode("the name holds a control character or undecodable bytes; rename the file", _SCAN),
    "hidden_file": RejectCode("hidden: the name starts with a dot", _SCAN),
    "hidden_folder": RejectCode("hidden: the name starts with a dot; files in this folder are not listed", _SCAN),
    "resource_fork": RejectCode("a metadata file of macOS, such as `._1.jpg`, not a picture", _SCAN),
    "dangling_link": RejectCode("the link has no target", _SCAN),
    "symlink_loop": RejectCode("the link leads to itself or to a folder already listed; not followed", _SCAN),
    "unreadable_directory": RejectCode("the folder cannot be listed; its files are missing", _SCAN),
    "missing_file": RejectCode("the table names a missing file", _SCAN),
    "identity_conflict": RejectCode("one photo, or one face in it, is filed under several people", ("scan", "plan")),
    "split_conflict": RejectCode("rows of a table list one photo for several splits", _SCAN),
    "duplicate_uri": RejectCode(
        "listed in an earlier row, a second member with the same key and ending, or a record number that came before",
        _SCAN,
        "a second member with this key and ending",
    ),
    "empty_uri": RejectCode("a table row without the path of a photo", _SCAN),
    "bad_row": RejectCode(
        "a table row with more or fewer cells than the header, or with a cell that cannot be read or is too long", _SCAN
    ),
    "outside_root": RejectCode("a path in the table leads outside the source's root", _SCAN),
    "bad_landmarks": RejectCode("the landmarks cannot be read", _SCAN),
    "bad_attributes": RejectCode("the attributes cannot be read", _SCAN),
    "bad_metadata": RejectCode("the sample's `json` or text cannot be read", _SCAN),
    "no_picture": RejectCode("a sample without a picture", _SCAN),
    "ambiguous_picture": RejectCode("a sample with several pictures, and none named as the photo", _SCAN),
    "damaged_shard": RejectCode("a truncated or damaged tar file", _SCAN),
    "damaged_record": RejectCode("a truncated or damaged record of a `.rec` file", _SCAN),
    "truncated": RejectCode("the end of the picture file is missing", _DECODE),
    "not_an_image": RejectCode("the content is no picture", _DECODE),
    "unsupported": RejectCode(
        "a picture in a format, or with pixels, that faceloom does not read; of very many pieces; or with a side of"
        " more than 65,535 pixels",
        _DECODE,
    ),
    "decode_failed": RejectCode("a complete picture file with damaged data", _DECODE),
    "damaged": RejectCode(
        "a JPEG that is damaged inside: its decoder warns of lost data, or its pixels show a jump or missing rows; "
        "see `faces.damaged`",
        _ANALYSE,
    ),
    "too_many_pixels": RejectCode("more pixels than `faces.max_pixels`", _DECODE),
    "too_many_bytes": RejectCode("an implausible file size", _ANALYSE),
    "no_face": RejectCode(
        "the detector found none, see `faces.detector`. A learned mask with `when: landmarks_missing` uses such photos",
        _ANALYSE,
    ),
    "degenerate_points": RejectCode(
        "landmarks that coincide, lie on one line, lie implausibly far away or are not finite", _DECODE
    ),
    "crop_outside": RejectCode("the aligned crop lies outside the photo", _DECODE),
    "duplicate_photo": RejectCode("the same bytes as another photo, which the build uses", _PLAN),
    "face_too_small": RejectCode("narrower than `faces.min_size`", _PLAN),
    "face_masked": RejectCode("wears a mask, and `faces.masked` rejects such faces", _PLAN),
    "face_bare": RejectCode("wears no mask, and `faces.masked` keeps masked faces only", _PLAN),
    "low_score": RejectCode("the detector's score is below `faces.min_score`", _PLAN),
    "face_turned": RejectCode("turned further than `faces.max_yaw` or `faces.max_pitch`", _PLAN),
    "face_blurred": RejectCode("less sharp than `faces.min_sharpness`", _PLAN),
    "face_too_dark": RejectCode("darker than `faces.min_brightness`", _PLAN),
    "face_too_bright": RejectCode("brighter than `faces.max_brightness`", _PLAN),
    "face_flat": RejectCode("less contrast than `faces.min_contrast`", _PLAN),
    "face_unmeasured": RejectCode(
        "the recipe limits a figure of the face, such as `faces.max_yaw`, that is unknown without trusted landmarks",
        _PLAN,
    ),
    "crop_beyond": RejectCode("more of the crop lies outside the photo than `align.reject_beyond`", _PLAN),
    "landmarks_unsure": RejectCode(
        "the landmarks are probably wrong, and every mask of the recipe needs them; a learned mask does not", _PLAN
    ),
    "no_split": RejectCode("the recipe has `split: {by: source}`, and the source gives no split for this photo", _PLAN),
    "no_neighbour": RejectCode(
        "no morphs: the split has no other face that this one may be mixed with; the face itself is still a sample",
        _PLAN,
    ),
    "morph_folds": RejectCode(
        "no morph, because the mesh over two faces, or over one and the mean, would fold", _MORPH
    ),
    "bad_labels": RejectCode(
        "the recipe has a guide or `occluded: reject`, and the label files of the photo cannot be read, have other "
        "proportions than the photo, or hold a value outside their label order",
        _MORPH,
    ),
    "not_a_pair": RejectCode(
        "every mask of the recipe that this face could wear is `kind: real`, and its source has no masked photos", _PLAN
    ),
    "bad_partner": RejectCode("the masked photo of a pair, or the map of its mask, cannot be read", _RENDER),
    "pair_sizes": RejectCode("the masked photo or the map has another size than the bare photo", _RENDER),
    "pair_unaligned": RejectCode(
        "the pair has no drawn map, and its photos differ in more than a mask, so that none can be found", _RENDER
    ),
    "empty_map": RejectCode(
        "the drawn map is empty or white everywhere, or the difference of the photos shows no mask", _RENDER
    ),
    "mask_fit": RejectCode("no mask fits the landmarks without tearing, the simple fit included", _RENDER),
    "mask_folds": RejectCode(
        "the head is turned so far that the mask would stand out from its nose; see `faces.max_yaw`", _RENDER
    ),
    "occluded": RejectCode("something covers nose or mouth, and the recipe has `faces: {occluded: reject}`", _RENDER),
    "mask_outside_crop": RejectCode("no pixel of the mask lies in the crop", _RENDER),
    "mask_too_small": RejectCode("the mask covers less of the crop than `min_mask_area`", _RENDER),
    "no_labels": RejectCode(
        "the label files lack parts that the guide needs, and the guide has `missing: reject`", _RENDER
    ),
    "no_landmarks": RejectCode("the guide is made from landmarks, and the face has no trusted ones", _RENDER),
    "changed": RejectCode("the photo or a file beside it changed between analysis and render", ()),
}
"""Every code by name. A code that is not here cannot be used."""


CONFLICT = "identity_conflict"
"""Rejects of photos that are filed under several people; `faceloom show` lists them in any case."""


def check_code(code: str) -> None:
    """Check that a code is one of the table.

    Raises:
        ValueError: it is not.
    """
    if code not in REJECT_CODES:
        raise ValueError(f"'{code}' is no reject code")


def default_message(code: str) -> str:
    """The message of a reject that has none of its own."""
    return REJECT_CODES[code].message or REJECT_CODES[code].meaning


def code_table() -> str:
    """The table of all codes that occur in rejects, as Markdown."""
    rows = ["| code | stage | meaning |", "|---|---|---|"]
    rows += [
        f"| `{name}` | {', '.join(code.stages)} | {code.meaning} |"
        for name, code in REJECT_CODES.items()
        if code.stages
    ]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(code_table())
