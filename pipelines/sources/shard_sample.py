"""Read the members of one WebDataset sample: photo, identity, landmarks."""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from faceloom.pipelines.sources.npy_note import read_npy_header, read_npy_numbers
from faceloom.pipelines.sources.person_names import as_person
from faceloom.pipelines.sources.source import read_span
from faceloom.pipelines.sources.tar_members import Member
from faceloom.pipelines.sources.text_labels import may_be_label
from faceloom.pipelines.sources.values import LONGEST_TEXT, MOST_ATTRIBUTES, as_landmarks, as_role, as_text
from faceloom.pipelines.sources.walk import PICTURE_ENDINGS, ending, is_unsafe
from faceloom.pipelines.store.store_path import Place
from faceloom.schemas.errors import PhotoError
from faceloom.schemas.json_text import parse_json
from faceloom.schemas.plain_values import MOST_DIGITS
from faceloom.schemas.source_spec import TableColumns

Members = dict[str, Member]
"""Members of a sample by their ending, all after the first dot, in lower case: `jpg`, `face.jpg`, `json`."""

_PREFERRED = [stem + kind for stem in ("", "face.", "hr.", "image.") for kind in ("jpg", "jpeg", "png", "webp")]
_LONGEST_NOTE = 16_000_000  # bytes of json, cls, txt or npy
NOTES = frozenset({"json", "cls", "txt", "landmarks.npy", "npy"})
"""Kinds of members that `SampleNotes` reads."""


def photo_of(sample: Members) -> Member:
    """Return the photo: `jpg`, `jpeg`, `png` or `webp`, one of these after `face.`, `hr.` or `image.`, or the only one.

    Raises:
        PhotoError: `no_picture`, `ambiguous_picture`, `not_a_file` or `empty`.
    """
    pictures = sorted(kind for kind in sample if ending("." + kind) in PICTURE_ENDINGS)
    if not pictures:
        raise PhotoError("no_picture", f"no picture with this key, only {', '.join(sorted(sample))}")
    chosen = [kind for kind in _PREFERRED if kind in sample] or pictures
    if len(pictures) > 1 and chosen is pictures:
        raise PhotoError("ambiguous_picture", f"several pictures, none named as the photo: {', '.join(pictures)}")
    photo = sample[chosen[0]]
    if not photo.is_file:
        raise PhotoError("not_a_file", "a link or device inside the tar file")
    if photo.size == 0:
        raise PhotoError("empty", "the file has zero bytes")
    return photo


_ROLES = {"identity", "label", "id", "split", "licence", "license", "consent", "landmarks", "attributes"}
"""Fields of the json that are read on their own."""
_OWN = {"key", "identity", "split", "mask", "source", "attributes", "operations", "renderer"}
"""Fields of the samples of a build, whose attributes are in a field of that name alone."""


def attributes_of(facts: Mapping[str, object], columns: TableColumns, left_out: Counter[str]) -> dict[str, object]:
    """The attributes of a sample: its json's field `attributes`, and further fields as columns of a table.

    Args:
        facts: the json.
        columns: `others` names the fields to take; by default all that hold short text, numbers, true or false.
        left_out: counts, by name, the values that are no attributes for lack of room.
    """
    stated = facts.get("attributes")
    stated = dict(stated) if isinstance(stated, dict) else {}
    if columns.others is not None:
        return {name: value for name, value in ({**facts, **stated}).items() if name in columns.others}
    if facts.keys() >= _OWN:
        return stated
    roles = _ROLES | {columns.identity}
    plain = {
        name: value
        for name, value in facts.items()
        if name not in roles and name not in stated and isinstance(value, str | int | float)
    }
    for name in [
        name for name, value in plain.items() if isinstance(value, int) and abs(value) >= 10 ** (MOST_DIGITS - 1)
    ]:
        left_out[name] += 1
        del plain[name]
    over = list(plain)[max(0, MOST_ATTRIBUTES - len(stated)) :]
    left_out.update(over)
    return stated | {name: value for name, value in plain.items() if name not in set(over)}


class SampleNotes(NamedTuple):
    """The members beside the photo, read on demand.

    Attributes:
        root: root of the source.
        shard: path of the tar file below it.
        sample: its members.
        read: content of members that were read already, by offset.
    """

    root: Place
    shard: str
    sample: Members
    read: Mapping[int, bytes] = {}

    def facts(self) -> dict[str, object]:
        """Read the `json` member; empty without one. Raises PhotoError `bad_metadata`."""
        text = self._read("json")
        try:
            facts = parse_json(text.removeprefix(codecs.BOM_UTF8), _LONGEST_NOTE, lenient=True) if text else {}
        except ValueError as error:
            raise PhotoError("bad_metadata", f"the json cannot be read ({error})") from error
        if not isinstance(facts, dict):
            raise PhotoError("bad_metadata", "the json is not an object")
        return facts

    def identity(
        self, facts: dict[str, object], field: str | None = None, is_name: Callable[[str], bool] = lambda _: True
    ) -> str | None:
        """Read the identity from json `identity`, `label` or `id`, or from `cls`, or from a `txt` that is no caption.

        Args:
            facts: the json.
            field: the field of the json that names the person, if the recipe states one.
            is_name: whether a short text names a person; see `RepeatedTexts`.

        Raises:
            PhotoError: `bad_metadata`, if the identity is longer than `LONGEST_TEXT`.
        """
        if field is not None:
            return self.role("identity", facts.get(field))
        for name in ("identity", "label", "id"):
            if (found := self.role("identity", facts.get(name))) is not None:
                return found
        note = as_text(self._read("cls").decode("utf-8", "replace"))
        if note is not None and len(note) <= LONGEST_TEXT and not is_unsafe(note) and (found := as_person(note)):
            return found
        text = self.label(facts)
        return text if text is not None and is_name(text) else None

    def label(self, facts: dict[str, object]) -> str | None:
        """Read the `txt` if it may name a person, judged by itself. Raises as `identity`."""
        note = as_text(self._read("txt").decode("utf-8", "replace"))
        return as_person(note) if note is not None and not is_unsafe(note) and may_be_label(note, facts) else None

    @property
    def has_text(self) -> bool:
        """Whether there is a `txt`."""
        return "txt" in self.sample

    def role(self, role: str, value: object) -> str | None:
        """As `as_role`. Raises PhotoError `bad_metadata`."""
        try:
            return as_role(role, value)
        except ValueError as error:
            raise PhotoError("bad_metadata", f"the json: {error}") from error

    def landmarks(self, facts: dict[str, object]) -> bytes | None:
        """Read `landmarks.npy`, a `npy` of shape (68, 2), or the json; None without them, or if all are NaN.

        Raises:
            PhotoError: `bad_landmarks`.
        """
        try:
            for kind in ("landmarks.npy", "npy"):
                if data := self._read(kind):
                    header = read_npy_header(data)
                    # A plain npy may hold anything, such as an embedding.
                    if kind == "landmarks.npy" or header.shape == (68, 2):
                        points = read_npy_numbers(data, header)
                        return None if np.isnan(points).all() else as_landmarks(points)
            return as_landmarks(facts.get("landmarks"))
        except ValueError as error:
            raise PhotoError("bad_landmarks", str(error)) from error

    def _read(self, kind: str) -> bytes:
        member = self.sample.get(kind)
        if member is None:
            return b""
        if not member.is_file:
            raise PhotoError("bad_metadata", f"the {kind} is a link or device inside the tar file")
        if member.size > _LONGEST_NOTE:
            raise PhotoError("bad_metadata", f"the {kind} is too long: {member.size} bytes")
        known = self.read.get(member.offset)
        return read_span(self.root, self.shard, member.offset, member.size) if known is None else known
