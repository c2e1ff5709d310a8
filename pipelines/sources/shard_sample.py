"""What the members of one WebDataset sample say: which is the photo, who is in it, where the landmarks are."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from faceloom.pipelines.sources.source import read_span
from faceloom.pipelines.sources.tar_members import Member
from faceloom.pipelines.sources.values import as_landmarks, as_text
from faceloom.pipelines.sources.walk import PICTURE_ENDINGS, ending, is_unsafe
from faceloom.schemas.errors import PhotoError

Members = dict[str, Member]
"""Members of a sample by their ending in lower case, all that follows the first dot: `jpg`, `face.jpg`, `json`."""

_PREFERRED = [stem + kind for stem in ("", "face.", "hr.", "image.") for kind in ("jpg", "jpeg", "png", "webp")]
_LONGEST_NOTE = 16_000_000  # bytes of json, cls, txt or npy


def photo_of(sample: Members) -> Member:
    """The photo: `jpg`, `jpeg`, `png` or `webp`, else one of these after `face.`, `hr.` or `image.`, or the only one.

    Raises:
        PhotoError: `no_picture`, `ambiguous_picture`, `not_a_file` or `empty`.
    """
    pictures = sorted(kind for kind in sample if ending("." + kind) in PICTURE_ENDINGS)
    if not pictures:
        raise PhotoError("no_picture", f"no picture under this key, only {', '.join(sorted(sample))}")
    chosen = [kind for kind in _PREFERRED if kind in sample] or pictures
    if len(pictures) > 1 and chosen is pictures:
        raise PhotoError("ambiguous_picture", f"which of {', '.join(pictures)} is the photo cannot be told")
    photo = sample[chosen[0]]
    if not photo.is_file:
        raise PhotoError("not_a_file", "a link or device inside the tar file")
    if photo.size == 0:
        raise PhotoError("empty", "zero bytes long")
    return photo


class SampleNotes(NamedTuple):
    """The members beside the photo. Reads them when asked.

    Attributes:
        root: the source's root.
        shard: path of the tar file below it.
        sample: its members.
    """

    root: Path
    shard: str
    sample: Members

    def facts(self) -> dict[str, object]:
        """The `json` member; empty if there is none. Raises PhotoError `bad_metadata`."""
        text = self._read("json")
        try:
            facts = json.loads(text) if text else {}
        except ValueError as error:
            raise PhotoError("bad_metadata", f"its json cannot be read ({error})") from error
        if not isinstance(facts, dict):
            raise PhotoError("bad_metadata", "its json is no object")
        return facts

    def identity(self, facts: dict[str, object]) -> str | None:
        """From json `identity`, `label` or `id`, else `cls`, else a `txt` of one line."""
        for field in ("identity", "label", "id"):
            if (found := as_text(facts.get(field))) is not None:
                return found
        for kind in ("cls", "txt"):
            note = as_text(self._read(kind).decode("utf-8", "replace"))
            if note is not None and not is_unsafe(note):
                return note
        return None

    def landmarks(self, facts: dict[str, object]) -> bytes | None:
        """From `landmarks.npy`, a `npy` of shape (68, 2), or the json. Raises PhotoError `bad_landmarks`."""
        try:
            for kind in ("landmarks.npy", "npy"):
                if data := self._read(kind):
                    points = np.load(io.BytesIO(data), allow_pickle=False)
                    # A plain npy may be anything, such as an embedding.
                    if kind == "landmarks.npy" or points.shape == (68, 2):
                        return as_landmarks(points)
            return as_landmarks(facts.get("landmarks"))
        except (ValueError, EOFError) as error:
            raise PhotoError("bad_landmarks", str(error)) from error

    def _read(self, kind: str) -> bytes:
        member = self.sample.get(kind)
        if member is None or not member.is_file:
            return b""
        if member.size > _LONGEST_NOTE:
            raise PhotoError("bad_metadata", f"{member.size} bytes of {kind}")
        return read_span(self.root, self.shard, member.offset, member.size)
