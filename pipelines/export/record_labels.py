"""The labels of an export as RecordIO: those of the source, those of a table, or new ones."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from faceloom.pipelines.export.export_options import RENUMBER, SOURCE
from faceloom.pipelines.export.sample_facts import SampleFacts
from faceloom.schemas.errors import FaceloomError
from faceloom.schemas.regular_files import read_regular_file

MOST_COUNTED = 1 << 24
"""Whole numbers up to this are exact in float32, as labels are."""
_MOST_BYTES = 1 << 26
"""Bytes of a table of labels: some three million people."""
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
_RECORD = re.compile(r"\.rec::[0-9]{9,}$")
_NEW = "Give --labels renumber to number people anew, or --labels FILE with the columns label and identity"


def choose_labels(facts: Iterable[SampleFacts], labels: str | None) -> Mapping[str, int] | None:
    """Return the label of each person, or None to number the people of each split from 0.

    By default a person keeps the label that a .rec file gave: then the records can be joined with the original ones.

    Args:
        facts: of all samples that are exported.
        labels: `source`, `renumber`, the path of a CSV table with the columns `label` and `identity`, or None.

    Raises:
        FaceloomError: only some samples have a label in their source; a label is no whole number that float32 holds; or
            the table cannot be read, lacks a person or names one twice.
    """
    if labels == RENUMBER:
        return None
    if labels is not None and labels != SOURCE:
        table = _read_labels(labels)
        if lacking := next((fact for fact in facts if fact.identity not in table), None):
            remedy = "Add a row for each person"
            raise FaceloomError(
                "the table has no label of a person", where=labels, value=lacking.identity, remedy=remedy
            )
        return table
    people: dict[str, str] = {}  # a photo of each, in a .rec file if there is one
    for fact in facts:
        if fact.identity not in people or _RECORD.search(fact.uri):
            people[fact.identity] = fact.uri
    if labels is None and not any(map(_RECORD.search, people.values())):
        return None
    kept: dict[str, int] = {}
    for identity, uri in people.items():
        number = _whole(identity)
        if number is None or (labels is None and not _RECORD.search(uri)):
            what = "the source gives labels, but not to every person: this identity is no label of a .rec file"
            if labels == SOURCE:
                what = f"an identity cannot be kept as a label: it is no whole number below {MOST_COUNTED:,}"
            raise FaceloomError(what, where=uri, value=identity, remedy=_NEW)
        kept[identity] = number
    return kept


def _whole(text: str) -> int | None:
    number = int(text) if _NUMBER.fullmatch(text) else -1
    return number if 0 <= number < MOST_COUNTED else None


def _read_labels(path: str) -> dict[str, int]:
    labels: dict[str, int] = {}
    line = 1
    try:
        text = read_regular_file(Path(path), _MOST_BYTES).decode("utf-8-sig")
        for line, row in enumerate(csv.DictReader(io.StringIO(text, newline=""), strict=True), 2):  # noqa: B007  # for the message
            identity, number = row.get("identity"), _whole(str(row.get("label")).strip())
            if identity is None:
                raise ValueError("it needs the columns label and identity")
            if number is None:
                raise ValueError(f"the label of {identity[:80]!a} is no whole number below {MOST_COUNTED:,}")
            if identity in labels:
                raise ValueError(f"it names {identity[:80]!a} again")
            labels[identity] = number
    except (OSError, ValueError, csv.Error) as error:
        remedy = "Give a CSV file with the columns label and identity, such as the labels.csv of an export"
        where = f"{path}:{line}" if line > 1 else path
        raise FaceloomError(f"the table of labels cannot be used: {error}", where=where, remedy=remedy) from None
    if len(set(labels.values())) < len(labels):
        raise FaceloomError("two people have the same label", where=path, remedy="Give each person a label of its own")
    return labels
