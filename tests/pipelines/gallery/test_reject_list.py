"""Rejects of a gallery."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from faceloom.pipelines.gallery.reject_list import MOST_EXAMPLES, list_reasons
from faceloom.pipelines.sources.registry import open_source
from faceloom.schemas.errors import PhotoError, SourceError
from faceloom.schemas.photos import Reject
from faceloom.schemas.source_spec import SourceSpec


def reject(uri: str, source: str = "s", code: str = "no_face") -> Reject:
    return Reject("analyse", source, uri, code, "no face was found")


def source(read: Any) -> Any:
    return SimpleNamespace(name="s", read=read)


def test_reasons_are_counted_and_explained() -> None:
    found = list_reasons([reject("a"), reject("b"), reject("c", code="truncated")], None)
    assert [(reason.stage, reason.code, reason.count) for reason in found] == [
        ("analyse", "no_face", 2),
        ("analyse", "truncated", 1),
    ]
    assert found[1].meaning == "the end of the picture file is missing"


def test_numbers_are_listed_as_they_are() -> None:
    found = list_reasons({"analyse": {"no_face": 7, "of_a_later_version": 1}})
    assert [(one.stage, one.code, one.count, one.examples) for one in found] == [
        ("analyse", "no_face", 7, ()),
        ("analyse", "of_a_later_version", 1, ()),
    ]
    assert found[0].meaning and not found[1].meaning


def test_names_of_files_are_shown_only_where_sources_are_given() -> None:
    assert list_reasons([reject("Ada/1.jpg")], None)[0].examples == ()
    (example,) = list_reasons([reject("Ada/1.jpg")], {})[0].examples
    assert (example.uri, example.message, example.picture) == ("s/Ada/1.jpg", "no face was found", "")


def test_photos_that_still_exist_are_shown(synthetic: SimpleNamespace) -> None:
    photo = synthetic.encoded(synthetic.picture(30, 20))

    def read(uri: str) -> bytes:
        if uri == "gone":
            raise PhotoError("vanished", "gone")
        if uri == "unplugged":
            raise SourceError("the source is gone")
        return bytes(photo)

    rejects = [reject("there"), reject("gone"), reject("unplugged"), reject("there", "other")]
    pictures = [bool(one.picture) for one in list_reasons(rejects, {"s": source(read)})[0].examples]
    assert pictures == [True, False, False, False]


def test_few_examples_are_read() -> None:
    calls: list[str] = []
    rejects = [reject(str(number)) for number in range(1000)]

    def read(uri: str) -> bytes:
        calls.append(uri)
        return b""

    (reason,) = list_reasons(rejects, {"s": source(read)})
    assert reason.count == 1000 and len(reason.examples) == len(calls) == MOST_EXAMPLES


def test_a_table_of_rejects_cannot_show_files_outside_the_source(tmp_path: Path, synthetic: SimpleNamespace) -> None:
    (tmp_path / "photos").mkdir()
    photo = synthetic.encoded(synthetic.picture(30, 20))
    for place in ("secret.png", "photos/shown.png"):
        (tmp_path / place).write_bytes(photo)
    opened = open_source(SourceSpec(path=str(tmp_path / "photos"), kind="flat"))
    uris = ["../secret.png", str(tmp_path / "secret.png"), "../photos/shown.png", "shown.png"]
    (reason,) = list_reasons([reject(uri) for uri in uris], {"s": opened})
    assert [bool(example.picture) for example in reason.examples] == [False, False, False, True]
